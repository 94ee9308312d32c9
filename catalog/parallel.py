"""Many requests at a time, in order, with few of them waiting: a million keys must not become a million futures."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")
_Asked = ParamSpec("_Asked")
_FAREWELL = 0.5
"""Seconds that an interrupted crew is waited for."""


class _Work(NamedTuple):
    future: Future[Any]
    call: Callable[[], Any]

    def do(self, done: Callable[[], None]) -> None:
        """`done` is called before anybody hears of the result: who asks for more then finds this thread idle."""
        if not self.future.set_running_or_notify_cancel():
            done()
            return
        try:
            found = self.call()
        except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
            done()
            self.future.set_exception(error)
        else:
            done()
            self.future.set_result(found)


class Crew(Executor):
    """So many threads, as ThreadPoolExecutor has them, but whoever presses Ctrl-C does not wait for what they are at.

    A request over a slow line takes as long as it takes, and the threads of a ThreadPoolExecutor are waited for at the end of
    its block, and again at the end of the process. These end with the process. What they send must be whole or not there
    when it breaks off anywhere, as at a SIGKILL.
    """

    def __init__(self, threads: int, *, name: str) -> None:
        """Threads are called `voxledger-NAME-NUMBER`; each begins when there is work for it."""
        self._most = threads
        self._name = f"voxledger-{name}"
        self._changed = threading.Lock()
        self._waiting: SimpleQueue[_Work | None] = SimpleQueue()
        self._idle = 0
        self._threads: list[threading.Thread] = []
        self._closed = False

    def submit(self, fn: Callable[_Asked, _Out], /, *args: _Asked.args, **kwargs: _Asked.kwargs) -> Future[_Out]:
        """Have a thread do it. Raises RuntimeError after the end."""
        work = _Work(Future(), partial(fn, *args, **kwargs))
        with self._changed:
            if self._closed:
                raise RuntimeError("this crew has ended")
            self._waiting.put(work)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                thread = threading.Thread(target=self._run, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        return work.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # as Executor has it
        """Take no more work; with `cancel_futures` what has not begun is not done. Idempotent."""
        with self._changed:
            begun, self._closed = not self._closed, True
        if cancel_futures:
            self._cancel()
        if begun or cancel_futures:
            for _ in self._threads:
                self._waiting.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what was asked for; after an interrupt only a moment, and for what has begun."""
        if not isinstance(error, KeyboardInterrupt):
            self.shutdown()
            return
        self.shutdown(wait=False, cancel_futures=True)
        deadline = time.monotonic() + _FAREWELL
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _cancel(self) -> None:
        with contextlib.suppress(Empty):
            while True:
                work = self._waiting.get_nowait()
                if work is not None:
                    work.future.cancel()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            work.do(self._rest)
            del work  # what it holds may be large

    def _rest(self) -> None:
        with self._changed:
            self._idle += 1


def in_parallel(
    work: Callable[[_In], _Out], items: Iterable[_In], *, threads: int, name: str, ahead: int = 4
) -> Iterator[tuple[_In, _Out]]:
    """Each item with what `work` makes of it, in the order of the items; an error of `work` comes up in its turn.

    At most `ahead` items a thread are under way or done and not taken yet. Whoever leaves early waits for what runs, unless
    it was interrupted. Threads are called `voxledger-NAME`.
    """
    waiting: deque[tuple[_In, Future[_Out]]] = deque()
    with Crew(threads, name=name) as pool:
        try:
            for item in items:
                waiting.append((item, pool.submit(work, item)))
                if len(waiting) >= threads * ahead:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def in_batches(items: Iterable[_In], size: int) -> Iterator[list[_In]]:
    """Lists of so many items, the last one shorter."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
