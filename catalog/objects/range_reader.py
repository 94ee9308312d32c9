"""The range reader: requests for pieces of one object, and proof that every answer is about that very object."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from voxledger.catalog.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from voxledger.catalog.objects.store import Store

PIECE = 128 << 10
"""Bytes that are in memory at a time, for each connection: so few that they are still in the processor's cache when they are
written and summed up. Of a model's bytes a MB at a time costs twice the time in the system (benchmarks/objects.py).
"""
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_LOOK = 0.2
"""Seconds between two looks whether to end."""
_CHANGED = frozenset({"PreconditionFailed", "412", "InvalidRange", "416"})
_log = logging.getLogger(__name__)


class Unranged(Exception):  # nothing is wrong: the object has to be asked for in one piece
    """The store answers a request for a range with the whole object."""


class Stopped(Exception):  # somebody else failed, or interrupted
    """Nobody wants the rest any more."""


class Taken:
    """How much of one range has come, and its CRC-32 so far. `end` is the byte after its last."""

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.got = 0
        self.crc = 0
        self.complete = False


class RangeReader:
    """Reads pieces of an object of `size` bytes, all of the version that answers first. Safe for many threads."""

    def __init__(self, store: Store, bucket: str, key: str, *, size: int) -> None:
        self._store = store
        self._bucket = bucket
        self._key = key
        self._what = f"GET {bucket}/{key}"
        self._size = size
        self._etag = ""
        self._lock = threading.Lock()
        self._turns = threading.Condition()
        self._asking = self._answered = False

    @contextlib.contextmanager
    def turn(self, stopped: Callable[[], bool]) -> Iterator[None]:
        """Wait for the turn to `read`: until there is a first answer, one request is out at a time. rclone reads a whole object
        for its ETag when it has not seen it for five minutes, and would do so for each of many. Raises Stopped.
        """
        with self._turns:
            while self._asking and not self._answered:
                if stopped():
                    raise Stopped
                self._turns.wait(_LOOK)
            first = not self._answered
            self._asking = self._asking or first
        try:
            yield
        finally:
            if first:
                with self._turns:
                    self._asking = False
                    self._turns.notify_all()

    def read(self, taken: Taken, file: BinaryIO, heard: Callable[[int], None], stopped: Callable[[], bool]) -> None:
        """One request: write what is missing of a range to where the file stands.

        May end early with StoreError, and go on with another call; an object that is a single range begins again then.
        Raises Unranged, Stopped, and StoreError with the code `Changed` when another object answers.
        """
        try:
            self._store.request(self._what, partial(self._ask, taken=taken, file=file, heard=heard, stopped=stopped))
        except StoreError as error:
            if error.code in _CHANGED:
                raise self._changed() from error
            raise

    def _ask(
        self, s3: S3Client, *, taken: Taken, file: BinaryIO, heard: Callable[[int], None], stopped: Callable[[], bool]
    ) -> None:
        whole = taken.start == 0 and taken.end == self._size
        if whole and taken.got:
            heard(-taken.got)
            taken.got = taken.crc = 0
            file.seek(0)
        first, last = taken.start + taken.got, taken.end - 1
        options: dict[str, Any] = {} if whole else {"Range": f"bytes={first}-{last}"}
        if self._etag:
            options["IfMatch"] = f'"{self._etag}"'
        answer = s3.get_object(Bucket=self._bucket, Key=self._key, **options)
        with self._turns:
            self._answered = True
            self._turns.notify_all()
        with contextlib.closing(answer["Body"]) as body:
            self._check(answer.get("ETag", ""), answer["ContentLength"], answer.get("ContentRange"), first, last)
            for piece in body.iter_chunks(PIECE):
                if stopped():
                    raise Stopped
                file.write(piece)
                taken.crc = zlib.crc32(piece, taken.crc)
                taken.got += len(piece)
                heard(len(piece))
        taken.complete = True

    def _check(self, etag: str, length: int, content_range: str | None, first: int, last: int) -> None:
        if content_range is None:
            size, fits = length, first == 0 and last + 1 == length
        else:
            found = _CONTENT_RANGE.fullmatch(content_range)
            if found is None:
                raise Unranged
            size, fits = int(found[3]), (int(found[1]), int(found[2])) == (first, last)
        plain = etag.removeprefix("W/").strip('"')
        with self._lock:
            self._etag = self._etag or plain
            if size != self._size or (plain and plain != self._etag):
                raise self._changed()
        if not fits:
            raise Unranged

    def damaged(self, span: tuple[int, int], how: str) -> None:
        """Say in the log which part of the object is fetched again."""
        # Not its key, which holds names.
        _log.warning(
            "bytes %s to %s of an object of %s bytes in %s %s; they are fetched again",
            f"{span[0]:,}", f"{max(span[0], span[1] - 1):,}", f"{self._size:,}", self._bucket, how,
        )  # fmt: skip

    def altered(self, sha256: str) -> StoreError:
        """The store itself holds other bytes than were recorded."""
        return StoreError(
            f"{self._what}: the object was altered in the store: it has the right size, but not the SHA-256 on record,"
            f" {sha256}",
            code="Damaged",
        )

    def _changed(self) -> StoreError:
        return StoreError(
            f"{self._what}: another object lies there than was recorded (of {self._size:,} bytes); it was replaced",
            code="Changed",
        )
