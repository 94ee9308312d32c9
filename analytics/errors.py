"""The errors of the analytics floor.

VoxledgerError                 (voxledger.catalog.errors) the root of everything that a user may see
└── AnalyticsError                 the root of this floor
    ├── ReportError                    (voxledger.analytics.report) a report cannot be made
    │   ├── InvalidWeek                    no such week, or one that has not begun
    │   └── ReportNotWritten               its folder cannot be written
    ├── ExportUnreadable               a file of Mixpanel's to compare with is not one
    ├── WouldCountTwice                sending events to Mixpanel again under other ids would count them twice
    └── DeliveryError                  the other side did not take events; they wait, nothing is lost
        ├── DeliveryRefused                it will not take them as things are: wrong token, wrong endpoint, …
        └── DeliveryUnavailable            it cannot take them now: down, too slow, rate limited
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel.delivery import Delivered


class AnalyticsError(VoxledgerError):
    """The root of this floor."""


class ExportUnreadable(AnalyticsError):
    """A file of Mixpanel's to compare with cannot be read; the message names the line."""


class WouldCountTwice(AnalyticsError):
    """Mixpanel was told of these events under other ids, and would count them twice. Nothing was sent."""


class DeliveryError(AnalyticsError):
    """The other side did not take events; they wait. `status` is its HTTP status, None when nobody answered.

    `delivered` says what this run achieved before; that is durable.
    """

    delivered: Delivered | None = None

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class DeliveryRefused(DeliveryError):
    """The other side will not take events as things are: a person must change something."""


class DeliveryUnavailable(DeliveryError):
    """The other side cannot take events now. `retry_after`: how long it asked to wait (s), None when it did not."""

    def __init__(self, message: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message, status=status)
        self.retry_after = retry_after
