"""Commands about presets: `presets list | show | add | remove`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener
from voxledger.synth.errors import InvalidEmotion, InvalidRequest

if TYPE_CHECKING:
    from voxledger.catalog.home import Home
    from voxledger.synth.presets import Preset


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    home: Home


class Commands:
    """The commands about presets, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        presets = App(name="presets", help="Emotion and voice under a name: `say --preset NAME`.")
        presets.command(self.everything, name="list")
        for command in (self.show, self.add, self.remove):
            presets.command(command)
        app.command(presets)

    def everything(self, *, json: bool = False) -> None:
        """List the presets: those that come with Voxledger, and those of this HOME.

        **Examples**

            voxledger presets list
            voxledger presets list --json | jq -r '.[].name'

        Parameters
        ----------
        json
            Print one JSON document.
        """
        from voxledger.synth.presets import Presets

        with self._opened() as door:
            found = Presets(door.home).all()
        if json:
            terminal.print_json([_as_dict(preset) for preset in found])
            return
        made = terminal.table("Presets", "name", "emotion", "besides", "about")
        for preset in found:
            name = terminal.text(preset.name)
            name.stylize("dim" if preset.built_in else "bold")
            made.add_row(
                name, terminal.text(_emotion(preset)), terminal.text(_besides(preset)), terminal.text(preset.about)
            )
        made.columns[0].no_wrap = True
        terminal.console.print(made)
        terminal.console.print("[dim]Grey ones come with Voxledger.[/] Speak with one: voxledger say … --preset NAME")

    def show(self, name: str, /, *, json: bool = False) -> None:
        """Show one preset, as it stands in the file.

        **Examples**

            voxledger presets show audiobook-calm
            voxledger presets show narrator --json

        Parameters
        ----------
        name
            The preset.
        json
            Print one JSON document.
        """
        from voxledger.synth.presets import Presets, written

        with self._opened() as door:
            presets = Presets(door.home)
            preset = presets.get(name)
        if json:
            terminal.print_json(_as_dict(preset))
            return
        terminal.console.print(terminal.text(written(preset)), soft_wrap=True)
        origin = "comes with Voxledger" if preset.built_in else f"from {presets.path}"
        terminal.console.print(terminal.text(f"# {origin}"), style="dim", soft_wrap=True)

    def add(
        self,
        name: str,
        /,
        *,
        emotion: str | None = None,
        strength: float | None = None,
        voice: str | None = None,
        language: str | None = None,
        engine: str | None = None,
        speed: float | None = None,
        sampling: Annotated[list[str] | None, Parameter(name="--sampling")] = None,
        about: str = "",
        replace: bool = False,
    ) -> None:
        """Add a preset to this HOME, in `presets.toml`.

        **Examples**

            voxledger presets add narrator --emotion "calm=0.4, happy=0.1" --voice f2 --speed 0.95
            voxledger presets add villain --emotion angry=0.5 --strength 0.7 --about "Act two"
            voxledger presets add host --voice ann --engine indextts --sampling temperature=0.7 --sampling top_k=20

        Parameters
        ----------
        name
            Letters, digits, hyphens and underscores, at most 50.
        emotion
            Such as sad, or happy=0.7,calm=0.2; neutral for none.
        strength
            Scales the emotion that is given beside it, 0 to 1.
        voice
            A voice, registered or of an engine.
        language
            BCP 47 tag such as en, es, de, zh or ar.
        engine
            The engine that speaks.
        speed
            A factor on the rate, where the engine can.
        sampling
            A parameter of the engine, as NAME=NUMBER; may be repeated.
        about
            What it is for, in one line.
        replace
            Write over a preset of this name.
        """
        from voxledger.synth.emotion import Emotion
        from voxledger.synth.presets import Preset, Presets, written

        if strength is not None and emotion is None:
            raise InvalidEmotion(f"--strength {strength:g} has nothing to scale: give an --emotion as well")
        preset = Preset(
            name=name, about=about, voice=voice, language=language, engine=engine,
            emotion=None if emotion is None else Emotion.of(emotion, strength=1.0 if strength is None else strength),
            sampling=_parameters(sampling or [], speed),
        )  # fmt: skip
        with self._opened() as door:
            presets = Presets(door.home)
            presets.add(preset, replace_it=replace)
        terminal.console.print(terminal.text(written(preset)), soft_wrap=True)
        terminal.console.print(terminal.text(f"# in {presets.path}"), style="dim", soft_wrap=True)

    def remove(self, name: str, /) -> None:
        """Remove a preset from this HOME. Clips that were made with it stay as they are.

        **Examples**

            voxledger presets remove narrator

        Parameters
        ----------
        name
            The preset.
        """
        from voxledger.synth.presets import Presets

        with self._opened() as door:
            Presets(door.home).remove(name)
        terminal.console.print("the preset ", terminal.text(name), " is removed", sep="")


def _parameters(given: list[str], speed: float | None) -> dict[str, float]:
    found: dict[str, float] = {} if speed is None else {"speed": speed}
    for one in given:
        name, mark, value = (part.strip() for part in one.partition("="))
        if name in found:
            raise InvalidRequest(f"{name} is given twice: leave out --sampling {one[:60]!r}, or what stands before it")
        try:
            found[name] = float(value)
        except ValueError:
            mark = ""
        if not mark or not name:
            raise InvalidRequest(f"--sampling {one[:60]!r} must be NAME=NUMBER, such as temperature=0.7")
    return found


def _emotion(preset: Preset) -> str:
    if preset.emotion is None:
        return "·"
    weights = ", ".join(f"{name} {weight:g}" for name, weight in preset.emotion.as_dict().items()) or "neutral"
    return weights if preset.emotion.strength == 1 else f"{weights}, × {preset.emotion.strength:g}"


def _besides(preset: Preset) -> str:
    words = [word for word in (preset.voice, preset.language, preset.engine) if word]
    words += [f"{name} {value:g}" for name, value in preset.sampling.items()]
    return ", ".join(words) or "·"


def _as_dict(preset: Preset) -> dict[str, Any]:
    return {"name": preset.name, "built_in": preset.built_in, **preset.as_dict()}
