"""Answering: a question to the catalog on behalf of a caller, with its time limit, and the answer with its validators."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from voxledger.catalog.errors import QueryError, VoxledgerError
from voxledger.catalog.query.asking import asking
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.server.answers import JSON

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller

LONGEST = 10.0
"""Seconds that a question may take."""
POSITION = "X-Voxledger-Position"
"""Header with the place in the log that an answer shows."""
_AGAIN = 0.5
_REMEMBERED = 10_000
_FOR_GOOD = float("inf")
_POSITION = "SELECT position FROM projections WHERE name = 'catalog'"
_encode = msgspec.json.Encoder().encode


@contextmanager
def asked(
    caller: Caller,
    *,
    fresh: bool = True,
    as_of: datetime | None = None,
    explain: Callable[[str], str] = "DuckDB refused it: {}".format,
) -> Iterator[Reading]:
    """The catalog at one moment, for questions of at most `LONGEST` seconds. Raises QueryError, and Refused for longer ones."""
    deadline = None
    try:
        with asking(caller.ledger.keeper, explain=explain, fresh=fresh, as_of=as_of) as reading:
            deadline = _Deadline(reading)
            try:
                yield reading
            finally:
                deadline.end()
    except QueryError:
        if deadline is not None and deadline.passed:
            raise _too_long() from None
        raise


@contextmanager
def limited(reading: Reading, seconds: float) -> Iterator[None]:
    """What is asked of a reading in the block takes at most so long. Raises Refused where it would take longer."""
    deadline = _Deadline(reading, seconds)
    try:
        yield
    except (VoxledgerError, duckdb.Error):
        if deadline.passed:
            raise _too_long(seconds) from None
        raise
    finally:
        deadline.end()


class _Deadline:
    """Breaks a reading off when its time is up, and never after its end."""

    def __init__(self, reading: Reading, seconds: float = LONGEST) -> None:
        self.passed = False
        self._reading: Reading | None = reading
        self._lock = threading.Lock()
        self._timer = self._begun(seconds)

    def end(self) -> None:
        """The questions are answered."""
        with self._lock:
            self._reading = None
            self._timer.cancel()

    def _pass(self) -> None:
        with self._lock, suppress(duckdb.Error):
            if self._reading is not None:
                self.passed = True
                self._timer = self._begun(_AGAIN)  # what is asked after that is broken off, too
                self._reading.interrupt()

    def _begun(self, seconds: float) -> threading.Timer:
        timer = threading.Timer(seconds, self._pass)
        timer.daemon = True
        timer.start()
        return timer


def _too_long(seconds: float = LONGEST) -> Refused:
    return Refused(
        f"the question took longer than {seconds:g} s",
        status=400,
        code="too_long",
        remedy="Ask for less: a filter, a shorter condition; POST /api/sql has limits of its own.",
    )


def position(reading: Reading) -> int:
    """The place in the log that a reading shows."""
    return int(reading.tuples(_POSITION)[0][0])


def shown_position(caller: Caller, place: int) -> int | None:
    """What a caller is told of it: how much others do is not for those who see only the own clips."""
    return place if caller.principal.sees is None else None


def json(content: Any, request: Request, caller: Caller, place: int | None = None, *, status: int = 200) -> Response:
    """An answer with its ETag and position, or 304 when the client has it already."""
    body = _encode(content)
    etag = tag(body)
    headers = validators(etag, None if place is None else shown_position(caller, place))
    if matches(request.headers.get("if-none-match"), etag):
        return Response(status_code=304, headers=headers)
    return Response(body, status, headers, JSON)


def tag(body: bytes) -> str:
    """The ETag of a body; weak, for a proxy may compress it."""
    return f'W/"{blake2b(body, digest_size=16).hexdigest()}"'


def validators(etag: str, place: int | None) -> dict[str, str]:
    """Headers that go with an answer, and with a 304."""
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    return headers if place is None else {**headers, POSITION: str(place)}


def matches(given: str | None, etag: str) -> bool:
    """Whether an `If-None-Match` names an ETag (RFC 9110, section 13.1.2: weak comparison)."""
    if given is None:
        return False
    bare = etag.removeprefix("W/")
    return any(each.strip().removeprefix("W/") in ("*", bare) for each in given.split(","))


class _Kept(NamedTuple):
    head: int
    etag: str
    position: int
    until: float


class Unchanged:
    """What was answered, as long as nothing has been recorded since: then a client that has it needs no query.

    Bounded; one for each kind of question. Safe from many threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def answer(self, request: Request, caller: Caller, asked: str) -> Response | None:
        """304 when the client has what was last answered to `asked`, and it is certain that the answer is still this one."""
        given = request.headers.get("if-none-match")
        if given is None:
            return None
        with self._lock:
            kept = self._kept.get(_key(caller, asked))
        if kept is None or not matches(given, kept.etag) or time.time() >= kept.until:
            return None
        if caller.ledger.journal.head() != kept.head:
            return None
        return Response(status_code=304, headers=validators(kept.etag, shown_position(caller, kept.position)))

    def json(
        self,
        content: Mapping[str, Any],
        request: Request,
        caller: Caller,
        place: int,
        *,
        asked: str,
        head: int | None,
        until: float | None = None,
    ) -> Response:
        """`json`, remembered. `head` is the journal's head before it was asked, None when nothing may be remembered; `until`
        (seconds since 1970) is when the clock alone will change the answer. Where the answer is in the log is no part of its ETag.
        """
        body = _encode(content)
        etag = tag(body)
        if head is not None:
            key = _key(caller, asked)
            with self._lock:
                self._kept[key] = _Kept(head, etag, place, until or _FOR_GOOD)
                self._kept.move_to_end(key)
                if len(self._kept) > _REMEMBERED:
                    self._kept.popitem(last=False)
        shown = shown_position(caller, place)
        headers = validators(etag, shown)
        if matches(request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers)
        return Response(_encode({**content, "position": shown}), 200, headers, JSON)


def _key(caller: Caller, asked: str) -> bytes:
    """Of one size, however long the question is."""
    return blake2b(f"{caller.principal.sees!r} {asked}".encode(errors="replace"), digest_size=16).digest()
