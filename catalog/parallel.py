"""Many requests at a time, in order, with few of them waiting: a million keys must not become a million futures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")


def in_parallel(
    work: Callable[[_In], _Out], items: Iterable[_In], *, threads: int, name: str, ahead: int = 4
) -> Iterator[tuple[_In, _Out]]:
    """Each item with what `work` makes of it, in the order of the items; an error of `work` comes up in its turn.

    At most `ahead` items a thread are under way or done and not taken yet. Whoever leaves early waits for what runs.
    Threads are called `voxledger-NAME`.
    """
    waiting: deque[tuple[_In, Future[_Out]]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix=f"voxledger-{name}") as pool:
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
