"""Ahead: while one batch is written, another thread makes the next one ready."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TypeAlias

import pyarrow as pa

from voxledger.catalog.log.writer import Batch

Ready: TypeAlias = tuple[Batch, pa.Table]
"""A batch, and its rows as folds read them."""


class Ahead:
    """The batches of one drain. What was made ready when a burst ends is there for the next burst."""

    def __init__(self, make: Callable[[int], Ready | None]) -> None:
        """`make` gives what follows a position, None where nothing does."""
        self._make = make
        self._thread: ThreadPoolExecutor | None = None
        self._coming: Future[Ready | None] | None = None
        self._after = -1

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread:
            self._thread.shutdown(cancel_futures=True)

    def batches(self, last: int, head: int) -> Iterator[Ready]:
        """What follows a position, up to a head."""
        while last < head and (ready := self._take(last)):
            last = ready[0].last
            if last < head:
                self._begin(last)
            yield ready

    def _take(self, last: int) -> Ready | None:
        coming, self._coming = self._coming, None
        # Another process may have drained since: then what was made ready is in the log.
        return coming.result() if coming and self._after == last else self._make(last)

    def _begin(self, last: int) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="voxledger-ahead")
        self._after, self._coming = last, self._thread.submit(self._make, last)
