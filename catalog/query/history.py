"""The history of a clip: every event about it, in words; and the one that made it, as it was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from voxledger.catalog.errors import EventRejected, VaultError
from voxledger.catalog.events import Event, Fact, GenerationCompleted, Unknown, decode_fact
from voxledger.catalog.queries import load
from voxledger.catalog.query.wording import wording

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.catalog.recorder import Recorder

_SQL = load("history.sql", "voxledger.catalog.query")
_END = 2**63 - 1


class Happening(msgspec.Struct, frozen=True, kw_only=True):
    """One event in the life of a clip. `actor` is who did it, None once erased; `time` is when, in UTC.

    `position` is its place in the log; a node does not tell it to whoever sees only the own clips.
    """

    position: int | None
    time: datetime
    type: str
    version: int
    actor: str | None
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        return {**msgspec.structs.asdict(self), "time": self.time.isoformat()}


class Told(NamedTuple):
    """An event, what it says (None where that cannot be read any more), and who did it (None once erased)."""

    event: Event
    fact: Fact | Unknown | None
    actor: str | None


def history(clip: str, reading: Reading, recorder: Recorder) -> list[Happening]:
    """Every event about a clip, given by its whole id, in the order in which they were recorded."""
    return [_happening(row, clip, recorder) for row in reading.rows(_SQL["history"], {"clip": clip})]


def newest(clip: str, reading: Reading, recorder: Recorder, *, limit: int, before: int | None = None) -> list[Told]:
    """The newest events about a clip, given by its whole id, before a position if one is given; the newest first."""
    given = {"clip": clip, "before": _END if before is None else before, "limit": limit}
    return [_told(_event(row, clip), recorder) for row in reading.rows(_SQL["newest"], given)]


def record(clip: str, reading: Reading, recorder: Recorder) -> GenerationCompleted | None:
    """What was recorded when a clip, given by its whole id, was made; None when there is no such record."""
    for row in reading.rows(_SQL["record"], {"clip": clip}):
        event = _event(row, clip)
        fact = decode_fact(event, recorder.unsealed(event))
        if isinstance(fact, GenerationCompleted):
            return fact
    return None


def _told(event: Event, recorder: Recorder) -> Told:
    key = recorder.vault.key(event.actor)
    fact: Fact | Unknown | None
    try:
        fact = decode_fact(event, recorder.unsealed(event))
    except (EventRejected, VaultError, ValueError, msgspec.MsgspecError):
        fact = None
    return Told(event, fact, key.label if key else None)


def _event(row: Mapping[str, Any], clip: str) -> Event:
    return Event(
        id=row["id"],
        source=row["source"],
        type=row["type"],
        subject=clip,
        time=row["time"].astimezone(UTC),
        position=row["position"],
        recorded=row["recorded"].astimezone(UTC),
        actor=row["actor"],
        version=row["version"],
        data=msgspec.Raw(row["data"].encode()),
        sealed=row["sealed"],
    )


def _happening(row: Mapping[str, Any], clip: str, recorder: Recorder) -> Happening:
    event = _event(row, clip)
    key = recorder.vault.key(event.actor)
    label = key.label if key else None
    return Happening(
        position=event.position,
        time=event.time,
        type=event.type,
        version=event.version,
        actor=label,
        sentence=_sentence(event, label, recorder),
    )


def _sentence(event: Event, actor: str | None, recorder: Recorder) -> str:
    """What an event says. One that cannot be read any more is part of the history as well."""
    try:
        return wording(decode_fact(event, recorder.unsealed(event)), actor)
    except (EventRejected, VaultError, ValueError, msgspec.MsgspecError) as error:
        return f"{event.type} v{event.version}, which cannot be read: {error}"
