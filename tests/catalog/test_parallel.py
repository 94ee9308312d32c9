"""Many things at a time: in order, few ahead, and an end that leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from voxledger.catalog.parallel import in_parallel


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
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("voxledger-left")]
