"""Curating: tags, ratings and pins, of one clip or of many."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from voxledger.catalog.catalog import check_tag
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import ClipPinned, ClipRated, ClipTagged, ClipUnpinned, ClipUntagged, Fact
from voxledger.catalog.query.moment import check_end
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.audio import Reference
from voxledger.dashboards.api.listing import clips_with
from voxledger.dashboards.api.shapes import ID, ClipShape, Shape, faults, told
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

MOST = 1000
"""Most clips that are changed together."""
Curator = Annotated[Caller, Depends(may("curate"))]
Tag = Annotated[str, Field(min_length=1, max_length=128)]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("it lies outside of the years that there are") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class Tagging(BaseModel):
    """Tags to put on a clip."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"tags": ["on-air"]}]})

    tags: list[Tag] = Field(min_length=1, max_length=100)


class Rating(BaseModel):
    """How good a clip is: 5 is the best."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rating": 4}]})

    rating: int = Field(ge=1, le=5)


class Pin(BaseModel):
    """A pin: no rule expires the clip while it is there."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "the trailer", "until": "2027-01-01T00:00:00Z"}]}
    )

    reason: str | None = Field(None, max_length=1000)
    until: Moment | None = Field(None, description="When it ends by itself; without it, never.")


class Changes(BaseModel):
    """The same changes to many clips. What a clip has already stays as it is."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"clips": [ID], "tag": ["on-air"], "untag": [], "rating": 4}]}
    )

    clips: list[UUID] = Field(min_length=1, max_length=MOST, description="Whole ids.")
    tag: list[Tag] = Field([], max_length=100)
    untag: list[Tag] = Field([], max_length=100)
    rating: int | None = Field(None, ge=1, le=5)
    pin: Pin | None = None
    unpin: bool = False


class Changed(Shape):
    """What became of it: the clips that were changed, those that had it all already, those that are not there (or not for this
    caller), and those whose audio is gone and takes no tag or pin.
    """

    changed: list[str]
    unchanged: list[str]
    missing: list[str]
    purged: list[str]


def router(site: Site) -> APIRouter:  # noqa: ARG001  # every room's router takes it
    """Tags, rating and pin of a clip, and changes to many."""
    routes = APIRouter(tags=["clips"])

    @routes.post("/api/clips/bulk", summary="Change many clips", response_model=Changed, responses=faults(507))
    def change_clips(changes: Changes, caller: Curator) -> dict[str, Any]:
        """All of it is recorded together, or nothing."""
        return change(changes, caller)

    @routes.post("/api/clips/{clip}/tags", summary="Tag a clip", response_model=ClipShape, responses=faults(404, 507))
    def tag_clip(reference: Reference, tagging: Tagging, caller: Curator) -> dict[str, Any]:
        """Tags it has already stay as they are."""
        return told(caller.ledger.catalog.tag(caller.clip(reference), *tagging.tags))

    @routes.delete(
        "/api/clips/{clip}/tags",
        summary="Take tags off a clip",
        response_model=ClipShape,
        responses=faults(404, 507),
    )
    def untag_clip(
        reference: Reference, caller: Curator, tag: Annotated[list[Tag], Query(min_length=1, max_length=100)]
    ) -> dict[str, Any]:
        """One that it does not have is an error."""
        return told(caller.ledger.catalog.untag(caller.clip(reference), *tag))

    @routes.put("/api/clips/{clip}/rating", summary="Rate a clip", response_model=ClipShape, responses=faults(404, 507))
    def rate_clip(reference: Reference, rating: Rating, caller: Curator) -> dict[str, Any]:
        """The newest rating counts."""
        return told(caller.ledger.catalog.rate(caller.clip(reference), rating.rating))

    @routes.put("/api/clips/{clip}/pin", summary="Pin a clip", response_model=ClipShape, responses=faults(404, 507))
    def pin_clip(reference: Reference, pin: Pin, caller: Curator) -> dict[str, Any]:
        """A later pin takes the place of one that is there."""
        return told(caller.ledger.catalog.pin(caller.clip(reference), reason=pin.reason, until=pin.until))

    @routes.delete(
        "/api/clips/{clip}/pin",
        summary="Take the pin off a clip",
        response_model=ClipShape,
        responses=faults(404, 507),
    )
    def unpin_clip(reference: Reference, caller: Curator) -> dict[str, Any]:
        """Without one, nothing happens."""
        return told(caller.ledger.catalog.unpin(caller.clip(reference)))

    return routes


def change(changes: Changes, caller: Caller) -> dict[str, Any]:
    """Make the changes, and tell what became of each clip, as `Changed` has it."""
    tags, ends = [check_tag(tag) for tag in changes.tag], None
    if changes.pin is not None and changes.pin.until is not None:
        ends = check_end(changes.pin.until, now=datetime.now(UTC))
    wanted = list(dict.fromkeys(str(clip) for clip in changes.clips))
    with asked(caller) as reading:
        found = {clip.id: clip for clip in clips_with(wanted, reading, caller)}
    recorder = caller.ledger.recorder
    actor = recorder.vault.actor(caller.principal.name)
    told: dict[str, list[str]] = {"changed": [], "unchanged": [], "missing": [], "purged": []}
    drafts = []
    for identity in wanted:
        clip = found.get(identity)
        if clip is None:
            told["missing"].append(identity)
            continue
        if clip.state in ("purging", "purged") and (tags or changes.pin is not None):
            told["purged"].append(identity)
            continue
        facts = _facts(clip, changes, tags, ends)
        told["changed" if facts else "unchanged"].append(identity)
        drafts += [recorder.draft(fact, subject=identity, actor=actor) for fact in facts]
    if drafts:
        recorder.journal.emit(*drafts)
    return told


def _facts(clip: Clip, changes: Changes, tags: Sequence[str], ends: datetime | None) -> list[Fact]:
    facts: list[Fact] = [ClipTagged(tag=tag) for tag in dict.fromkeys(tags) if tag not in clip.tags]
    facts += [ClipUntagged(tag=tag) for tag in dict.fromkeys(changes.untag) if tag in clip.tags and tag not in tags]
    if changes.rating is not None:
        facts.append(ClipRated(rating=changes.rating))
    if changes.unpin and clip.pinned and changes.pin is None:
        facts.append(ClipUnpinned())
    if changes.pin is not None:
        facts.append(ClipPinned(reason=changes.pin.reason, until=ends))
    return facts
