"""Seats: as many at a time as there are, and the most urgent first."""

from __future__ import annotations

import threading
import time

import pytest

from voxledger.synth.audio.seats import LATER, Seats

PATIENCE = 60.0


def _waits(seats: Seats, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while len(seats._waiting) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_free_seat_goes_to_whoever_is_due_first() -> None:
    seats, order = Seats(1), []

    def work(name: str, due: float) -> None:
        with seats.taken(due):
            order.append(name)

    threads = []
    with seats.taken():
        for number, (name, due) in enumerate([("later", LATER), ("third", 3.0), ("first", 1.0), ("too", 3.0)]):
            threads.append(threading.Thread(target=work, args=(name, due)))
            threads[-1].start()
            _waits(seats, number + 1)
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["first", "third", "too", "later"]


def test_never_more_at_a_time_than_there_are_seats() -> None:
    seats, at_once, most, lock = Seats(2), 0, 0, threading.Lock()

    def work(number: int) -> None:
        nonlocal at_once, most
        with seats.taken(float(number % 3)):
            with lock:
                at_once += 1
                most = max(most, at_once)
            time.sleep(0.002)
            with lock:
                at_once -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert most == 2
    assert at_once == 0


def test_long_work_gives_way_to_what_is_due_and_goes_on_afterwards() -> None:
    seats, order = Seats(1), []

    def urgent() -> None:
        with seats.taken(1.0):
            order.append("urgent")

    with seats.taken():
        seats.give_way()  # to nobody
        thread = threading.Thread(target=urgent)
        thread.start()
        _waits(seats, 1)
        order.append("long")
        seats.give_way()
        order.append("goes on")
    thread.join(PATIENCE)
    assert order == ["long", "urgent", "goes on"]
    with seats.taken():  # none was lost
        pass


def test_an_interrupt_while_giving_way_neither_loses_nor_makes_a_seat(monkeypatch: pytest.MonkeyPatch) -> None:
    seats = Seats(1)

    def urgent() -> None:
        with seats.taken(1.0):
            at_work.set()
            go_on.wait(PATIENCE)

    at_work, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        with seats.taken():
            pass

    thread, later = threading.Thread(target=urgent), threading.Thread(target=wait)
    with pytest.raises(KeyboardInterrupt), seats.taken():
        thread.start()
        _waits(seats, 1)
        later.start()
        _waits(seats, 2)
        monkeypatch.setattr(seats, "_take", _interrupted)
        seats.give_way()
    monkeypatch.undo()
    assert at_work.wait(PATIENCE)
    assert len(seats._waiting) == 1, "the only seat is taken"
    go_on.set()
    thread.join(PATIENCE)
    later.join(PATIENCE)
    assert not later.is_alive()
    with seats.taken():
        pass


def _interrupted(due: float) -> None:
    raise KeyboardInterrupt


def test_work_that_can_wait_is_not_given_way_to() -> None:
    seats, order = Seats(1), []

    def other() -> None:
        with seats.taken():
            order.append("other")

    with seats.taken():
        thread = threading.Thread(target=other)
        thread.start()
        _waits(seats, 1)
        seats.give_way()
        order.append("mine")
    thread.join(PATIENCE)
    assert order == ["mine", "other"]
