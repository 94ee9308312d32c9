"""A channel: somewhere that a published report is taken to, beside its folder."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

import msgspec

from voxledger.analytics.report import WeeklyReport
from voxledger.catalog.events import ReportChannel


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One report for one channel. `taken` are the recipients, as digests, that have it from an earlier try."""

    node: str
    week: str
    revision: int
    report: WeeklyReport
    taken: tuple[str, ...] = ()


class Channel(Protocol):
    """Takes reports somewhere. Nothing is repeated here: whoever calls knows better when that is right."""

    @property
    def name(self) -> ReportChannel:
        """What settings, events and people call it."""

    @property
    def repeatable(self) -> bool:
        """Whether nobody notices when the same report arrives twice."""

    @property
    def target(self) -> str:
        """Where it leads, as people may see it; no secret."""

    def send(self, parcel: Parcel, decisive: Callable[[], None], stop: threading.Event) -> str:
        """Deliver, within a limited time and until `stop`; gives what a person should know all the same, if anything.

        Calls `decisive` right before the step after which nobody can tell any more whether it arrived, and so at least once when
        it may have. Raises ChannelAway, ChannelRefused or DeliveryUnknown.
        """
