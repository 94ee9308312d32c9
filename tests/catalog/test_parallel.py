"""Many things at a time: in order, few ahead, and an end that leaves nothing behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from tests.s3 import wait_for
from voxledger.catalog.parallel import Crew, in_parallel


def test_results_come_in_order_and_few_items_are_taken_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(1000):
            taken.append(number)
            yield number

    for number, square in in_parallel(lambda each: each * each, items(), threads=2, name="test", ahead=4):
        assert square == number * number
        assert len(taken) <= number + 2 * 4
    assert len(taken) == 1000


def test_an_error_comes_in_its_turn_and_ends_the_rest() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    came = []
    with pytest.raises(ValueError, match="3"):
        for _, result in in_parallel(work, range(1000), threads=1, name="test"):
            came.append(result)
    assert came == [0, 1, 2]
    assert len(begun) < 10


def test_whoever_leaves_early_leaves_no_thread_behind() -> None:
    for _ in in_parallel(str, range(1000), threads=3, name="left"):
        break
    assert not _threads("left")


def test_an_interrupt_waits_for_nothing_that_hangs_and_begins_nothing_more() -> None:
    hang, begun = threading.Event(), []

    def work(number: int) -> None:
        begun.append(number)
        hang.wait(30)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Crew(2, name="hanging") as crew:
        futures = [crew.submit(work, number) for number in range(9)]
        wait_for(lambda: len(begun) == 2, "both threads have work")
        raise KeyboardInterrupt
    assert time.monotonic() - started < 5
    assert [future.cancelled() for future in futures] == [False] * 2 + [True] * 7
    with pytest.raises(RuntimeError, match="ended"):
        crew.submit(work, 9)
    hang.set()
    wait_for(lambda: not _threads("hanging"), "no thread is left")
    assert begun == [0, 1]


def test_a_crew_has_no_more_threads_than_it_needs_and_waits_for_them_at_the_end() -> None:
    with Crew(8, name="few") as crew:
        for number in range(20):
            assert crew.submit(int, str(number)).result() == number
        assert len(_threads("few")) == 1
        assert list(crew.map(str, range(5))) == ["0", "1", "2", "3", "4"]
        slow = crew.submit(time.sleep, 0.05)
    assert slow.done()
    assert not _threads("few")


def _threads(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith(f"voxledger-{name}")]
