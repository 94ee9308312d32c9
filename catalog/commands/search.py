"""The command `search`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from cyclopts import App, Parameter, validators
from rich.text import Text

from voxledger.catalog import terminal
from voxledger.catalog.commands.clips import Emotion
from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.search import Found, Hit, SearchIndex, Snippet
    from voxledger.catalog.settings import Loaded

_STATES = {
    "stored": "green",
    "local": "yellow",
    "upload failed": "red",
    "missing": "red",
    "marked": "magenta",
    "purging": "dim",
    "purged": "dim",
}
_MARKED = "bold yellow"


class Door(AbstractContextManager["Door"], Protocol):
    """What this command needs of a ledger."""

    loaded: Loaded

    @property
    def search(self) -> SearchIndex:
        """Finds words."""


class Commands:
    """The command that searches, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register it."""
        app.command(self.search)

    def search(
        self,
        *query: Annotated[str, Parameter(allow_leading_hyphen=True)],
        emotion: Emotion | None = None,
        voice: str | None = None,
        language: str | None = None,
        since: str | None = None,
        newest: bool = False,
        limit: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=1000))] = 20,
        after: str | None = None,
        json: bool = False,
    ) -> None:
        """Find clips by words in their texts, names and tags.

        All words must be there; case and accents make no difference. `'"two words"'` follow one another, `begin*` finds
        what begins so. Up to 50,000 matches come best first, more of them newest first. Purged clips are found too.

        **Examples**

            voxledger search tide
            voxledger search '"the tide is turning"' --emotion sad --since 7d
            voxledger search 纪念 --language zh --newest --limit 50
            voxledger search 'chap*' --json | jq -r '.hits[].clip'

        Parameters
        ----------
        query
            Words to look for.
        emotion
            Only clips with this dominant emotion.
        voice
            Only clips with this voice: its name or its whole SHA-256.
        language
            Only clips in this language; en includes en-GB.
        since
            Only clips made since: 2026-03-01T12:00:00Z, 2026-03-01 (the start of that day) or 7d (seven days ago).
        newest
            Newest first, however few match.
        limit
            How many at most.
        after
            Go on after an earlier page; its last line gives the token.
        json
            Print one JSON document. Ranges count code points within the text of their snippet.
        """
        from voxledger.catalog.query.moment import moment_of

        with self._opened() as door, terminal.progress(quiet=json) as bar:
            bars: list[Any] = []

            def show(position: int, end: int) -> None:
                if not bars:
                    bars.append(bar.add_task("The index catches up", total=end))
                bar.update(bars[0], completed=position, total=end)

            index = door.search
            moment = moment_of("--since", since, door.loaded.settings.general.time_zone, day="start")
            found = index.search(
                " ".join(query),
                emotion=emotion, voice=voice, language=language, since=moment,
                limit=limit, after=after, newest=newest, progress=show,
            )  # fmt: skip
            clips = index.clips(found)
        if json:
            hits = [_as_dict(hit, clips.get(hit.clip)) for hit in found.hits]
            facts = {"matches": found.matches, "more": found.many, "ranked": found.ranked}
            terminal.print_json({**facts, "next": found.next, "waiting": found.waiting, "hits": hits})
            return
        if found.hits:
            _print_hits(found, clips)
        options = {"--emotion": emotion, "--voice": voice, "--language": language, "--since": since}
        filtered = [name for name, value in options.items() if value is not None]
        _print_end(found, " ".join(query), filtered)


def _print_hits(found: Found, clips: dict[str, dict[str, Any]]) -> None:
    wide = terminal.console.width >= 110
    columns = ["id", "made", "emotion", "language", "name", "text", *(["tags"] if wide else []), "state"]
    made = terminal.table("", *columns)
    for column in made.columns[:4]:
        column.no_wrap = True
    for hit in found.hits:
        clip = clips.get(hit.clip, {})
        state = str(clip.get("state", "·"))
        pinned = " [cyan]pinned[/]" if clip.get("pinned") else ""
        cells: dict[str, Any] = {
            "id": f"[bold]{hit.short}[/]",
            "made": hit.created.astimezone().strftime("%m-%d %H:%M" if _is_recent(hit.created) else "%Y-%m-%d"),
            "emotion": clip.get("emotion", "·"),
            "language": clip.get("language", "·"),
            "name": _field(hit, "name") or terminal.text(clip.get("name") or "·"),
            "text": _with_tags(hit, wide),
            "tags": _tags(hit, clip),
            "state": f"[{_STATES.get(state, 'dim')}]{state}[/]{pinned}",
        }
        made.add_row(*(cells[column] for column in columns))
    terminal.console.print(made)


def _print_end(found: Found, query: str, filtered: list[str]) -> None:
    """How many matched, in which order they came, and how to go on."""
    if not found.matches:
        hint = (
            f"without {' and '.join(filtered)} there may be some" if filtered else "fewer words, or `begin*`, find more"
        )
        line = terminal.text(f"No clip matches {query[:80]!r}; {hint}.")
    elif found.many:
        line = Text("more than 50,000 match: the newest first", style="dim")
    else:
        order = "the best first" if found.ranked else "the newest first"
        count = terminal.count(found.matches, "match", "matches")
        line = Text(count if found.matches == 1 else f"{count}, {order}", style="dim")
    terminal.console.print(line)
    if found.next:
        terminal.console.print(f"[dim]more with[/] --after {found.next}", soft_wrap=True)
    if found.waiting:
        terminal.console.print(
            f"[yellow]{terminal.count(found.waiting, 'event')} are not in the index yet[/]; search again in a moment"
        )


def _field(hit: Hit, field: str) -> Text | None:
    found = [snippet for snippet in hit.snippets if snippet.field == field]
    return _marked(found[0]) if found else None


def _with_tags(hit: Hit, wide: bool) -> Text:
    """The text; where there is no column for tags, those that matched follow it."""
    shown = _field(hit, "text") or Text("·")
    if not wide:
        for snippet in hit.snippets:
            if snippet.field == "tags":
                shown = shown + Text("  #", style="dim") + _marked(snippet)
    return shown


def _tags(hit: Hit, clip: dict[str, Any]) -> Text:
    matched = {snippet.text: _marked(snippet) for snippet in hit.snippets if snippet.field == "tags"}
    return Text(", ").join(matched.get(tag) or terminal.text(tag) for tag in clip.get("tags", []))


def _marked(snippet: Snippet) -> Text:
    """A snippet with its matches marked."""
    shown = terminal.text(snippet.text.replace("\n", " ").replace("\t", " "))
    for start, end in snippet.ranges:
        shown.stylize(_MARKED, start, end)
    return Text("…" if snippet.cut_before else "") + shown + Text("…" if snippet.cut_after else "")


def _is_recent(when: datetime) -> bool:
    return abs(datetime.now(UTC) - when) < timedelta(days=300)


def _as_dict(hit: Hit, clip: dict[str, Any] | None) -> dict[str, Any]:
    """What `--json` prints of a hit."""
    known = {name: value for name, value in (clip or {}).items() if name not in ("id", "short", "created")}
    return {
        "clip": hit.clip, "short": hit.short, "created": hit.created.isoformat(), "position": hit.position, "score": hit.score,
        **known,
        "snippets": [
            {"field": part.field, "text": part.text, "start": part.start, "ranges": [list(pair) for pair in part.ranges],
             "cut_before": part.cut_before, "cut_after": part.cut_after}
            for part in hit.snippets
        ],
    }  # fmt: skip
