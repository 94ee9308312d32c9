"""Locks in the bucket: any number of processes may make and restore backups there at once, but whoever prunes is alone.

A lock is an object that says what is being done and by which process; nothing in it tells whose machine it is. A process
on this machine that has ended holds no lock; another machine's lock counts until it has not been renewed for half an hour,
by the store's own clock.
"""

from __future__ import annotations

import hashlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import BackupError, StoreError, StoreUnavailable
from voxledger.catalog.events import new_id
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.progress import Progress

if TYPE_CHECKING:
    from voxledger.catalog.objects import ObjectInfo, Store

_T = TypeVar("_T")
Work: TypeAlias = Literal["create", "restore", "prune"]
_RENEWED = 300.0
_STALE = timedelta(minutes=30)
_FAREWELL = 0.5
"""Seconds that an interrupt waits for the end of its lock; one that stays holds up nobody on this machine."""
_WORDS: dict[Work, str] = {
    "create": "a backup is being made", "restore": "a backup is being restored", "prune": "backups are being pruned",
}  # fmt: skip
_log = logging.getLogger(__name__)


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """What a lock says."""

    work: Work
    machine: str
    pid: int
    started: float


class Lock:
    """A lock that is held. `renew` keeps it; call it now and then while working."""

    def __init__(self, store: Store, bucket: str, key: str, content: bytes) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._content = content
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Write the lock anew when it is five minutes old; costs nothing else.

        Raises BackupError as `require` does: a lock that was taken away must not come back, for somebody else works there.
        """
        if time.monotonic() - self._renewed > _RENEWED:
            self.require()
            patiently(lambda: self._store.put(self._bucket, self._key, self._content))
            self._renewed = time.monotonic()

    def renewing(self, things: Iterable[_T]) -> Iterator[_T]:
        """The same things, and the lock is kept while they are gone through."""
        for thing in things:
            yield thing
            self.renew()

    def told(self, progress: Progress) -> Progress:
        """Whoever tells how far it is keeps the lock, and hears when it is lost."""

        def tell(what: str, done: int, total: int | None) -> None:
            progress(what, done, total)
            self.renew()

        return tell

    def require(self) -> None:
        """Raises BackupError when somebody has taken the lock away, because this process stood still for too long."""
        if not patiently(lambda: self._store.exists(self._bucket, self._key)):
            raise BackupError(
                "this process stood still for half an hour, and another one has taken its lock away; run it again: it goes on"
                " where it was"
            )


@contextmanager
def held(store: Store, bucket: str, work: Work) -> Iterator[Lock]:
    """Hold a lock until the block ends. Raises BackupError when others do what does not go together with it."""
    mine = _Held(work=work, machine=_machine(), pid=os.getpid(), started=platform.started(os.getpid()) or 0.0)
    key, content = f"locks/{new_id()}.json", msgspec.json.encode(mine)
    store.put(bucket, key, content)
    try:
        # Both write first and look then: of two at the same time at least one sees the other.
        _require_alone(store, bucket, key, work)
        yield Lock(store, bucket, key, content)
    except KeyboardInterrupt:
        _leave(store, bucket, key)
        raise
    except BaseException:
        store.delete(bucket, key)
        raise
    store.delete(bucket, key)


def _leave(store: Store, bucket: str, key: str) -> None:
    """Take a lock away within a moment, or not at all: whoever interrupts does not wait for a line that hangs."""

    def delete() -> None:
        with suppress(StoreError):
            store.delete(bucket, key)

    thread = threading.Thread(target=delete, name="voxledger-lock", daemon=True)
    thread.start()
    thread.join(_FAREWELL)


@contextmanager
def held_if_allowed(store: Store, bucket: str, work: Work) -> Iterator[Lock | None]:
    """The same for whoever needs no more than to read: None where the access key may not write, which is only logged."""
    stack, lock = ExitStack(), None
    try:
        lock = stack.enter_context(held(store, bucket, work))
    except StoreUnavailable:
        raise
    except StoreError as error:
        _log.info("no lock keeps `backup prune` away: %s", error)
    try:
        yield lock
    finally:
        try:
            stack.close()
        except StoreError as error:  # what was done is done: a lock that stays ends by itself
            _log.info("the lock %s cannot be taken away: %s", work, error)


def _require_alone(store: Store, bucket: str, key: str, work: Work) -> None:
    listed = list(store.list(bucket, "locks/"))
    present = next((info.modified for info in listed if info.key == key), None)
    for info in listed:
        if info.key == key:
            continue
        other = _read(store, bucket, info)
        if other is None or "prune" not in (work, other.work):
            continue
        gone = other.machine == _machine() and not platform.is_alive(other.pid, other.started)
        if gone or (present is not None and present - info.modified > _STALE):
            store.delete(bucket, info.key)
            continue
        where = f"process {other.pid} here" if other.machine == _machine() else "another machine"
        raise BackupError(
            f"{_WORDS[other.work]} in {bucket} right now ({where}, last seen {info.modified:%Y-%m-%d %H:%M:%S} UTC); try"
            f" again when that is done. A lock that nobody renews ends after {_STALE.seconds // 60} minutes"
        )


def _read(store: Store, bucket: str, info: ObjectInfo) -> _Held | None:
    """What a lock says; None when it has gone meanwhile."""
    try:
        return msgspec.json.decode(store.get(bucket, info.key), type=_Held)
    except StoreError as error:
        if error.code == "NoSuchKey":
            return None
        raise
    except msgspec.DecodeError as error:
        raise BackupError(
            f"{bucket}/{info.key} is no lock of this version of Voxledger ({error}); upgrade, or delete it when nobody works there"
        ) from error


def _machine() -> str:
    """This machine, and the space in which its process ids count, as a hash."""
    try:
        identity = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        identity = ""
    try:
        space = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        space = 0
    return hashlib.sha256(f"{identity}/{socket.gethostname()}/{space}".encode()).hexdigest()[:16]
