"""Operations: reports, deliveries and backups."""

from __future__ import annotations

from typing import ClassVar

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Sha256


class ReportPublished(Fact, frozen=True, kw_only=True):
    """A weekly report was written. The subject is the week, `2026-W47`.

    `head` is the chain head that the report prints, in hex, and `head_position` the last position under it; reports of
    version 1 printed none.
    """

    version: ClassVar[int] = 2
    about: ClassVar[About] = "week"

    week: str
    revision: Count
    closed: bool
    through: Amount
    head: Sha256 | None = None
    head_position: Amount | None = None


class DeliveryQuarantined(Fact, frozen=True, kw_only=True):
    """The other side refused one event for good. The subject is the refused event's id."""

    about: ClassVar[About] = "event"

    subscription: str
    refused_type: str
    field: str
    reason: str


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
