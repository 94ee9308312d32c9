"""The service: answers one SELECT at a time from a snapshot, in a process of its own, within limits that hold.

Questions wait for their turn without a thread. While an answer is sent its process holds it; the node holds a piece of it,
and takes the next one when the client has taken that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, QueryError
from voxledger.catalog.query.guard import LONGEST
from voxledger.dashboards.faults import Place, Refused
from voxledger.dashboards.sql.nursery import Child, ChildEnded, ChildLate
from voxledger.dashboards.sql.question import Failure, Format, Head, Question, packed
from voxledger.dashboards.sql.snapshots import Snapshots
from voxledger.dashboards.sql.spares import Spares
from voxledger.dashboards.sql.supply import Supplied, Supply

if TYPE_CHECKING:
    from voxledger.catalog.settings import Sql
    from voxledger.dashboards.door import Door

_WAITING = 10
"""Questions that wait, for each that runs; half of them of one principal."""
_SENDING = 4
"""Answers that are made or sent, for each question that runs; half of them of one principal."""
_TURN = 30.0
"""Seconds that a question waits for its turn at most."""
_STALLED = 30.0
"""Seconds in which a process that has an answer must give the next piece of it."""
_T = TypeVar("_T")


class Answer:
    """An answer that is complete, in the process that made it. `close` must be called."""

    def __init__(self, head: Head, supplied: Supplied, child: Child, closed: Callable[[], None]) -> None:
        self.head = head
        self.position = supplied.snapshot.position
        self.age = supplied.age
        """Seconds ago that nothing was missing in the snapshot."""
        self._child: Child | None = child
        self._closed = closed

    async def parts(self) -> AsyncIterator[bytes]:
        """Its bytes. Raises Refused when they do not come."""
        left = self.head.bytes
        while left:
            child = self._child
            if child is None:
                raise _broken()
            try:
                found = await _worked(child, partial(child.read, left, patience=_STALLED))
            except (ChildEnded, ChildLate):
                raise _broken() from None
            left -= len(found)
            yield found
        await self.close()

    async def close(self) -> None:
        """Let the process go. Idempotent."""
        child, self._child = self._child, None
        if child is not None:
            self._closed()
            await asyncio.get_running_loop().run_in_executor(None, child.close)


class Service:
    """One for a node; it is asked from the event loop."""

    def __init__(self, door: Door) -> None:
        self.settings: Sql = door.settings.sql
        snapshots = Snapshots(door.home, door.keeper, door.journal, min_free_disk=door.settings.general.min_free_disk)
        self._spares = Spares(self.settings)
        self._supply = Supply(snapshots, self._spares, refresh=self.settings.refresh)
        self._turns = asyncio.Semaphore(self.settings.at_once)
        self._alive = asyncio.Semaphore(self.settings.at_once * _SENDING)
        self._own: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        """What each principal who has or waits for a place may have of them: half."""
        self._waiting: Counter[str] = Counter()
        self.clear = snapshots.clear

    @property
    def off(self) -> str | None:
        """Why nothing is answered here, if that is so."""
        if not self.settings.enabled:
            return "the SQL service is switched off (sql.enabled)"
        if not platform.can_confine():
            return "the SQL service is off: this system enforces no limits on the memory of one process; Linux does"
        return None

    def latest(self) -> Supplied | None:
        """The snapshot that the next answer would be from, if nobody had to wait for one."""
        return self._supply.latest()

    def renewed(self) -> Supplied:
        """The newest snapshot, made now unless nothing is missing in the one that is there. In a thread. Raises what `ask` does."""
        self._require_on()
        return self._supply.renewed()

    async def ask(
        self,
        query: str,
        *,
        principal: str,
        parameters: Mapping[str, Any] | Sequence[Any] | None = None,
        format: Format = "json",
        rows: int | None = None,
    ) -> Answer:
        """The answer to one SELECT over the relations of docs/sql.md. Cancelled, it ends the process at once.

        Raises Refused: `query`, `query_time`, `query_memory`, `not_in_snapshot`, `busy`, `sql_off`; and what keeps a snapshot
        from being made.
        """
        self._require_on()
        _check(query)
        most = self.settings.rows if rows is None else min(rows, self.settings.rows)
        packing = partial(_packed, query, parameters, format, most, self.settings.bytes)
        packing(0.0, 0.0)  # what cannot be sent is said before anybody waits
        async with contextlib.AsyncExitStack() as alive:
            own = self._own.setdefault(principal, asyncio.Semaphore(self.settings.at_once * _SENDING // 2))
            await self._turn(own, principal)
            alive.callback(own.release)
            await self._turn(self._alive, principal)
            alive.callback(self._alive.release)
            await self._turn(self._turns, principal)
            try:
                supplied, child = await self._child()
                alive.push_async_callback(_in_thread, child.close)
                head = await self._asked(child, packing(supplied.snapshot.taken, supplied.age))
            finally:
                self._turns.release()
            if head.error:
                raise _refused(head.failure, head.error, head.place)
            alive.pop_all()
        return Answer(head, supplied, child, partial(_release, self._alive, own))

    async def close(self) -> None:
        """End everything that runs."""
        await _in_thread(self.stop)

    def stop(self) -> None:
        """End everything that runs. In a thread, not in the event loop."""
        self._supply.stop()
        self._spares.stop()

    def _require_on(self) -> None:
        if self.off:
            raise Refused(
                self.off,
                status=501,
                code="sql_off",
                remedy="On the node's machine, `voxledger sql` asks the log itself.",
            )

    async def _turn(self, turns: asyncio.Semaphore, principal: str) -> None:
        if not turns.locked():
            await turns.acquire()
            return
        most, waiting = self.settings.at_once * _WAITING, self._waiting.total()
        if waiting >= most or self._waiting[principal] >= most // 2:
            raise _busy(f"{waiting} questions wait already, {self._waiting[principal]} of them yours")
        self._waiting[principal] += 1
        try:
            await asyncio.wait_for(turns.acquire(), _TURN)
        except TimeoutError:
            raise _busy(f"others have been answered for {_TURN:g} s") from None
        finally:
            self._waiting[principal] -= 1
            self._waiting += Counter()  # nobody is remembered who waits for nothing

    async def _child(self) -> tuple[Supplied, Child]:
        """A process that has the snapshot open. The snapshot may be replaced just now: then the next one is asked."""
        supplied = await _in_thread(self._supply.snapshot)
        try:
            return supplied, await _taken(partial(self._spares.take, supplied.snapshot))
        except CatalogBusy:
            supplied = await _in_thread(self._supply.snapshot)
            return supplied, await _taken(partial(self._spares.take, supplied.snapshot))

    async def _asked(self, child: Child, question: bytes) -> Head:
        try:
            return await _worked(child, partial(child.ask, question, patience=self.settings.time))
        except ChildLate:
            raise Refused(
                f"the query took longer than the {self.settings.time:g} s of sql.time, and was ended",
                status=400,
                code="query_time",
                remedy="Ask for less: fewer rows, a shorter period; `voxledger sql --fresh` on the node's machine has no limit.",
            ) from None
        except ChildEnded:
            raise _refused(
                "query_memory", "the query needed more memory than sql.memory allows, or DuckDB could not go on with it"
            ) from None


def _release(*turns: asyncio.Semaphore) -> None:
    for turn in turns:
        turn.release()


def _check(query: str) -> None:
    if len(query) > LONGEST:
        raise QueryError(f"a query has at most {LONGEST:,} characters, not {len(query):,}")
    if "\0" in query:
        raise QueryError("this is not SQL: it holds a NUL character")


def _packed(query: str, parameters: Any, format: Format, rows: int, size: int, taken: float, age: float) -> bytes:
    given = (
        dict(parameters) if isinstance(parameters, Mapping) else list(parameters) if parameters is not None else None
    )
    question = Question(query=query, parameters=given, format=format, rows=rows, bytes=size, taken=taken, age=age)
    try:
        return packed(question)
    except OverflowError:
        raise QueryError(
            "a parameter is a whole number of more than 64 bits; give it as text, and cast it in the query"
        ) from None
    except (UnicodeEncodeError, RecursionError, TypeError):
        raise QueryError(
            "query and parameters are text, numbers, true, false, null and lists of them; this is something else"
        ) from None


def _refused(failure: Failure, message: str, place: tuple[int, int] | None = None) -> Refused:
    remedies: Mapping[Failure, str] = {
        "query": "Read the message; docs/sql.md lists the relations.",
        "query_memory": "Ask for less, or have sql.memory raised.",
        "not_in_snapshot": "Follow them with GET /api/events; on the node's machine, `voxledger sql --fresh` asks the log itself.",
    }
    told = Place(*place) if place else None
    return Refused(message, status=400, code=failure, remedy=remedies[failure], place=told)


def _busy(why: str) -> Refused:
    return Refused(
        f"the SQL service is busy: {why}",
        status=503,
        code="busy",
        remedy="Try again later.",
        headers={"Retry-After": "5"},
    )


def _broken() -> Refused:
    return Refused("the answer broke off", status=503, code="broken_off", remedy="Ask again.")


async def _in_thread(work: Callable[[], _T]) -> _T:
    return await asyncio.get_running_loop().run_in_executor(None, work)


async def _worked(child: Child, work: Callable[[], _T]) -> _T:
    """What a process does for us. Cancelled, it is ended, and no thread has its pipes any more afterwards."""
    working = asyncio.ensure_future(_in_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([asyncio.ensure_future(_in_thread(child.end)), working])
        working.cancelled() or working.exception()
        raise


async def _taken(take: Callable[[], Child]) -> Child:
    taking = asyncio.ensure_future(_in_thread(take))
    try:
        return await asyncio.shield(taking)
    except asyncio.CancelledError:
        await asyncio.wait([taking])
        if not taking.cancelled() and taking.exception() is None:
            await _in_thread(taking.result().close)
        raise
