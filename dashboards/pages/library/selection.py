"""Selection: clips that somebody picked by hand, or all that fit what they look at, and what is done to them together."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from voxledger.catalog.clip import Clip
from voxledger.dashboards.api import curating, listing, retention
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.curating import Change, Changes, Pin, Tag
from voxledger.dashboards.api.holds import Placing
from voxledger.dashboards.api.listing import clips_with
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library.shelf import condition, page_of
from voxledger.dashboards.pages.library.wanted import Wanted

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

MOST = 10_000
"""Most clips that something is done to at once: it is one request, and its events are as many."""
PATIENCE = 10.0
"""Seconds for which clips with some words are looked through for those that fit filters."""
LOOKED = 50_000
"""Most clips with some words that are looked through."""
_ROOM = 1_500_000
"""Most characters that an undo is sent as: a node takes bodies of 2 MB (`serve.max_body`)."""


class Selection(BaseModel):
    """Clips by their ids; or `all` that fit the query of an address and were there at a moment, as somebody has confirmed."""

    model_config = ConfigDict(extra="forbid")

    clips: list[UUID] = Field([], max_length=MOST)
    all: str | None = Field(None, max_length=8000)
    before: AwareDatetime | None = None
    confirmed: int | None = Field(None, ge=0)
    """How many clips somebody was told that it is about."""

    @model_validator(mode="after")
    def _one_of_them(self) -> Selection:
        if (self.all is None) != bool(self.clips) or (self.all is not None and self.before is None):
            raise ValueError("name clips, or all that fit with the moment at which they were counted")
        return self

    @property
    def wanted(self) -> Wanted:
        """What `all` of them fit. Raises Refused."""
        return read(self.all or "")


class Doing(Selection):
    """What is to be done to a selection."""

    tag: list[Tag] = Field([], max_length=100)
    untag: list[Tag] = Field([], max_length=100)
    rating: int | None = Field(None, ge=1, le=5)
    pin: Pin | None = None
    unpin: bool = False


class Restoring(BaseModel):
    """What makes clips again what they were: `back` of the answer to a change."""

    model_config = ConfigDict(extra="forbid")

    back: list[Changes] = Field(min_length=1, max_length=MOST)

    @model_validator(mode="after")
    def _not_more(self) -> Restoring:
        if sum(len(changes.clips) for changes in self.back) > MOST:
            raise ValueError(f"these are more than {MOST:,} clips")
        return self


class Holding(Selection):
    """A selection that is to be held."""

    reason: str = Field(min_length=1, max_length=2000)
    until: str | None = Field(None, max_length=100)


def read(query: str) -> Wanted:
    """The query of an address. Raises Refused for one that cannot be understood."""
    try:
        given = parse_qs(query.removeprefix("?"), max_num_fields=200)
        several = {name for name, field in Wanted.model_fields.items() if isinstance(field.default, list)}
        return Wanted.model_validate(
            {name: values if name in several else values[-1] for name, values in given.items()}
        )
    except (ValidationError, ValueError) as error:
        raise Refused(
            "these filters cannot be understood", status=400, code="query", remedy="Reload the library."
        ) from error


def change(doing: Doing, caller: Caller, zone: str) -> dict[str, Any]:
    """Do it, a thousand clips at a time; each thousand is recorded together or not at all.

    Tells which clips were changed and how many were not; `back` is what `restore` makes them again what they were with, and
    `lasting` how many of them it cannot.
    """
    wanted = Change.model_validate(doing.model_dump(include=set(Change.model_fields)))
    told, back = _each(dict.fromkeys(ids_of(doing, caller, zone), wanted), caller)
    ways = _ways(back)
    kept = sum(len(way["clips"]) for way in ways)
    return {**told, "back": ways, "lasting": len(told["changed"]) - kept}


def restore(restoring: Restoring, caller: Caller) -> dict[str, Any]:
    """Make clips again what they were, and tell of it as `change` does. A pin that would be over by now is taken off."""
    now = datetime.now(UTC)
    wanted = {str(clip): _still(changes, now) for changes in restoring.back for clip in changes.clips}
    return _each(wanted, caller)[0]


def _each(wanted: Mapping[str, Change], caller: Caller) -> tuple[dict[str, Any], dict[str, Change]]:
    changed: list[str] = []
    counts = dict.fromkeys(("unchanged", "missing", "purged"), 0)
    back: dict[str, Change] = {}
    for ids in _pieces(list(wanted), curating.MOST):
        done = curating.change({identity: wanted[identity] for identity in ids}, caller)
        changed += done.changed
        back |= done.back
        for name in counts:
            counts[name] += len(done.told()[name])
    return {"changed": changed, **counts}, back


def _ways(back: Mapping[str, Change]) -> list[dict[str, Any]]:
    """The ways back, each with the clips that go it; none when that is too much to be sent."""
    clips: dict[str, list[str]] = {}
    for identity, change in back.items():
        clips.setdefault(change.model_dump_json(exclude_defaults=True), []).append(identity)
    clips.pop("{}", None)
    if sum(len(way) + 40 * len(ids) for way, ids in clips.items()) > _ROOM:
        return []
    return [
        {"clips": ids, **json.loads(way)} for way, all_ids in clips.items() for ids in _pieces(all_ids, curating.MOST)
    ]


def _still(change: Change, now: datetime) -> Change:
    over = change.pin is not None and change.pin.until is not None and change.pin.until <= now
    return change.model_copy(update={"pin": None, "unpin": True}) if over else change


def ids_of(selection: Selection, caller: Caller, zone: str) -> list[str]:
    """The ids. Raises Refused for more than `MOST`, for more than were confirmed, and where finding them takes too long."""
    if selection.all is None:
        return list(dict.fromkeys(map(str, selection.clips)))
    found: list[str] = []
    for clip in _all(selection, caller, zone):
        found.append(clip.id)
        if selection.confirmed is not None and len(found) > selection.confirmed:
            raise _more(selection.confirmed)
        if len(found) > MOST:
            raise _many()
    return found


def clips_of(selection: Selection, caller: Caller, zone: str) -> Iterator[Clip]:
    """The clips themselves, a few hundred at a time. Raises Refused like `ids_of`, before the first."""
    ids = ids_of(selection, caller, zone)

    def given() -> Iterator[Clip]:
        for piece in _pieces(ids, listing.MOST):
            with asked(caller, fresh=False) as reading:
                clips = clips_with(piece, reading, caller)
            yield from clips

    return given()


def placed(holding: Holding, caller: Caller, zone: str) -> Placing:
    """The hold. All that fit filters, however many, are a condition; those found by words are a list of ids. Raises Refused."""
    told = {"reason": holding.reason, "until": holding.until}
    if holding.all is not None and holding.wanted.q is None:
        return Placing(where=condition(holding.wanted, zone, before=holding.before), **told)  # type: ignore[arg-type]  # texts
    ids = ids_of(holding, caller, zone)
    if len(ids) > retention.MOST:
        raise Refused(
            f"a hold of clips that are named takes {retention.MOST:,} at most, not {len(ids):,}",
            status=400,
            code="too_many",
            remedy="Select by filters, without words, and hold all that match.",
        )
    return Placing(clips=ids, **told)  # type: ignore[arg-type]  # texts


def moment() -> datetime:
    """What is made from now on belongs to no selection."""
    return datetime.now(UTC)


def _all(selection: Selection, caller: Caller, zone: str) -> Iterator[Clip]:
    wanted, cursor = selection.wanted, None
    ends, looked = time.monotonic() + PATIENCE, 0
    while True:
        page = page_of(
            wanted.model_copy(update={"cursor": cursor}), caller, zone, limit=listing.MOST, before=selection.before
        )
        yield from page.clips
        cursor = page.next
        if cursor is None:
            return
        looked += page.looked
        if wanted.q is not None and (looked >= LOOKED or time.monotonic() >= ends):
            raise _far(looked)


def _pieces(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def _many() -> Refused:
    return Refused(
        f"more than {MOST:,} clips fit, too many for one go",
        status=400,
        code="too_many",
        remedy="Narrow it down, for example by date, and go on with the rest.",
    )


def _far(looked: int) -> Refused:
    return Refused(
        f"{looked:,} clips with these words were looked through, and there are still more",
        status=400,
        code="too_many",
        remedy="Narrow it down: with more words, or an emotion, a language, a person or a voice.",
    )


def _more(confirmed: int) -> Refused:
    return Refused(
        f"by now more than the {confirmed:,} clips fit that you were asked about",
        status=409,
        code="changed",
        remedy="Select all of them again.",
    )
