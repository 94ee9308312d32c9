"""The command `engines`: what can speak here, what each can do, and why one cannot be used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from cyclopts import App
from rich.padding import Padding
from rich.table import Table

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.settings import Loaded
    from voxledger.synth.engines import EngineInfo, Listed

_DETERMINISM = {
    "bytes": "the same request sounds the same, bit by bit",
    "seeded": "the same with a seed, on the same device",
    "none": "never the same twice for certain",
}
_MODES = {"vector": "weights", "reference": "a recording", "words": "words"}
_SHOWN = 12


class Door(AbstractContextManager["Door"], Protocol):
    """What this command needs of a ledger."""

    loaded: Loaded


class Commands:
    """The command that lists engines, with the settings of whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.engines)

    def engines(self, name: str | None = None, /, *, json: bool = False) -> int:
        """List what can speak: languages, voices, emotions, and why one cannot be used.

        No model is loaded and no server is asked. Packages bring further engines through the entry point group
        `voxledger.engines`. With a name, the exit status is 1 when that engine cannot be used.

        **Examples**

            voxledger engines
            voxledger engines espeak
            voxledger engines --json | jq -r '.[] | select(.available) | .name'
            VOXLEDGER_REMOTE_URL=http://127.0.0.1:8091/v1 voxledger engines remote

        Parameters
        ----------
        name
            Only this engine, with all its languages and voices.
        json
            Print one JSON document.
        """
        from voxledger.synth import engines

        with self._opened() as door:
            settings = door.loaded.settings
        found = engines.survey(settings, name)
        if json:
            terminal.print_json([_as_dict(each, settings.synth.engine) for each in found])
        else:
            for each in found:
                _print(each, default=each.name == settings.synth.engine, whole=name is not None)
        return 1 if name is not None and found[0].info is None else 0


def _as_dict(each: Listed, default: str) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "name": each.name, "available": each.info is not None, "default": each.name == default, "package": each.package,
        "why": each.why or None, "remedy": each.remedy or None, "passed_over": list(each.passed_over),
    }  # fmt: skip
    if each.info:
        info = asdict(each.info)
        facts |= {
            key: sorted(value) if key == "emotion_modes" else value for key, value in info.items() if key != "name"
        }
    return facts


def _print(each: Listed, *, default: bool, whole: bool) -> None:
    info = each.info
    head = terminal.text(each.name)
    head.stylize("bold")
    head = terminal.text("● ") + head
    head.stylize("green" if info else "red", 0, 1)
    if info:
        head.append(f"  {terminal.text(' · '.join((info.version, info.model, info.device)))}", style="dim")
    else:
        head.append("  not available", style="red")
    if default:
        head.append("  speaks when a call names none", style="cyan")
    terminal.console.print(head)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim", no_wrap=True, width=9)
    rows.add_column(overflow="fold")
    for label, value in _rows(info, whole=whole) if info else (("why", each.why), ("remedy", each.remedy)):
        if value:
            rows.add_row(label, terminal.text(value))
    if not each.package.startswith("voxledger "):
        rows.add_row("package", terminal.text(each.package or "unknown"))
    for other in each.passed_over:
        rows.add_row("not used", terminal.text(f"the engine of the same name that {other} brings"))
    terminal.console.print(Padding(rows, (0, 0, 1, 2)))


def _rows(info: EngineInfo, *, whole: bool) -> list[tuple[str, str]]:
    modes = [words for mode, words in _MODES.items() if mode in info.emotion_modes]
    own = _few(info.voices, "voice", whole) if info.voices else "none of its own"
    return [
        ("languages", _few(info.languages, "language", whole)),
        ("voices", own + ("; registered recordings too" if info.reference_voices else "")),
        ("emotion", " or ".join(modes) if modes else "none"),
        (
            "audio",
            f"{info.sample_rate:,} Hz{', as it is made' if info.streaming else ''}; {_DETERMINISM.get(info.determinism, '')}",
        ),
        ("takes", ", ".join((*info.sampling, *(["seed"] if info.heeds_seed else [])))),
        ("at once", terminal.count(info.concurrency, "request")),
    ]


def _few(names: tuple[str, ...], noun: str, whole: bool) -> str:
    """How many, and some of them."""
    shown = ", ".join(names if whole else names[:_SHOWN])
    return f"{terminal.count(len(names), noun)}: {shown}{', …' if not whole and len(names) > _SHOWN else ''}"
