"""Commands that make audio: `say` and `batch`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.objects import Uploader
    from voxledger.synth.batch import Options, Spoken
    from voxledger.synth.studio import Studio

Format = Literal["wav", "flac", "opus", "mp3", "pcm"]
_UPLOAD_WAIT = 10.0
_SHOWN_ERRORS = 50


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def studio(self) -> Studio:
        """Makes clips."""

    @property
    def uploader(self) -> Uploader:
        """Uploads in the background."""

    def close(self, *, wait: float | None = None) -> None:
        """Let everything go."""


class Commands:
    """The commands of this floor, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        app.command(self.say)
        app.command(self.batch)

    def say(
        self,
        text: Annotated[str, Parameter(allow_leading_hyphen=True)],
        /,
        *,
        emotion: str | None = None,
        strength: float = 1.0,
        emotion_from: str | None = None,
        emotion_words: str | None = None,
        marks: Annotated[bool, Parameter(negative="--no-marks")] = True,
        language: str | None = None,
        voice: str | None = None,
        preset: str | None = None,
        speed: float | None = None,
        actor: str | None = None,
        session: str | None = None,
        name: str | None = None,
        tag: Annotated[list[str] | None, Parameter(name="--tag")] = None,
        format: Format = "wav",  # the option people know
        seed: int | None = None,
        take: int = 1,
        reuse: Annotated[bool, Parameter(negative="--no-reuse")] = True,
        engine: str | None = None,
        wait: Annotated[bool, Parameter(negative="--no-wait")] = True,
        play: bool = False,
        json: bool = False,
    ) -> int:
        """Speak a text, record the clip and upload it.

        The same request gives the same clip again, at no cost, with its first session and name; `--take 2` or `--no-reuse`
        makes a new one.

        **Examples**

            voxledger say "The tide is turning." --emotion happy=0.8 --format flac
            voxledger say "明天会下雨。" --emotion "sad=0.5, calm=0.3" --tag draft
            voxledger say - --name chapter-1 --format opus < chapter-1.txt
            voxledger say "[sad:0.6] I lost it." --voice ann --engine indextts

        Parameters
        ----------
        text
            What to say; `-` reads standard input.
        emotion
            Such as sad, or happy=0.7,calm=0.2 with weights from 0 to 1; docs/emotion.md tells all eight.
        strength
            Scales the emotion, 0 to 1.
        emotion_from
            A registered recording whose emotion is taken, where the engine can.
        emotion_words
            The emotion in words, where the engine can.
        marks
            Heed emotions written into the text, such as [sad:0.6] at the start of a line.
        language
            BCP 47 tag such as en, es, de, zh or ar; found from the script when not given.
        voice
            A registered voice, or one of the engine's.
        preset
            A preset of voice and emotion (`voxledger presets`); what is given beside it counts more.
        speed
            Faster or slower, as a factor.
        actor
            Who is speaking, for the record.
        session
            What the clip belongs to; part of its key.
        name
            What to call the clip; part of its key.
        tag
            A tag for the clip; may be repeated.
        format
            How the audio is written.
        seed
            Seed for engines that draw lots.
        take
            Number of the take: another number makes another clip of the same request.
        reuse
            Give the clip that is there already, if there is one.
        engine
            The engine that speaks.
        wait
            Wait up to 10 s for the upload.
        play
            Play the clip on this machine's loudspeaker.
        json
            Print one JSON document.
        """
        with self._opened(channel="cli") as door:
            spoken = sys.stdin.read() if text == "-" else text
            clip = door.studio.speak(
                spoken, voice=voice, emotion=emotion, emotion_strength=strength, emotion_reference=emotion_from,
                emotion_words=emotion_words, marks=marks, language=language, preset=preset, speed=speed, actor=actor,
                session=session, name=name, tags=tag or (), format=format, seed=seed, take=take, reuse=reuse, engine=engine,
            )  # fmt: skip
            waiting = door.uploader.flush([clip.id], timeout=_UPLOAD_WAIT if wait else 0)
            stored = not waiting
            if json:
                terminal.print_json({**clip.as_dict(), "state": "stored" if stored else "local"})
            else:
                _print_clip(clip, None if stored else door.uploader.progress.trouble or "its upload goes on")
            if play:
                clip.play()
            door.close(wait=0)
        return 0

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
            from voxledger.synth.joining import format_of

            if join:
                format_of(join)
            options = batches.Options(
                voices=_folder(voices, "--voices"),
                degrade=degrade,
                actor=actor,
                session=session,
                format=format,
                engine=engine,
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
        from voxledger.synth.joining import Part
        from voxledger.synth.joining import join as join_files

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
            waiting = door.uploader.flush(timeout=max(_UPLOAD_WAIT, waiting / 20))
    return waiting


def _print_clip(clip: Clip, waits_for: str | None) -> None:
    """Three lines without a frame, so that paths can be copied."""
    note = "was there already" if clip.reused else "new"
    loudness = f" · {clip.loudness_lufs:.1f} LUFS" if clip.loudness_lufs is not None else ""
    doubt = f" · [yellow]suspect: {', '.join(clip.suspect).replace('_', ' ')}[/]" if clip.suspect else ""
    terminal.console.print(
        f"[bold]{clip.short}[/] {note} · {terminal.length(clip.duration)} · {clip.language} · {clip.emotion} · {clip.format}"
        f" · {terminal.size(clip.bytes)}{loudness}{doubt}"
    )
    terminal.console.print(terminal.text(clip.path), soft_wrap=True)
    if waits_for is None:
        terminal.console.print(terminal.text(f"s3://{clip.bucket}/{clip.key}"), style="green", soft_wrap=True)
    else:
        terminal.console.print(terminal.text(f"not uploaded yet: {waits_for}"), style="yellow", soft_wrap=True)


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
