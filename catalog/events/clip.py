"""Clips: what people say about one, and what they do to keep it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec

from voxledger.catalog.events.fact import Fact, Moment, Personal

Rating: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=5)]
HoldKind: TypeAlias = Literal["ordinary", "legal"]


class ClipTagged(Fact, frozen=True, kw_only=True):
    """A tag was put on a clip."""

    tag: Personal


class ClipUntagged(Fact, frozen=True, kw_only=True):
    """A tag was taken off a clip."""

    tag: Personal


class ClipRated(Fact, frozen=True, kw_only=True):
    """Somebody said how good a clip is, from 1 to 5; the last word of each actor counts."""

    rating: Rating


class ClipPinned(Fact, frozen=True, kw_only=True):
    """A clip was pinned: no rule expires it, until `until` if it has an end. A later pin takes the place of the earlier one."""

    version: ClassVar[int] = 2

    until: Moment | None = None
    reason: Personal | None = None


class ClipUnpinned(Fact, frozen=True, kw_only=True):
    """A pin was taken off."""


class HoldPlaced(Fact, frozen=True, kw_only=True):
    """A clip must stay until the hold ends or is released; a legal hold also stands against erasure.

    A legal hold has no end of its own but a day on which someone looks at it again.
    """

    hold: str
    kind: HoldKind
    until: Moment | None
    review: Moment | None
    reason: Personal


class HoldReleased(Fact, frozen=True, kw_only=True):
    """A hold was taken off a clip."""

    hold: str
    kind: HoldKind
    reason: Personal | None
