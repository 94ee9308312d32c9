"""The feed: what the log and its projections tell the index, in pieces that fit into memory.

A piece is read as the clips are now, not as they were at its end: what changed since is told again by a later piece, and
changes nothing then. So the index equals `clips` as soon as it has reached the head, whatever came in between.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from voxledger.catalog.log import PATIENCE, Keeper
from voxledger.catalog.queries import load

CLIPS = 20_000
"""Most clips of one piece."""
_EVENTS = 100_000
_CHARACTERS = 8_000_000
_SQL = load("feed.sql", "voxledger.catalog.search")


class Made(NamedTuple):
    """A clip that can be found. `created` is µs since the epoch, `tags` a JSON array."""

    position: int
    clip: bytes
    created: int
    actor: str
    emotion: str
    language: str
    voice: str | None
    voice_sha256: str | None
    name: str
    tags: str
    text: str


class Retagged(NamedTuple):
    """A clip whose tags changed."""

    position: int
    tags: str


class Erased(NamedTuple):
    """Somebody was forgotten at this position: all their clips before it must not be found any more."""

    position: int
    scope: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Piece:
    """What happened after `after`, up to and including `through`; `event` is the last one up to there.

    `stale`: somebody was erased, and the tables must be rebuilt before they say what is left of the tags.
    """

    after: int
    through: int
    event: str
    made: list[Made] = field(repr=False)
    retagged: list[Retagged] = field(repr=False)
    erased: list[Erased]
    stale: bool


def read(keeper: Keeper, after: int, event: str, head: int, *, patience: float = PATIENCE) -> Piece | None:
    """The piece that follows `after`; None when `event` is not the last event up to there: it is another log.

    The log must have been drained up to `head`: then the projections are not behind it. Raises CatalogBusy, LogCorrupt.
    """
    with keeper.reading(fresh=False, patience=patience) as reading:
        if after and reading.tuples(_SQL["event"], {"position": after}) != [(event,)]:
            return None
        end = min(head, after + _EVENTS)
        limits = {"after": after, "end": end, "clips": CLIPS, "characters": _CHARACTERS}
        through = reading.tuples(_SQL["reach"], limits)[0][0] or end
        piece = {"after": after, "through": through}
        known = reading.tuples(_SQL["event"], {"position": through})
        told = reading.tuples(_SQL["told"], piece)
        erased = [Erased(place, scope, target) for place, kind, _, scope, target in told if kind == "SubjectErased"]
        clips = {subject for _, kind, subject, _, _ in told if kind != "SubjectErased"}
        actors = [gone.target for gone in erased if gone.scope == "actor"]
        if actors:
            clips |= {row[0] for row in reading.tuples(_SQL["tagged_by"], {"actors": actors, "through": through})}
        retagged = reading.tuples(_SQL["retagged"], {"after": after, "clips": sorted(clips)}) if clips else []
        return Piece(
            after=after,
            through=through,
            event=known[0][0] if known else "",
            made=[Made(*row) for row in reading.tuples(_SQL["made"], piece)],
            retagged=[Retagged(*row) for row in retagged],
            erased=erased,
            stale=bool(actors and reading.tuples(_SQL["stale"])),
        )
