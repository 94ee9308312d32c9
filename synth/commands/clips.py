"""Commands about how a clip was made: `rerender` and `subtitles`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from cyclopts import App

from voxledger.catalog import platform, terminal
from voxledger.catalog.errors import HomeError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.synth.studio import Studio
    from voxledger.synth.studio.rerender import Rerendered


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def studio(self) -> Studio:
        """Makes clips."""


class Commands:
    """The commands, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.rerender)
        app.command(self.subtitles)

    def rerender(self, clip: str, /, *, json: bool = False) -> int:
        """Render a clip again from its record alone, and say whether the bytes are equal.

        Nothing is recorded and nothing is replaced. Where the bytes differ, what is different by now (engine, model,
        device, audio chain) is named, and how far the sounds are apart. The exit status is 1 then.

        **Examples**

            voxledger rerender 9c5f8f3a
            voxledger rerender 9c5f8f3a --json

        Parameters
        ----------
        clip
            The last digits of its id.
        json
            Print one JSON document.
        """
        with self._opened() as door, terminal.errors.status("rendering …"):
            found = door.studio.rerender(clip)
        if json:
            terminal.print_json(found.as_dict())
        else:
            _print_rerendered(found)
        return 0 if found.equal else 1

    def subtitles(self, clip: str, /, *, format: Literal["srt", "vtt"] | None = None, out: Path | None = None) -> int:
        """Write a clip's text with the times at which it is heard, as SRT or WebVTT.

        **Examples**

            voxledger subtitles 9c5f8f3a > chapter-1.srt
            voxledger subtitles 9c5f8f3a --out chapter-1.vtt

        Parameters
        ----------
        clip
            The last digits of its id.
        format
            srt or vtt; by default what the ending of `--out` says, else srt.
        out
            The file; standard output when not given.
        """
        wanted = format or ("vtt" if out is not None and out.suffix.lower() == ".vtt" else "srt")
        with self._opened() as door:
            written = door.studio.subtitles(clip, wanted)
        if out is None:
            terminal.console.file.write(written)
            return 0
        try:
            platform.write_atomic(out, written.encode())
        except OSError as error:
            raise HomeError(f"{out} cannot be written: {error.strerror}") from error
        return 0


def _print_rerendered(found: Rerendered) -> None:
    name = f"[bold]{found.clip.short}[/]"
    if found.equal:
        terminal.console.print(f"{name} [green]equal[/]: the same {terminal.size(found.clip.bytes)}, byte for byte")
        return
    far = f", {found.distance_db:.2f} dB apart in their log-mel spectra" if found.distance_db is not None else ""
    terminal.console.print(
        f"{name} [yellow]different[/]: {terminal.length(found.duration_us / 1e6)} now, {terminal.length(found.clip.duration)}"
        f" then{far}"
    )
    for one in found.differences:
        terminal.console.print(f"  {one.what}: ", terminal.text(f"{one.recorded} → {one.now}"), sep="")
    if not found.differences:
        never = (
            "this engine never promises the same sound twice"
            if found.determinism == "none"
            else ("engine, model, device and audio chain are what they were: something else of this machine is not")
        )
        terminal.console.print(f"  {never}")
