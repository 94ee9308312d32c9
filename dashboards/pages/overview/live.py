"""Live: the newest attempts to make a clip, and each further one as it happens, as far as whoever looks may see them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import msgspec

from voxledger.analytics.report import wording
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.feed import Feed
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.positions import Positions
from voxledger.dashboards.pages.overview.figures import SQL, seen

if TYPE_CHECKING:
    from voxledger.catalog.events import Event
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller

ROWS = 12
"""Attempts that are shown."""
OUTCOMES = {
    "GenerationCompleted": "completed",
    "GenerationFailed": "failed",
    "GenerationCancelled": "cancelled",
    "GenerationReused": "reused",
}
_LOOK = 0.3
"""Seconds between two looks whether something has happened."""
_STATE = 2.0
"""Seconds between two looks at what waits."""
_AGAIN = 5.0
"""Seconds between two looks whether a token that follows still may."""
_HEARTBEAT = 15.0
_STEP = 500
_encode = msgspec.json.Encoder().encode


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt as a row shows it. `title` is what the clip is called, else what it says; None where neither is known."""

    time: datetime
    outcome: str
    clip: str
    title: str | None = None
    actor: str | None = None
    voice: str | None = None
    engine: str | None = None
    language: str | None = None
    emotion: str | None = None
    duration_us: int | None = None
    suspect: tuple[str, ...] = ()
    failure: str | None = None
    remedy: str | None = None
    gone: bool = False

    @property
    def playable(self) -> bool:
        """Whether there is audio."""
        return self.outcome in ("completed", "reused") and not self.gone


def newest(caller: Caller) -> tuple[list[Attempt], str | None]:
    """The newest attempts that the caller sees, and from where on others follow. Raises QueryError."""
    whose, values = seen(caller)
    given = {**values, "limit": ROWS}
    with asked(caller) as reading:
        place = int(reading.tuples(SQL["position"])[0][0])
        places = [
            found
            for query in ("newest_clips", "newest_others")
            for (found,) in reading.tuples(SQL[query].format(whose=whose), given)
        ]
        rows = reading.rows(SQL["attempts"], {"positions": sorted(places, reverse=True)[:ROWS]}) if places else []
        found = _attempts(rows, reading)
    return found, Positions(caller.site.door.vault).cursor(place, caller)


def _attempts(rows: Sequence[dict[str, Any]], reading: Reading) -> list[Attempt]:
    ids = [row["clip"] for row in rows if row["outcome"] in ("completed", "reused")]
    clips = {row["clip"]: row for row in reading.rows(SQL["clips"], {"ids": ids})} if ids else {}
    return [_attempt(row, clips.get(row["clip"], {})) for row in rows]


def _attempt(row: dict[str, Any], clip: dict[str, Any]) -> Attempt:
    title = wording.title(clip.get("name"), clip.get("text"), row["language"], row["emotion"])
    return Attempt(
        time=row["time"], outcome=row["outcome"], clip=row["clip"], actor=row["actor"], engine=row["engine"],
        language=row["language"], emotion=row["emotion"], duration_us=row["duration_us"], failure=row["failure"],
        remedy=row["remedy"], title=title or None, voice=clip.get("voice"), suspect=tuple(clip.get("suspect") or ()),
        gone=bool(clip.get("gone", row["outcome"] == "reused")),
    )  # fmt: skip


class Following:
    """What happens from a place in the log on, for one caller."""

    def __init__(self, caller: Caller, after: str | None) -> None:
        """Raises Refused for a place that is not the caller's, QueryError for one that is not there yet."""
        self._caller = caller
        self._positions = Positions(caller.site.door.vault)
        place = self._positions.read(after, caller)
        self._feed = Feed(
            caller.ledger.keeper,
            since=None if place is None else place + 1,
            types=list(OUTCOMES),
            follow=True,
            most=_STEP,
        )

    @property
    def cursor(self) -> str | None:
        """Where to go on."""
        return self._positions.cursor(self._feed.position, self._caller)

    def step(self) -> list[Attempt] | None:
        """What happened, the newest first, at most `ROWS` of it; None when nothing follows now."""
        events = self._feed.step()
        if events is None:
            return None
        own = self._caller.principal.sees
        if own is not None:
            key = self._caller.ledger.vault.known(own)
            events = [event for event in events if key is not None and event.actor == key.id]
        return self._told(list(events)[: -ROWS - 1 : -1])

    def _told(self, events: list[Event]) -> list[Attempt]:
        reused = [event.subject for event in events if event.type == "GenerationReused"]
        clips: dict[str, dict[str, Any]] = {}
        if reused:
            with asked(self._caller, fresh=False) as reading:
                clips = {row["clip"]: row for row in reading.rows(SQL["clips"], {"ids": reused})}
        return [self._of(event, clips.get(event.subject)) for event in events]

    def _of(self, event: Event, clip: dict[str, Any] | None) -> Attempt:
        data = msgspec.json.decode(event.data)
        personal = self._caller.ledger.recorder.unsealed(event) or {}
        said = clip or {"name": personal.get("name"), "text": personal.get("text"), "voice": personal.get("voice_name")}
        row = {
            "time": event.time, "outcome": OUTCOMES[event.type], "clip": event.subject, "actor": personal.get("actor_label"),
            **{name: data.get(name) for name in ("engine", "language", "emotion", "duration_us", "failure", "remedy")},
        }  # fmt: skip
        text = said.get("text")
        return _attempt(
            row, {"suspect": data.get("suspect"), "gone": False, **said, "text": text[:200] if text else None}
        )


async def lines(
    following: Following,
    *,
    render: Callable[[Sequence[Attempt]], str],
    state: Callable[[], str],
    check: Callable[[], object],
    stopping: threading.Event,
) -> AsyncIterator[bytes]:
    """Server-sent events: `attempts` with rows as HTML, `state` with what waits whenever it has changed.

    `check` raises for whoever may follow no longer.
    """
    yield b"retry: 3000\n\n"
    said = checked = time.monotonic()
    looked, before = 0.0, ""
    try:
        while not stopping.is_set():
            present = time.monotonic()
            if present - checked > _AGAIN:
                check()
                checked = present
            found = await anyio.to_thread.run_sync(following.step)
            if found:
                shown = await anyio.to_thread.run_sync(render, found)
                yield _event("attempts", {"html": shown, "clips": [each.clip for each in found]}, following.cursor)
                said = present
            if present - looked > _STATE:
                looked, after = present, await anyio.to_thread.run_sync(state)
                if after != before:
                    before, said = after, present
                    yield _event("state", {"html": after}, following.cursor)
            if present - said > _HEARTBEAT:
                yield b": alive\n\n"
                said = present
            if not found:
                await asyncio.sleep(_LOOK)
    except VoxledgerError:
        yield b"event: end\ndata: {}\n\n"


def _event(name: str, content: dict[str, Any], cursor: str | None) -> bytes:
    return f"id: {cursor}\nevent: {name}\ndata: ".encode() + _encode(content) + b"\n\n"
