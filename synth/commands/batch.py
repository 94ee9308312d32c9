"""The command `batch`: every line of a manifest becomes a clip."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.terminal import Opener
from voxledger.synth.commands.speak import UPLOAD_WAIT, Door, Format

if TYPE_CHECKING:
    from voxledger.synth.batch import Options, Spoken
    from voxledger.synth.studio import Studio

_SHOWN_ERRORS = 50


class Commands:
    """The command, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.batch)

    def batch(
        self,
        manifest: Path,
        /,
        *,
        voices: Path | None = None,
        degrade: bool = False,
        actor: str | None = None,
        session: str | None = None,
        format: Format | None = None,  # the option people know
        engine: str | None = None,
        voice: str | None = None,
        preset: str | None = None,
        out: Path | None = None,
        join: Path | None = None,
        wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
        json: bool = False,
    ) -> int:
        """Speak every line of a JSONL manifest.

        Interrupted and started again it goes on where it stopped: what is there is not made twice. A bad line is one
        error; the others go on, and the exit status is 1. The manifests of IndexTTS are read as they are.

        **Examples**

            voxledger batch lines.jsonl
            voxledger batch cases.jsonl --voices examples/ --degrade
            voxledger batch chapter.jsonl --join chapter.opus
            voxledger batch lines.jsonl --engine indextts --voice ann

        Parameters
        ----------
        manifest
            One JSON object a line: text or text_file, and emotion, language, voice, output, silence_after_ms, …
        voices
            The folder in which reference clips are looked up.
        degrade
            Speak a line without what is not there or what the engine cannot do; the clip records what was dropped.
        actor
            Who is speaking, for lines that do not say.
        session
            What the clips belong to, for lines that do not say; by default the manifest's name.
        format
            How audio is written, for lines that do not say.
        engine
            The engine that speaks.
        voice
            A registered voice, or one of the engine's, for lines that do not say.
        preset
            An emotion, a voice and more under a name (`voxledger presets`), for lines that do not say.
        out
            A folder that gets a copy of each clip, under the line's `output` if it has one.
        join
            One audio file of all lines, with the silences that they ask for.
        wait
            Wait for the uploads at the end; Ctrl-C leaves them for later.
        json
            Print one JSON document a line.
        """
        with self._opened(channel="batch") as door:
            studio = door.studio  # says what to install when the extra is missing
            from voxledger.synth import batch as batches
            from voxledger.synth.audio.joining import format_of

            if join:
                format_of(join)
            options = batches.Options(
                voices=_folder(voices, "--voices"),
                degrade=degrade,
                actor=actor,
                session=session,
                format=format,
                engine=engine,
                voice=voice,
                preset=preset,
                out=out,
            )
            try:
                totals = self._run(studio, manifest, options, join, json=json)
                waiting = _wait_for_uploads(door) if wait else door.uploader.flush(timeout=0)
            except KeyboardInterrupt:
                terminal.errors.print("\n[yellow]Interrupted.[/] The same command goes on where this one stopped.")
                door.close(wait=0)
                return 130
            if not json:
                _print_totals(totals, waiting)
            door.close(wait=0)
        return 1 if totals["failed"] else 0

    def _run(self, studio: Studio, path: Path, options: Options, join: Path | None, *, json: bool) -> dict[str, Any]:
        from voxledger.synth import batch as batches
        from voxledger.synth import manifest as manifests
        from voxledger.synth.audio.joining import Part
        from voxledger.synth.audio.joining import join as join_files

        totals: dict[str, Any] = {"made": 0, "there": 0, "failed": 0, "degraded": 0, "seconds": 0.0, "silences": 0}
        with terminal.progress(quiet=json) as bar:
            task = bar.add_task(path.name, total=manifests.count(path))

            def spoken() -> Iterator[Spoken]:
                for line in batches.run(studio, path, options):
                    bar.advance(task)
                    _count(totals, line)
                    if json:
                        terminal.print_json(_as_json(line))
                    else:
                        _print_line(line, totals)
                    yield line

            if join:
                parts = (
                    Part(line.clip.local(), line.silence_after, line.clip.sample_rate) for line in spoken() if line.clip
                )
                totals["joined"] = (join, join_files(parts, join))
            else:
                for _ in spoken():
                    pass
        return totals


def _count(totals: dict[str, Any], line: Spoken) -> None:
    totals[line.outcome] += 1
    totals["degraded"] += bool(line.dropped)
    totals["seconds"] += line.clip.duration if line.clip else 0.0
    totals["silences"] += line.silence_after > 0


def _folder(path: Path | None, option: str) -> Path | None:
    if path is not None and not path.is_dir():
        raise SettingsError(f"{option} {path} is no folder")
    return path


def _wait_for_uploads(door: Door) -> int:
    waiting = door.uploader.flush(timeout=0)
    if waiting:
        with terminal.errors.status(f"uploading {terminal.count(waiting, 'clip')} …"):
            waiting = door.uploader.flush(timeout=max(UPLOAD_WAIT, waiting / 20))
    return waiting


def _as_json(line: Spoken) -> dict[str, Any]:
    clip = line.clip.as_dict() if line.clip else None
    return {
        "line": line.number,
        "outcome": line.outcome,
        "error": line.error,
        "dropped": list(line.dropped),
        "clip": clip,
    }


def _print_line(line: Spoken, totals: dict[str, Any]) -> None:
    place = f"[dim]line {line.number:>4}[/] "
    if line.clip is None:
        if totals["failed"] <= _SHOWN_ERRORS:
            terminal.errors.print(place + "[red]failed[/] ", terminal.text(line.error), sep="")
        elif totals["failed"] == _SHOWN_ERRORS + 1:
            terminal.errors.print("[red]more lines failed[/]; --json names every one")
        return
    mark = "[green]made[/]  " if line.outcome == "made" else "[dim]there[/] "
    without = (
        f" [yellow]without {', '.join(word.replace('_', ' ') for word in line.dropped)}[/]" if line.dropped else ""
    )
    clip = line.clip
    terminal.console.print(
        f"{place}{mark} [bold]{clip.short}[/] {clip.duration:6.2f} s  {clip.language:<6} {clip.emotion:<11}{without}"
    )


def _print_totals(totals: dict[str, Any], waiting: int) -> None:
    parts = [f"[bold]{terminal.count(totals['made'], 'clip')} made[/]"]
    if totals["there"]:
        parts.append(f"{totals['there']:,} were there already")
    if totals["degraded"]:
        parts.append(f"[yellow]{totals['degraded']:,} degraded[/]")
    if totals["failed"]:
        parts.append(f"[red]{terminal.count(totals['failed'], 'line')} failed[/]")
    parts.append(terminal.length(totals["seconds"]) + " of audio")
    if waiting:
        parts.append(f"[yellow]{terminal.count(waiting, 'upload')} waiting (`voxledger status`)[/]")
    terminal.console.print(" · ".join(parts))
    if "joined" in totals:
        path, seconds = totals["joined"]
        terminal.console.print(f"joined into [bold]{path}[/] ({terminal.length(seconds)})")
    elif totals["silences"]:
        terminal.console.print(
            f"{terminal.count(totals['silences'], 'line')} ask for silence after them: --join FILE renders one file"
        )
