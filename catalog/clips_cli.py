"""Commands about clips: `clips`, and `clips show | tag | untag | pin | unpin | play`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import App, Parameter, validators

from voxledger.catalog import terminal
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.clip import Clip


State = Literal["local", "stored", "upload failed", "marked", "purging", "purged"]
Emotion = Literal["happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm", "neutral"]


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    @property
    def catalog(self) -> Catalog:
        """Finds clips."""


class Commands:
    """The commands about clips, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        clips = App(name="clips", help="Find clips, and pin, tag or play one.")
        clips.default(self.clips)
        for command in (self.show, self.tag, self.untag, self.pin, self.unpin, self.play):
            clips.command(command)
        app.command(clips)

    def clips(
        self,
        *,
        actor: str | None = None,
        session: str | None = None,
        emotion: Emotion | None = None,
        language: str | None = None,
        tag: str | None = None,
        state: State | None = None,
        limit: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 20,
        json: bool = False,
    ) -> None:
        """List the newest clips.

        **Examples**

            voxledger clips
            voxledger clips --emotion sad --language zh --limit 50
            voxledger clips --state local --json

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
        tag
            Only with this tag.
        state
            Only in this state.
        limit
            How many at most.
        json
            Print one JSON document a line.
        """
        with self._opened() as door:
            found = door.catalog.clips(
                actor=actor, session=session, emotion=emotion, language=language, tag=tag, state=state, limit=limit + 1
            )
        if json:
            terminal.print_json_lines(clip.as_dict() for clip in found[:limit])
        elif not found and any((actor, session, emotion, language, tag, state)):
            terminal.console.print("No clip fits these conditions.")
        elif not found:
            terminal.console.print('There are no clips yet. [dim]`voxledger say "Hello."` makes one.[/]')
        else:
            _print_clips(found[:limit])
            if len(found) > limit:
                terminal.console.print(f"[dim]the newest {limit:,}; --limit shows more[/]")

    def show(self, clip: str, /, *, json: bool = False) -> None:
        """Show everything about one clip.

        **Examples**

            voxledger clips show 8f3a91c2
            voxledger clips show 8f3a91c2 --json

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.catalog.clip(clip)
        if json:
            terminal.print_json({**found.as_dict(), "text": found.text})
            return
        facts = terminal.table("", "what", "value")
        told = {
            **found.as_dict(),
            "duration": f"{found.duration:.2f} s",
            "bytes": terminal.size(found.bytes),
            "sample_rate": f"{found.sample_rate} Hz",
            "loudness_lufs": None if found.loudness_lufs is None else f"{found.loudness_lufs:.1f}",
            "tags": ", ".join(found.tags),
            "dropped": ", ".join(found.dropped),
            "text": found.text,
        }
        for name, value in told.items():
            if value not in (None, "", False):
                facts.add_row(
                    name.replace("_lufs", ", LUFS").replace("_", " "), terminal.text("yes" if value is True else value)
                )
        terminal.console.print(facts)

    def tag(self, clip: str, /, *tags: str) -> None:
        """Put tags on a clip.

        **Examples**

            voxledger clips tag 8f3a91c2 draft chapter-1

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        tags
            One or more.
        """
        with self._opened() as door:
            _print_change("tagged", door.catalog.tag(clip, *tags))

    def untag(self, clip: str, /, *tags: str) -> None:
        """Take tags off a clip.

        **Examples**

            voxledger clips untag 8f3a91c2 draft

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        tags
            One or more.
        """
        with self._opened() as door:
            _print_change("untagged", door.catalog.untag(clip, *tags))

    def pin(self, clip: str, /, *, reason: str | None = None) -> None:
        """Pin a clip: no rule expires it.

        **Examples**

            voxledger clips pin 8f3a91c2 --reason "the take that went on air"

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        reason
            Why, for those who ask later.
        """
        with self._opened() as door:
            _print_change("pinned", door.catalog.pin(clip, reason=reason))

    def unpin(self, clip: str, /) -> None:
        """Take the pin off a clip.

        **Examples**

            voxledger clips unpin 8f3a91c2

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        """
        with self._opened() as door:
            _print_change("unpinned", door.catalog.unpin(clip))

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


def _print_clips(found: list[Clip]) -> None:
    """As many columns as the terminal has room for: a cut id helps nobody."""
    wide = terminal.console.width >= 110
    columns = [
        "id",
        "made",
        "length",
        "language",
        "emotion",
        *(["actor", "session"] if wide else []),
        "name",
        "state",
        *(["tags"] if wide else []),
    ]
    made = terminal.table("", *columns, right=("length",))
    least = {
        "id": 8,
        "made": 11,
        "length": 7,
        "language": 8,
        "emotion": 11,
        "state": 13 if any(clip.pinned for clip in found) else 8,
    }
    for column in made.columns:
        column.no_wrap, column.overflow = True, "ellipsis"
        column.min_width = least.get(str(column.header))
        if column.header == "name" and not wide:
            column.max_width = max(4, terminal.console.width - sum(least.values()) - 3 * len(columns))
    colours = {
        "stored": "green",
        "local": "yellow",
        "upload failed": "red",
        "marked": "magenta",
        "purging": "dim",
        "purged": "dim",
    }
    for clip in found:
        cells: dict[str, Any] = {
            "id": f"[bold]{clip.short}[/]",
            "made": clip.created.astimezone().strftime("%m-%d %H:%M"),
            "length": terminal.length(clip.duration),
            "language": clip.language,
            "emotion": clip.emotion,
            "actor": terminal.text(clip.actor or "·"),
            "session": terminal.text(clip.session or "·"),
            "name": terminal.text(clip.name or "·"),
            "state": f"[{colours[clip.state]}]{clip.state}[/]" + (" [cyan]pinned[/]" if clip.pinned else ""),
            "tags": terminal.text(", ".join(clip.tags)),
        }
        made.add_row(*(cells[column] for column in columns))
    terminal.console.print(made)


def _print_change(what: str, clip: Clip) -> None:
    line = terminal.text(f"{clip.short} {what}")
    if clip.tags:
        line.append(f" · tags: {', '.join(clip.tags)}", style="dim")
    terminal.console.print(line)
