"""The catalog: events, journal, log, projections, objects and retention. The lowest floor; it imports no other."""

from __future__ import annotations

from voxledger.catalog.errors import (
    AccessRefused,
    CatalogBusy,
    ClipNotFound,
    DiskFull,
    EventRejected,
    HomeError,
    JournalError,
    LogCorrupt,
    ModelError,
    ModelNotFound,
    PolicyError,
    QueryError,
    SettingsError,
    StoreError,
    StoreUnavailable,
    TokenError,
    TokenNotFound,
    VaultError,
    VoxledgerError,
)

__all__ = [
    "AccessRefused",
    "CatalogBusy",
    "ClipNotFound",
    "DiskFull",
    "EventRejected",
    "HomeError",
    "JournalError",
    "LogCorrupt",
    "ModelError",
    "ModelNotFound",
    "PolicyError",
    "QueryError",
    "SettingsError",
    "StoreError",
    "StoreUnavailable",
    "TokenError",
    "TokenNotFound",
    "VaultError",
    "VoxledgerError",
]
