"""Operations: work that may take longer than a request, and can be followed.

A request begins one and waits for its end a little; whoever does not wait that long asks for it again. What it does is recorded
in the log as it happens, so a node that ends forgets only that it was asked.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import now
from voxledger.catalog.progress import Counting
from voxledger.dashboards.faults import UNEXPECTED, Refused, body, meaning

Kind: TypeAlias = Literal[
    "apply", "undo", "restore", "hold", "renew", "release", "backtest", "send", "rerender", "examine", "deliver", "pull"
]
"""What is done: something of retention, the sending of a report, the rendering of a clip once more, the doctor's look at the node, what
Mixpanel refused sent again, or a model brought here."""
Work: TypeAlias = Callable[[Counting], Mapping[str, Any]]
"""Does it, tells how far it has come, and gives its result."""
AT_ONCE = 8
"""Operations that run at the same time; those that may not run together refuse each other."""
HEAVY: frozenset[Kind] = frozenset({"rerender", "backtest", "examine", "pull"})
"""What may take minutes, as often as somebody likes, and can wait: half of the places is for others, such as holds and undoing."""
HEAVY_AT_ONCE = AT_ONCE // 2
EACH: frozenset[Kind] = frozenset({"rerender", "backtest"})
"""What not only admins begin."""
EACH_AT_ONCE = 2
"""Of these, in one name."""
KEPT = 200
"""Ended operations that are remembered."""
_SLICE = 0.5
"""Seconds between two looks at whether the node stops."""
_FAREWELL = 3.0
_log = logging.getLogger(__name__)


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """How an operation stands: `done` of `total`, where that is known; its `result`, or the `error` that ended it."""

    id: str
    kind: Kind
    by: str
    began: datetime
    state: Literal["running", "done", "failed"] = "running"
    ended: datetime | None = None
    done: int = 0
    total: int | None = None
    result: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None


class _Running:
    """One operation, and its end."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self.end: Future[None] = Future()
        self.refused: VoxledgerError | None = None


class Operations:
    """The operations of a node. Safe from many threads; bounded."""

    def __init__(self, stopping: threading.Event) -> None:
        """`stopping`: nobody is kept waiting any more once it is set."""
        self._stopping = stopping
        self._lock = threading.Lock()
        self._all: dict[str, _Running] = {}

    def begin(self, kind: Kind, work: Work, *, by: str) -> str:
        """Begin one in a thread of its own, in the name of `by`; gives its id. Raises Refused when too many run."""
        operation = Operation(id=secrets.token_hex(6), kind=kind, by=by, began=now())
        with self._lock:
            _admit(operation, [each.operation for each in self._all.values() if each.operation.state == "running"])
            self._all[operation.id] = mine = _Running(operation)
            self._forget()
        threading.Thread(
            target=self._run, args=(mine, work), name=f"voxledger-operation-{operation.id}", daemon=True
        ).start()
        return operation.id

    async def ended(self, identity: str, wait: float) -> Operation:
        """How it stands, at its end or after `wait` seconds. Raises what ended it, and Refused (404) for one that is not known."""
        mine = self._one(identity)
        await self._wait(mine, wait)
        if mine.refused is not None:
            raise mine.refused
        return mine.operation

    async def standing(self, identity: str, wait: float) -> Operation:
        """The same, but what ended it stands in its `error`."""
        mine = self._one(identity)
        await self._wait(mine, wait)
        return mine.operation

    def all(self) -> Sequence[Operation]:
        """Those that run, and the last ones that ended, the newest first."""
        with self._lock:
            return [each.operation for each in reversed(self._all.values())]

    def finish(self) -> None:
        """Give those that run a moment to end; what goes on is cut off with the process, as a kill would."""
        for each in list(self._all.values()):
            try:
                each.end.result(timeout=_FAREWELL)
            except TimeoutError:
                _log.info("an operation (%s) is cut off", each.operation.kind)

    def _one(self, identity: str) -> _Running:
        with self._lock:
            found = self._all.get(identity)
        if found is None:
            raise Refused(
                f"there is no operation {identity[:40]!r}",
                status=404,
                code="operation_not_found",
                remedy="A node remembers its last operations until it stops; what was done stands in the log.",
            )
        return found

    async def _wait(self, mine: _Running, wait: float) -> None:
        end = asyncio.wrap_future(mine.end)
        while wait > 0 and not mine.end.done() and not self._stopping.is_set():
            await asyncio.wait({end}, timeout=min(wait, _SLICE))
            wait -= _SLICE

    def _forget(self) -> None:
        over = [identity for identity, each in self._all.items() if each.operation.state != "running"]
        for identity in over[: max(0, len(over) - KEPT)]:
            del self._all[identity]

    def _run(self, mine: _Running, work: Work) -> None:
        def progress(done: int, total: int) -> None:
            mine.operation = msgspec.structs.replace(mine.operation, done=done, total=total)

        try:
            result = work(progress)
        except VoxledgerError as error:
            mine.refused = error
            self._end(mine, state="failed", error=body(meaning(error))["error"])
        except Exception as error:  # noqa: BLE001  # a defect ends this operation and nothing else
            _log.exception("an operation (%s) failed", mine.operation.kind, exc_info=error)
            mine.refused = UNEXPECTED
            self._end(mine, state="failed", error=body(UNEXPECTED)["error"])
        else:
            self._end(mine, state="done", result=result)
        finally:
            mine.end.set_result(None)

    def _end(self, mine: _Running, **end: Any) -> None:
        mine.operation = msgspec.structs.replace(mine.operation, ended=now(), **end)


def _admit(new: Operation, running: Sequence[Operation]) -> None:
    """Raises Refused where one more would take the place of others."""
    if len(running) >= AT_ONCE:
        raise _busy(f"{len(running)} operations run already, as many as may")
    heavy = [each for each in running if each.kind in HEAVY]
    if new.kind in HEAVY and len(heavy) >= HEAVY_AT_ONCE:
        raise _busy(f"{len(heavy)} operations that take long run already, as many as may")
    own = [each for each in heavy if each.kind in EACH and each.by == new.by]
    if new.kind in EACH and len(own) >= EACH_AT_ONCE:
        raise _busy(f"{len(own)} operations of yours run already, as many of this kind as may in one name")


def _busy(message: str) -> Refused:
    remedy = "Wait for the end of one: GET /api/operations."
    return Refused(message, status=503, code="busy", remedy=remedy, headers={"Retry-After": "5"})
