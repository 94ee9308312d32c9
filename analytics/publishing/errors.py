"""The errors of publishing.

AnalyticsError            (voxledger.analytics.errors) the root of this floor
├── PublishingStopped         nothing is published by itself now, because nobody knows which weeks are over
├── NotPublished              nothing is there that could be sent, or no such channel is set up
└── NotDelivered              a channel did not take a report
    ├── ChannelAway               it surely does not have it, and may take it later
    ├── ChannelRefused            it surely does not have it, and will not take it as things are
    ├── DeliveryUnknown           it may have it: nobody may send it again but on purpose
    └── SentElsewhere             another HOME of this node sends it
"""

from __future__ import annotations

from collections.abc import Sequence

from voxledger.analytics.errors import AnalyticsError


class PublishingStopped(AnalyticsError):
    """Nothing is published by itself now."""


class NotPublished(AnalyticsError):
    """Nothing is there that could be sent, or no such channel is set up."""


class NotDelivered(AnalyticsError):
    """A channel did not take a report.

    `failure` is a class without names and addresses, such as `550`. `taken` are the recipients, as digests, that have it now
    nevertheless.
    """

    def __init__(self, message: str, *, failure: str, taken: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.failure = failure
        self.taken = tuple(taken)


class ChannelAway(NotDelivered):
    """It surely does not have it, and may take it later; `after` is how long it asked to wait (s), None when it did not."""

    def __init__(self, message: str, *, failure: str, taken: Sequence[str] = (), after: float | None = None) -> None:
        super().__init__(message, failure=failure, taken=taken)
        self.after = after


class ChannelRefused(NotDelivered):
    """It surely does not have it, and will not take it as things are."""


class DeliveryUnknown(NotDelivered):
    """It may have it."""


class SentElsewhere(NotDelivered):
    """Another HOME of this node sends it."""
