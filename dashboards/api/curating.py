"""Curating: tags, ratings and pins, of one clip or of many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from voxledger.catalog.catalog import check_tag
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import ClipPinned, ClipRated, ClipTagged, ClipUnpinned, ClipUntagged, Fact
from voxledger.catalog.queries import load
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
_LONGEST_REASON = 1000
_SQL = load("curating.sql", "voxledger.dashboards.api")
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

    reason: str | None = Field(None, max_length=_LONGEST_REASON)
    until: Moment | None = Field(None, description="When it ends by itself; without it, never.")


class Change(BaseModel):
    """What is to become of a clip. What it has already stays as it is, and so does a pin without an end under a pin without a
    reason.
    """

    model_config = ConfigDict(extra="forbid")

    tag: list[Tag] = Field([], max_length=100)
    untag: list[Tag] = Field([], max_length=100)
    rating: int | None = Field(None, ge=1, le=5)
    pin: Pin | None = None
    unpin: bool = False


class Changes(Change):
    """The same changes to many clips. What a clip has already stays as it is, and so does a pin without an end under a pin
    without a reason.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"clips": [ID], "tag": ["on-air"], "untag": [], "rating": 4}]}
    )

    clips: list[UUID] = Field(min_length=1, max_length=MOST, description="Whole ids.")


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
        return change(dict.fromkeys(map(str, changes.clips), changes), caller).told()

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


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of clips, by their ids, as `Changed` has it; and `back`, what makes each one that was changed what it was
    before, as far as anything does: a first rating cannot be taken back.
    """

    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    purged: list[str] = field(default_factory=list)
    back: dict[str, Change] = field(default_factory=dict)

    def told(self) -> dict[str, list[str]]:
        """What `Changed` shows."""
        return {"changed": self.changed, "unchanged": self.unchanged, "missing": self.missing, "purged": self.purged}


def change(wanted: Mapping[str, Change], caller: Caller) -> Done:
    """Make of each clip what is wanted of it: all of it is recorded together, or nothing. Raises QueryError."""
    now = datetime.now(UTC)
    checked = {id(each): each for each in wanted.values()}
    ready = {key: _checked(each, now) for key, each in checked.items()}
    with asked(caller) as reading:
        found = {clip.id: clip for clip in clips_with(list(wanted), reading, caller)}
        pinned = [clip.id for clip in found.values() if clip.pinned]
        about_pins = any(each.unpin or each.pin is not None for each in checked.values())
        reasons: dict[str, str | None] = (
            dict(reading.tuples(_SQL["reasons"], {"ids": pinned})) if pinned and about_pins else {}
        )
    recorder = caller.ledger.recorder
    actor = recorder.vault.actor(caller.principal.name)
    done, drafts = Done(), []
    for identity, each in wanted.items():
        clip, (tags, ends) = found.get(identity), ready[id(each)]
        if clip is None:
            done.missing.append(identity)
            continue
        if clip.state in ("purging", "purged") and (tags or each.pin is not None):
            done.purged.append(identity)
            continue
        reason = reasons.get(identity)
        facts = _facts(clip, each, tags, ends, reason)
        if not facts:
            done.unchanged.append(identity)
            continue
        done.changed.append(identity)
        done.back[identity] = _back(clip, facts, reason)
        drafts += [recorder.draft(fact, subject=identity, actor=actor) for fact in facts]
    if drafts:
        recorder.journal.emit(*drafts)
    return done


def _checked(change: Change, now: datetime) -> tuple[list[str], datetime | None]:
    """Its tags, and when its pin ends. Raises QueryError for what can be neither."""
    ends = None if change.pin is None or change.pin.until is None else check_end(change.pin.until, now=now)
    return [check_tag(tag) for tag in change.tag], ends


def _facts(clip: Clip, change: Change, tags: Sequence[str], ends: datetime | None, reason: str | None) -> list[Fact]:
    facts: list[Fact] = [ClipTagged(tag=tag) for tag in dict.fromkeys(tags) if tag not in clip.tags]
    facts += [ClipUntagged(tag=tag) for tag in dict.fromkeys(change.untag) if tag in clip.tags and tag not in tags]
    if change.rating is not None:
        facts.append(ClipRated(rating=change.rating))
    if change.unpin and clip.pinned and change.pin is None:
        facts.append(ClipUnpinned())
    if change.pin is not None and not (
        clip.pinned and clip.pinned_until == ends and change.pin.reason in (None, reason)
    ):
        facts.append(ClipPinned(reason=change.pin.reason, until=ends))
    return facts


def _back(clip: Clip, facts: Sequence[Fact], reason: str | None) -> Change:
    """What undoes the facts: of the clip as it was before them."""
    pins = any(isinstance(fact, (ClipPinned, ClipUnpinned)) for fact in facts)
    rated = any(isinstance(fact, ClipRated) for fact in facts)
    # A pin with a longer reason than one may send was made on the command line.
    was = clip.pinned and len(reason or "") <= _LONGEST_REASON
    return Change(
        tag=[fact.tag for fact in facts if isinstance(fact, ClipUntagged)],
        untag=[fact.tag for fact in facts if isinstance(fact, ClipTagged)],
        rating=clip.rating if rated else None,
        pin=Pin(reason=reason, until=clip.pinned_until) if pins and was else None,
        unpin=pins and not clip.pinned,
    )
