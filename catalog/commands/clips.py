"""Commands about clips: `show`, `clips`, and `clips history | tag | untag | pin | unpin | play`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import App, Parameter, validators

from voxledger.catalog import terminal
from voxledger.catalog.errors import ClipNotFound, HomeError
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.events import GenerationCompleted
    from voxledger.catalog.query import Page
    from voxledger.catalog.settings import Loaded


State = Literal["local", "stored", "upload failed", "missing", "marked", "purging", "purged"]
Emotion = Literal["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm", "neutral"]


_MADE = (
    "engine_version", "model", "model_revision", "device", "determinism", "seed", "sampling", "emotion_mode", "emotion_asked",
    "emotion_effective", "emotion_strength", "segments", "segments_cached", "streamed", "first_us", "queue_us", "load_us",
    "synthesis_us", "audio_us", "encode_us",
)  # fmt: skip
"""Fields of the record that `show --json` has."""


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    loaded: Loaded

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""


class Commands:
    """The commands about clips, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door], *, spectrogram: Callable[[Path, int], bytes]) -> None:
        """`spectrogram` draws a file of audio as a PNG, given the sample rate on record: the work of a floor beside this."""
        self._opened = opened
        self._spectrogram = spectrogram

    def add_to(self, app: App) -> None:
        """Register them."""
        clips = App(name="clips", help="Find clips, and pin, tag or play one.")
        clips.default(self.clips)
        for command in (self.history, self.tag, self.untag, self.pin, self.unpin, self.rate, self.play):
            clips.command(command)
        app.command(clips)
        app.command(self.show)

    def clips(
        self,
        *,
        actor: str | None = None,
        session: str | None = None,
        emotion: Emotion | None = None,
        language: str | None = None,
        voice: str | None = None,
        tag: str | None = None,
        state: State | None = None,
        where: Annotated[str | None, Parameter(allow_leading_hyphen=True)] = None,
        order: Annotated[str, Parameter(allow_leading_hyphen=True)] = "-created",
        limit: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
        after: str | None = None,
        as_of: str | None = None,
        json: bool = False,
    ) -> None:
        """List clips, the newest first unless another order is asked for.

        When there are more than were asked for, the last line names the token that `--after` takes for the next page. Pages
        neither overlap nor miss a clip while others arrive. With `--json`, standard output holds clips and nothing else; the
        token goes to standard error, as `{"next": "…"}`.

        **Examples**

            voxledger clips
            voxledger clips --emotion sad --language zh --limit 50
            voxledger clips --where "plays = 0 AND duration_s > 10" --order -bytes
            voxledger clips --as-of 2026-03-01 --tag on-air
            voxledger clips --state local --json | jq -r .path

        Parameters
        ----------
        actor
            Only this actor's.
        session
            Only this session's.
        emotion
            Only with this dominant emotion.
        language
            Only in this language; en includes en-GB.
        voice
            Only made with this voice: its name, or the SHA-256 of its recording (8 digits or more).
        tag
            Only with this tag.
        state
            Only in this state.
        where
            Only where this expression over the columns of `clips` (docs/sql.md) is true.
        order
            created, last_used, stored, duration, bytes, text_length, plays, reuses, loudness, name, actor, session, language,
            emotion, engine or voice; a hyphen in front puts the largest first. Clips without a value come last.
        limit
            How many at most.
        after
            Go on after an earlier page: the token that it ended with.
        as_of
            As it was then: 2026-03-01T12:00:00Z, 2026-03-01 (the end of that day), or 7d (seven days ago). Days, and times
            without an offset, are those of general.time_zone.
        json
            Print one JSON document a line.
        """
        from voxledger.catalog.query.moment import moment_of
        from voxledger.catalog.query.page import pages

        filters: dict[str, Any] = {
            "actor": actor, "session": session, "emotion": emotion, "language": language, "voice": voice, "tag": tag,
            "state": state, "where": where,
        }  # fmt: skip
        with self._opened() as door:
            moment = moment_of("--as-of", as_of, door.loaded.settings.general.time_zone)
            ask = partial(door.catalog.clips, **filters, order=order, as_of=moment)
            found = pages(ask, limit=limit, after=after)
        if json:
            terminal.print_json_lines(clip.as_dict() for clip in found)
            if found.next:
                sys.stderr.write(f'{{"next": "{found.next}"}}\n')
        else:
            _print_page(found, filtered=bool(after or as_of or any(filters.values())))

    def show(self, clip: str, /, *, spectrogram: Path | None = None, json: bool = False) -> None:
        """Show everything about one clip.

        **Examples**

            voxledger show 8f3a91c2
            voxledger show 8f3a91c2 --spectrogram tide.png
            voxledger show 8f3a91c2 --json

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        spectrogram
            A PNG file to draw its sound into: bands of the mel scale over time.
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.shown import print_clip

        with self._opened() as door:
            found = door.catalog.clip(clip)
            try:
                made = door.catalog.record(found)
            except ClipNotFound:  # it was adopted: nobody knows how it was made
                made = None
            if spectrogram is not None:
                self._draw(found, spectrogram)
        if json:
            terminal.print_json({**found.as_dict(), "text": found.text, "made": _how(made)})
            return
        print_clip(found, made)
        if spectrogram is not None:
            terminal.console.print(f"spectrogram in [bold]{spectrogram}[/]", soft_wrap=True)

    def _draw(self, clip: Clip, target: Path) -> None:
        picture = self._spectrogram(clip.local(), clip.sample_rate)
        try:
            target.write_bytes(picture)
        except OSError as error:
            raise HomeError(f"{target} could not be written: {error.strerror}; give another file") from error

    def history(self, clip: str, /, *, json: bool = False) -> None:
        """Tell everything that happened to one clip, the oldest first.

        **Examples**

            voxledger clips history 8f3a91c2
            voxledger clips history 8f3a91c2 --json | jq -r .sentence

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it; the whole id also of one whose attempt failed.
        json
            Print one JSON document a line.
        """
        from voxledger.catalog.query.shown import print_history

        with self._opened() as door:
            found = door.catalog.history(clip)
        if json:
            terminal.print_json_lines(happening.as_dict() for happening in found)
        else:
            print_history(found)

    def tag(self, clip: str, /, *tags: str, json: bool = False) -> None:
        """Put tags on a clip.

        **Examples**

            voxledger clips tag 8f3a91c2 draft chapter-1
            voxledger clips tag 8f3a91c2 draft --json | jq .tags

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        tags
            One or more.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            _print_change("tagged", door.catalog.tag(clip, *tags), json=json)

    def untag(self, clip: str, /, *tags: str, json: bool = False) -> None:
        """Take tags off a clip.

        **Examples**

            voxledger clips untag 8f3a91c2 draft

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        tags
            One or more.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            _print_change("untagged", door.catalog.untag(clip, *tags), json=json)

    def pin(self, clip: str, /, *, reason: str | None = None, until: str | None = None, json: bool = False) -> None:
        """Pin a clip: no rule expires it, for good or until a day. A later pin takes the place of the earlier one.

        **Examples**

            voxledger clips pin 8f3a91c2 --reason "the take that went on air"
            voxledger clips pin 8f3a91c2 --reason "until the season ends" --until 2027-06-30
            voxledger clips pin 8f3a91c2 --until 30d

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        reason
            Why, for those who ask later.
        until
            When it ends by itself: 2027-06-30T12:00:00Z, 2027-06-30 (the end of that day), or 30d (in thirty days).
        json
            Print one JSON document.
        """
        from voxledger.catalog.query.moment import end_of

        with self._opened() as door:
            ends = end_of("--until", until, door.loaded.settings.general.time_zone)
            done = f"pinned until {ends:%Y-%m-%d %H:%M} UTC" if ends else "pinned"
            _print_change(done, door.catalog.pin(clip, reason=reason, until=ends), json=json)

    def unpin(self, clip: str, /, *, json: bool = False) -> None:
        """Take the pin off a clip.

        **Examples**

            voxledger clips unpin 8f3a91c2

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            _print_change("unpinned", door.catalog.unpin(clip), json=json)

    def rate(
        self,
        clip: str,
        rating: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=5))],
        /,
        *,
        json: bool = False,
    ) -> None:
        """Say how good a clip is, from 1 to 5. Keep rules (`rated = 4`, `best`) and budgets heed it; the newest rating counts.

        **Examples**

            voxledger clips rate 8f3a91c2 5

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        rating
            From 1 to 5, 5 being the best.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            _print_change(f"rated {rating}", door.catalog.rate(clip, rating), json=json)

    def play(self, clip: str, /) -> None:
        """Play a clip on this machine's loudspeaker; it is fetched from the store when it is not here.

        **Examples**

            voxledger clips play 8f3a91c2

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        """
        with self._opened(channel="cli") as door:
            door.catalog.clip(clip).play()


def _how(made: GenerationCompleted | None) -> dict[str, Any] | None:
    """What `--json` tells of how a clip was made; None when nobody recorded it."""
    return {name: getattr(made, name) for name in _MADE} if made is not None else None


def _print_page(found: Page, *, filtered: bool) -> None:
    from voxledger.catalog.query.shown import print_clips

    if found:
        print_clips(found)
    elif filtered:
        terminal.console.print("No clip fits these conditions.")
    else:
        terminal.console.print('There are no clips yet. [dim]`voxledger say "Hello."` makes one.[/]')
    if found.next:
        terminal.console.print(f"[dim]there are more; the next ones:[/] --after {found.next}", soft_wrap=True)


def _print_change(what: str, clip: Clip, *, json: bool) -> None:
    if json:
        terminal.print_json(clip.as_dict())
        return
    line = terminal.text(f"{clip.short} {what}")
    if clip.tags:
        line.append(f" · tags: {', '.join(clip.tags)}", style="dim")
    terminal.console.print(line)
