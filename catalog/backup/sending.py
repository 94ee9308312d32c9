"""Sending: files go into the bucket in pieces; what lies there already does not travel again."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.backup.contents import Piece, SavedFile
from voxledger.catalog.backup.locks import Lock
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import cut
from voxledger.catalog.errors import BackupDamaged
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects.patience import patiently

_A = TypeVar("_A")
_B = TypeVar("_B")


class Sent(NamedTuple):
    """What travelled."""

    objects: int
    bytes: int


class Sender:
    """Puts files into the bucket over several connections. Use it within `sending`.

    Memory grows with the bucket: the name of every piece that lies there, and again of every one that is used, about 400 bytes
    for both.
    """

    def __init__(self, bucket: Bucket, seal: Seal, lock: Lock, pool: ThreadPoolExecutor, window: int) -> None:
        self._bucket = bucket
        self._seal = seal
        self._lock = lock
        self._pool = pool
        self._window = window
        self._changed = threading.Lock()
        self._there = {info.key.rpartition("/")[2]: info.bytes for info in lock.renewing(bucket.pieces())}
        self._md5: dict[str, str] = {}
        self._used: set[str] = set()
        self.sent = Sent(0, 0)

    def has(self, pieces: tuple[Piece, ...]) -> bool:
        """Whether what an earlier backup brought lies there still."""
        return all(self._there.get(piece.name) == piece.stored for piece in pieces)

    def keep(self, pieces: tuple[Piece, ...]) -> None:
        """What an earlier backup brought is part of this one too."""
        with self._changed:
            self._used.update(piece.name for piece in pieces)

    def put(
        self,
        path: Path,
        name: str,
        *,
        size: int,
        head: str | None = None,
        done: Callable[[int], None],
    ) -> SavedFile:
        """Put a file; `done` hears of each piece's bytes. Of its content memory holds two pieces of `size` bytes a thread.

        Raises StoreError when the store refuses a piece, or falls silent for several attempts; OSError.
        """
        found, whole, length = path.stat(), hashlib.sha256(), 0
        pieces: list[Piece] = []
        going: deque[tuple[Future[Piece], int]] = deque()
        try:
            for content in cut(path, size):
                whole.update(content)
                length += len(content)
                going.append((self._pool.submit(self._piece, content), len(content)))
                while len(going) >= self._window:
                    pieces.append(self._next(going, done))
            while going:
                pieces.append(self._next(going, done))
        finally:
            for future, _ in going:
                future.cancel()
        return SavedFile(
            path=name, bytes=length, sha256=whole.hexdigest(), pieces=tuple(pieces), modified_ns=found.st_mtime_ns,
            head=head,
        )  # fmt: skip

    def put_here(self, path: Path, size: int) -> tuple[Piece, ...]:
        """Put a file in this thread alone, for those that `each` has taken."""
        return tuple(self._piece(content) for content in cut(path, size))

    def each(self, step: Callable[[_A], _B], things: Iterable[_A]) -> list[_B]:
        """Do a step for each of a few things, over as many connections as there are; raises the first error."""
        done = list(self._pool.map(step, things))
        self._lock.renew()
        return done

    def note(self, size: int) -> None:
        """Something else travelled, in one object."""
        with self._changed:
            self.sent = Sent(self.sent.objects + 1, self.sent.bytes + size)

    def confirm(self) -> None:
        """See that every piece of this backup lies there, and that what was sent arrived as it was sent.

        Raises BackupDamaged that names what does not. Stores whose ETag is no MD5 are asked for the piece itself.
        """
        wrong = set(self._used)
        doubtful: list[str] = []
        for info in self._lock.renewing(self._bucket.pieces()):
            name = info.key.rpartition("/")[2]
            if name in wrong and info.bytes == self._there[name]:
                wrong.remove(name)
                if name in self._md5 and self._md5[name] != info.etag:
                    doubtful.append(name)
        found = zip(doubtful, self._pool.map(self._reads_back, doubtful), strict=True)
        for name, fine in self._lock.renewing(found):
            if not fine:
                wrong.add(name)
        if wrong:
            keys = sorted({self._bucket.piece_key(name) for name in wrong})
            raise BackupDamaged(
                f"{len(keys)} of its pieces do not lie in {self._bucket.name} as they were sent (the first: {keys[0]}); make the"
                " backup again",
                objects=keys,
            )
        self._bucket.settle(*(self._bucket.piece_key(name) for name in self._md5))

    def _next(self, going: deque[tuple[Future[Piece], int]], done: Callable[[int], None]) -> Piece:
        future, length = going.popleft()
        piece = future.result()
        self._lock.renew()
        done(length)
        return piece

    def _piece(self, content: bytes) -> Piece:
        name = self._seal.name(content)
        with self._changed:
            self._used.add(name)
            known = self._there.get(name)
        if known is not None:
            return Piece(name, known)
        piece, md5 = patiently(lambda: self._bucket.put_piece(content, self._seal, name=name))
        with self._changed:
            self._there[name] = piece.stored
            self._md5[name] = md5
        self.note(piece.stored)
        failpoint("backup.after_chunk")
        return piece

    def _reads_back(self, name: str) -> bool:
        try:
            self._bucket.get_piece(Piece(name, self._there[name]), self._seal)
        except BackupDamaged:
            return False
        return True


@contextmanager
def sending(bucket: Bucket, seal: Seal, lock: Lock, *, threads: int) -> Iterator[Sender]:
    """A sender; when the block ends early, what waits is not sent any more."""
    with ThreadPoolExecutor(threads, thread_name_prefix="voxledger-backup") as pool:
        try:
            yield Sender(bucket, seal, lock, pool, window=threads * 2)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
