"""The errors of the catalog floor.

VoxledgerError                 the root of everything that a user may see
├── SettingsError                  a setting is unknown, malformed or out of bounds
├── HomeError                      HOME cannot be used: not writable, on a network folder, of a newer schema
│   └── DiskFull                       less room than `min_free_disk`, or the disk filled up while writing
├── EventRejected                  an event cannot be recorded as it is: naive time, NaN, too large, …
├── JournalError                   the journal cannot be read or written
│   └── LogCorrupt                     log and journal disagree: a gap, another id, altered bytes
├── CatalogBusy                    another process holds the log and did not let go in time
├── QueryError                     a query is not one SELECT, or DuckDB refused it
├── SearchError                    a search names no word or asks for too much, or the index cannot be used
├── ClipNotFound                   no clip has this id, or the short id is ambiguous
├── TokenError                     a token cannot be made or revoked as it was asked
│   └── TokenNotFound                  there is no such token
├── AccessRefused                  whoever asks may not, or not now
├── VaultError                     the vault is missing, or the keys for an actor are
├── StoreError                     the S3 store refused, or the object is not there
│   └── StoreUnavailable               nobody answers at the endpoint
├── ModelError                     a model version cannot be pushed, pulled or mended as it is
│   └── ModelNotFound                  there is no such model version
├── BackupError                    a backup cannot be made, read, restored or pruned as it is
│   ├── BackupNotFound                 there is no such backup
│   └── BackupDamaged                  what the bucket holds is not what was put there
├── ErasureError                   somebody cannot be erased, or exported, as it was asked
│   └── SubjectNotFound                nobody is called so, or nothing is held about them
└── PolicyError                    a retention rule or a plan cannot be applied
    ├── ExpressionError                an expression of a policy is not right
    ├── PlanStale                      a plan is not any more what it was when somebody saw it
    ├── RetentionBusy                  another run of retention, or an erasure, goes on
    ├── RunStopped                     the schedule's run of a night cannot go on
    └── HoldError                      a hold cannot be placed, renewed or released as it was asked
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxledger.catalog.events.access import Denial


class VoxledgerError(Exception):
    """The root of all errors a user may see. The message names the thing, the cause and the remedy."""


class SettingsError(VoxledgerError):
    """A setting is unknown, malformed or out of bounds; `name` is its dotted name, `place` leads to it in `file`.

    `at` is line and column of what is not TOML at all.
    """

    def __init__(
        self,
        message: str,
        *,
        name: str | None = None,
        place: tuple[str | int, ...] = (),
        file: Path | None = None,
        at: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.place = place
        self.file = file
        self.at = at


class HomeError(VoxledgerError):
    """HOME cannot be used."""


class DiskFull(HomeError):
    """There is no room: less than `min_free_disk`, or a write met the end of the disk."""

    @classmethod
    def at(cls, what: str, then: str) -> DiskFull:
        """The error for a write that met the end of the disk: what could not be done, and what became of it."""
        return cls(f"the disk is full: {what}; {then}. Free some space")


class EventRejected(VoxledgerError):
    """An event cannot be recorded as it is; `field` names the culprit."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class JournalError(VoxledgerError):
    """The journal cannot be read or written."""


class LogCorrupt(JournalError):
    """Log, journal or segments contradict each other; `position` is the first place where they do."""

    def __init__(self, message: str, *, position: int | None = None) -> None:
        super().__init__(message)
        self.position = position


class CatalogBusy(VoxledgerError):
    """Another process holds the log and did not let go in time."""


class QueryError(VoxledgerError):
    """A query is not one SELECT, or DuckDB refused it; `offset` is where in its text, when that is known, and `length` how far."""

    offset: int | None = None
    length: int = 0


class SearchError(VoxledgerError):
    """A search cannot be understood, or its index cannot be opened or written."""


class ClipNotFound(VoxledgerError):
    """No clip has this id, or the short id fits several."""


class TokenError(VoxledgerError):
    """A token cannot be made or revoked as it was asked."""


class TokenNotFound(TokenError):
    """There is no such token."""


class AccessRefused(VoxledgerError):
    """Whoever asks may not, or not now; `reason` is that of the event `AccessDenied`.

    `principal` is the id of the token, None where nobody knows it; after `retry_after` seconds it may be asked again.
    """

    def __init__(self, message: str, *, reason: Denial, principal: str | None = None, retry_after: float = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.principal = principal
        self.retry_after = retry_after


class VaultError(VoxledgerError):
    """The vault is missing, or it holds no key for an actor."""


class StoreError(VoxledgerError):
    """The S3 store refused; `code` is its own error code where it gave one."""

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class StoreUnavailable(StoreError):
    """Nobody answers at the endpoint."""


class ModelError(VoxledgerError):
    """A model version cannot be pushed, pulled or mended as it is; `files` are the paths in it that are to blame."""

    def __init__(self, message: str, *, files: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)


class ModelNotFound(ModelError):
    """There is no such model version, here or in the store."""


class PolicyError(VoxledgerError):
    """A retention rule cannot be applied, or a plan is stale."""


class ExpressionError(PolicyError):
    """An expression of a policy is not right; `offset` is where in its text, when that is known."""

    def __init__(self, message: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.offset = offset


class PlanStale(PolicyError):
    """A plan is not any more what it was when somebody saw it: something has changed since. Nothing was done."""


class RetentionBusy(PolicyError):
    """Another run of retention, or an erasure, goes on in this HOME. Nothing was done."""


class RunStopped(PolicyError):
    """A run of the schedule cannot go on; it is tried again. `cause` is one word, for metrics: `clock`, `elsewhere`, `fuse`,
    `ingestion`, `policy` or `store`.
    """

    def __init__(self, message: str, *, cause: str) -> None:
        super().__init__(message)
        self.cause = cause


class HoldError(PolicyError):
    """A hold cannot be placed, renewed or released as it was asked."""


class ErasureError(VoxledgerError):
    """Somebody cannot be erased, or what is held about them exported, as it was asked."""


class SubjectNotFound(ErasureError):
    """There is no such actor or voice, or nothing is held about them."""


class BackupError(VoxledgerError):
    """A backup cannot be made, read, restored or pruned as it is."""


class BackupNotFound(BackupError):
    """No backup has this id, or the short id fits several."""


class BackupDamaged(BackupError):
    """A backup is not what was put into the bucket; `objects` are the keys of what is missing or altered."""

    def __init__(self, message: str, *, objects: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.objects = tuple(objects)
