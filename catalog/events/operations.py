"""Operations: reports, deliveries and backups."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Sha256

ReportChannel: TypeAlias = Literal["bucket", "mail", "webhook"]
"""Where a report goes beside its folder."""


class ReportPublished(Fact, frozen=True, kw_only=True):
    """A weekly report was written. The subject is the week, `2026-W47`.

    `head` is the chain head that the report prints, in hex, and `head_position` the last position under it; reports of
    version 1 printed none. `by` says what for: `schedule` or `send` is the week's report, which also goes to `channels`; `hand`
    is one that somebody wanted to see, and `erasure` one made anew without what was forgotten.
    """

    version: ClassVar[int] = 3
    about: ClassVar[About] = "week"

    week: str
    revision: Count
    closed: bool
    through: Amount
    head: Sha256 | None = None
    head_position: Amount | None = None
    by: Literal["schedule", "send", "hand", "erasure"] = "schedule"
    channels: tuple[ReportChannel, ...] = ()


class ReportDelivered(Fact, frozen=True, kw_only=True):
    """A channel has taken a report. The subject is the week.

    `attempts` counts the tries, `elapsed_us` is the time of the last one, and `waited_us` that since the report was published.
    """

    about: ClassVar[About] = "week"

    week: str
    revision: Count
    channel: ReportChannel
    attempts: Count
    elapsed_us: Amount
    waited_us: Amount


class ReportDeliveryFailed(Fact, frozen=True, kw_only=True):
    """A report is not sent to a channel by itself any more. The subject is the week.

    `outcome` says why: `refused` for good, `given_up` after tries that all failed, `unknown` when it may have arrived, and
    `elsewhere` when another HOME of this node sends it. `failure` is a class, such as `550` or `ConnectionRefused`.
    """

    about: ClassVar[About] = "week"

    week: str
    revision: Count
    channel: ReportChannel
    outcome: Literal["refused", "given_up", "unknown", "elsewhere"]
    failure: str
    attempts: Count


class DeliveryQuarantined(Fact, frozen=True, kw_only=True):
    """The other side refused one event for good. The subject is the refused event's id."""

    about: ClassVar[About] = "event"

    subscription: str
    refused_type: str
    field: str
    reason: str


class DeliveryRetried(Fact, frozen=True, kw_only=True):
    """An event that the other side had refused was sent again and taken. The subject is that event's id."""

    about: ClassVar[About] = "event"

    subscription: str
    refused_type: str


class BackupCompleted(Fact, frozen=True, kw_only=True):
    """A backup is whole: every object of it was seen to lie there as it was sent, and its manifest was read back. The subject
    is the backup's id.

    `sent_bytes` is what had to travel; what an earlier backup brought is shared. `head` is the chain head at `through`.
    """

    about: ClassVar[About] = "backup"

    backup: str
    bucket: str
    through: Amount
    head: Sha256 | None
    files: Count
    bytes: Amount
    sent_bytes: Amount
    encrypted: bool
    with_vault: bool
    with_audio: bool
    elapsed_us: Amount


class RestoreCompleted(Fact, frozen=True, kw_only=True):
    """A HOME was restored from a backup and verified. The subject is the backup's id."""

    about: ClassVar[About] = "backup"

    backup: str
    bucket: str
    through: Amount
    head: Sha256 | None
    files: Count
    bytes: Amount
    with_vault: bool
    with_audio: bool
    elapsed_us: Amount
