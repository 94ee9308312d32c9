"""Sending: files go into the bucket in pieces; what lies there already does not travel again."""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.backup.contents import Piece, SavedFile
from voxledger.catalog.backup.locks import Lock
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.backup.pieces import cut, packed
from voxledger.catalog.errors import BackupDamaged
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.parallel import Crew

_A = TypeVar("_A")
_B = TypeVar("_B")


class Sent(NamedTuple):
    """What travelled; `again` are objects that lay there, but not as they had been sent."""

    objects: int
    bytes: int
    again: int


class Sender:
    """Puts files into the bucket over several connections. Use it within `sending`.

    Nothing that lies there is believed to be what its name says: either it has the ETag under which an earlier backup knows it,
    or that of what would be sent, or it is read; and what `suspect` names is read in any case. What is something else is sent
    again.

    Memory grows with the bucket: name and ETag of every piece that lies there, and again the name of every one that is used,
    about 600 bytes in all.
    """

    def __init__(
        self,
        bucket: Bucket,
        seal: Seal,
        lock: Lock,
        pool: Crew,
        window: int,
        suspect: Container[str],
    ) -> None:
        self._bucket = bucket
        self._seal = seal
        self._lock = lock
        self._pool = pool
        self._window = window
        self._suspect = suspect
        self._changed = threading.Lock()
        self._there = {
            name: Piece(name, info.bytes, info.etag)
            for info in lock.renewing(bucket.pieces())
            if (name := info.key.rpartition("/")[2])
        }
        self._fine: set[str] = set()
        self._md5: dict[str, str] = {}
        self._used: set[str] = set()
        self.settled: set[str] = set()
        """The keys of what was suspect, and is not any more: it was read, or sent again."""
        self.sent = Sent(0, 0, 0)

    def trust(self, pieces: Iterable[Piece]) -> None:
        """An earlier backup knows these pieces: those that lie there just as they did then need no closer look."""
        with self._changed:
            self._fine.update(
                piece.name
                for piece in pieces
                if piece.etag
                and self._there.get(piece.name) == piece
                and self._bucket.piece_key(piece.name) not in self._suspect
            )

    def has(self, pieces: tuple[Piece, ...], *, read: bool = False) -> bool:
        """Whether what an earlier backup brought lies there as it was sent; with `read`, what may be something else is read."""
        self.trust(pieces)
        return all(piece.name in self._fine or (read and self._is_fine(piece.name)) for piece in pieces)

    def keep(self, pieces: tuple[Piece, ...]) -> tuple[Piece, ...]:
        """What an earlier backup brought is part of this one too; gives the pieces as they lie there now."""
        with self._changed:
            self._used.update(piece.name for piece in pieces)
            return tuple(self._there[piece.name] for piece in pieces)

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

    def renewing(self, things: Iterable[_A]) -> Iterator[_A]:
        """The same things, and the lock is kept while they are gone through."""
        return self._lock.renewing(things)

    def note(self, size: int) -> None:
        """An object travelled."""
        with self._changed:
            self.sent = self.sent._replace(objects=self.sent.objects + 1, bytes=self.sent.bytes + size)

    def note_again(self) -> None:
        """An object was replaced: it lay there, but was something else."""
        with self._changed:
            self.sent = self.sent._replace(again=self.sent.again + 1)

    def settle(self, key: str) -> None:
        """An object that may have been suspect is what it should be."""
        if key in self._suspect:
            with self._changed:
                self.settled.add(key)

    def confirm(self) -> None:
        """See that every piece of this backup lies there as it was sent.

        Raises BackupDamaged that names what does not. Whether a piece is that, its ETag says: the MD5 of what was sent now, or the
        one that it had when it was found to be right. If it does not, the piece is read.
        """
        wrong = set(self._used)
        doubtful: list[str] = []
        for info in self._lock.renewing(self._bucket.pieces()):
            name = info.key.rpartition("/")[2]
            if name in wrong and info.bytes == self._there[name].stored:
                wrong.remove(name)
                if info.etag != self._md5.get(name, self._there[name].etag):
                    doubtful.append(name)
                    self._there[name] = msgspec.structs.replace(self._there[name], etag=info.etag)
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
            trusted = name in self._fine
        if known is not None and (trusted or self._is_fine(name, content)):
            return known
        piece, md5 = patiently(lambda: self._bucket.put_piece(content, self._seal, name=name))
        with self._changed:
            self._there[name] = piece
            self._md5[name] = md5
            self._fine.add(name)
        self.settle(self._bucket.piece_key(name))
        self.note(piece.stored)
        if known is not None:
            self.note_again()
        failpoint("backup.after_chunk")
        return piece

    def _is_fine(self, name: str, content: bytes | None = None) -> bool:
        """Whether a piece is what its name says. With the content and no encryption, its ETag may tell without reading it."""
        known, key = self._there.get(name), self._bucket.piece_key(name)
        if known is None:
            return False
        same = (
            content is not None
            and self._seal.header is None
            and key not in self._suspect
            and (known.etag == hashlib.md5(packed(content, self._seal, about=name), usedforsecurity=False).hexdigest())
        )
        if not same and not self._reads_back(name):
            return False
        with self._changed:
            self._fine.add(name)
        self.settle(key)
        return True

    def _reads_back(self, name: str) -> bool:
        try:
            patiently(lambda: self._bucket.get_piece(self._there[name], self._seal))
        except BackupDamaged:
            return False
        return True


@contextmanager
def sending(
    bucket: Bucket, seal: Seal, lock: Lock, *, threads: int, suspect: Container[str] = frozenset()
) -> Iterator[Sender]:
    """A sender; when the block ends early, what waits is not sent any more."""
    with Crew(threads, name="backup") as pool:
        try:
            yield Sender(bucket, seal, lock, pool, threads * 2, suspect)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
