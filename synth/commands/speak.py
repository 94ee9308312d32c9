"""The command `say`: one text becomes a clip."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Literal, Protocol

from cyclopts import App, Parameter

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.objects import Uploader
    from voxledger.synth.studio import Studio
    from voxledger.synth.studio.options import SpeakOptions

Format = Literal["wav", "flac", "opus", "mp3", "aac", "pcm"]
UPLOAD_WAIT = 10.0
"""Seconds that a command waits for its uploads."""
_LONG = 400
"""Letters from which on a text is spoken sentence by sentence: it takes its time, and what was spoken of it is kept."""


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
    """The command, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.say)

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
        """Speak a text, record the clip and upload it. Of a long text a terminal sees how many sentences are spoken.

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
            BCP 47 tag such as en, es, de, zh or ar. Not given, it is guessed: from the script, and in Latin letters as en,
            es, de or fr by common words; what has none of them counts as en.
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
            Seed for engines that draw lots; one that takes none says so.
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
            spoken = terminal.piped() if text == "-" else text
            asked: SpeakOptions = {
                "voice": voice, "emotion": emotion, "emotion_strength": strength, "emotion_reference": emotion_from,
                "emotion_words": emotion_words, "marks": marks, "language": language, "preset": preset, "speed": speed,
                "actor": actor, "session": session, "name": name, "tags": tag or (), "format": format, "seed": seed,
                "take": take, "reuse": reuse, "engine": engine,
            }  # fmt: skip
            try:
                clip = _made(door.studio, spoken, asked, quiet=json or len(spoken) <= _LONG)
            except KeyboardInterrupt:
                kept = " What was spoken is kept: the same command goes on from there." if len(spoken) > _LONG else ""
                terminal.errors.print(f"\n[yellow]Interrupted.[/]{kept}")
                door.close(wait=0)
                return 130
            waiting = door.uploader.flush([clip.id], timeout=UPLOAD_WAIT if wait else 0)
            stored = not waiting
            if json:
                terminal.print_json({**clip.as_dict(), "state": "stored" if stored else "local"})
            else:
                _print_clip(clip, None if stored else door.uploader.progress.trouble or "its upload goes on")
            if play:
                clip.play()
            door.close(wait=0)
        return 0


def _made(studio: Studio, text: str, asked: SpeakOptions, *, quiet: bool) -> Clip:
    """The clip; unless `quiet`, whoever sits at a terminal sees meanwhile how far it has come."""
    request, engine, reuse, *_ = studio.asked(text, asked)
    if quiet:
        return studio.make(request, engine=engine, reuse=reuse)
    with terminal.progress() as bar:
        task = bar.add_task("speaking", total=None)

        def watch(done: int, total: int, seconds: float) -> None:
            bar.update(task, completed=done, total=total, description=f"speaking · {terminal.length(seconds)} of sound")

        return studio.make(request, engine=engine, reuse=reuse, watch=watch)


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
