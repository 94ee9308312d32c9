"""Selection: clips that somebody picked by hand, or all that fit what they look at, and what is done to them together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from voxledger.catalog.clip import Clip
from voxledger.dashboards.api import curating, listing, retention
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.curating import Changes, Pin, Tag
from voxledger.dashboards.api.holds import Placing
from voxledger.dashboards.api.listing import clips_with
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library.shelf import condition, page_of
from voxledger.dashboards.pages.library.wanted import Wanted

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

MOST = 10_000
"""Most clips that something is done to at once: it is one request, and its events are as many."""


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
    """Do it, a thousand clips at a time; each thousand is recorded together or not at all. Tells how many, and which were changed."""
    told: dict[str, list[str]] = {"changed": [], "unchanged": [], "missing": [], "purged": []}
    for ids in _pieces(ids_of(doing, caller, zone), curating.MOST):
        changes = Changes.model_validate({
            "clips": ids, "tag": doing.tag, "untag": doing.untag, "rating": doing.rating, "pin": doing.pin, "unpin": doing.unpin,
        })  # fmt: skip
        for name, found in curating.change(changes, caller).items():
            told[name] += found
    return {**{name: len(found) for name, found in told.items() if name != "changed"}, "changed": told["changed"]}


def ids_of(selection: Selection, caller: Caller, zone: str) -> list[str]:
    """The ids. Raises Refused for more than `MOST`, and for more than were confirmed."""
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
    while True:
        page = page_of(
            wanted.model_copy(update={"cursor": cursor}), caller, zone, limit=listing.MOST, before=selection.before
        )
        yield from page.clips
        cursor = page.next
        if cursor is None:
            return


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


def _more(confirmed: int) -> Refused:
    return Refused(
        f"by now more than the {confirmed:,} clips fit that you were asked about",
        status=409,
        code="changed",
        remedy="Select all of them again.",
    )
