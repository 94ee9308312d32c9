"""The queue before an engine: bounded, interactive before batch, fair between actors, and nobody waits for one who left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from voxledger.synth import StudioBusy
from voxledger.synth.studio import turns as turns_room
from voxledger.synth.studio.turns import Priority, Turns


class Line:
    """Callers who queue up one by one while the engine is busy, and the order in which their turns came."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.order: list[str] = []
        self.errors: list[StudioBusy] = []
        self._threads: list[threading.Thread] = []
        self._engine = threading.Event()
        self._holder = threading.Thread(target=self._hold)
        self._holder.start()
        until(lambda: not turns.free)

    def _hold(self) -> None:
        with self.turns.taken(actor="engine"):
            self._engine.wait(10)

    def join(
        self, name: str, *, actor: str | None = None, priority: Priority = "interactive", voice: str | None = None
    ) -> None:
        before = self.turns.waiting

        def wait() -> None:
            try:
                with self.turns.taken(actor=actor or name, priority=priority, voice=voice):
                    self.order.append(name)
            except StudioBusy as error:
                self.errors.append(error)

        self._threads.append(threading.Thread(target=wait))
        self._threads[-1].start()
        until(lambda: self.turns.waiting > before)

    def go(self) -> list[str]:
        self._engine.set()
        for thread in (self._holder, *self._threads):
            thread.join(10)
        assert not self.errors
        return self.order


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.fixture
def line() -> Line:
    return Line(Turns(1, 100))


def test_interactive_requests_go_before_batch(line: Line) -> None:
    for number in range(3):
        line.join(f"b{number}", priority="batch")
    line.join("i0")
    line.join("i1")
    assert line.go() == ["i0", "i1", "b0", "b1", "b2"]


def test_batch_is_not_starved(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_room, "AGEING", 0.0)
    line.join("b0", priority="batch")
    line.join("i0")
    assert line.go() == ["b0", "i0"]


def test_one_actor_with_many_requests_does_not_hold_up_another(line: Line) -> None:
    for number in range(5):
        line.join(f"ann{number}", actor="ann")
    line.join("bob0", actor="bob")
    order = line.go()
    assert order.index("bob0") <= 1
    assert [name for name in order if name.startswith("ann")] == [f"ann{number}" for number in range(5)]


def test_whoever_comes_later_gets_no_credit_for_having_been_away() -> None:
    turns = Turns(1, 100)
    for _ in range(3):
        with turns.taken(actor="ann"):
            time.sleep(0.01)
    line = Line(turns)
    for number in range(4):
        line.join(f"ann{number}", actor="ann")
        line.join(f"bob{number}", actor="bob")
    order = line.go()
    assert {name[:3] for name in order[:2]} == {"ann", "bob"}


def test_requests_of_one_voice_are_kept_together(line: Line) -> None:
    for number in range(3):
        line.join(f"a{number}", actor="ann", voice="a.wav")
        line.join(f"b{number}", actor="ann", voice="b.wav")
    order = line.go()
    assert sum(first[0] != second[0] for first, second in pairwise(order)) == 1


def test_a_voice_is_favoured_a_few_times_only(line: Line) -> None:
    for number in range(20):
        line.join(f"ann{number}", actor="ann", voice="a.wav")
    line.join("bob", actor="bob", voice="b.wav")
    assert line.go().index("bob") <= turns_room.FAVOURS + 1


def test_a_full_queue_refuses_at_once() -> None:
    line = Line(Turns(1, 2))
    line.join("a")
    line.join("b")
    with pytest.raises(StudioBusy, match=r"2 requests wait .* synth\.queue"), line.turns.taken(actor="c"):
        pass
    assert line.go() == ["a", "b"]


def test_a_turn_that_does_not_come_in_time_is_given_up(line: Line) -> None:
    with pytest.raises(StudioBusy, match=r"within 0\.05 s"), line.turns.taken(actor="c", patience=0.05):
        pass
    assert line.turns.waiting == 0
    line.join("d")
    assert line.go() == ["d"]


def test_whoever_left_is_passed_over(line: Line) -> None:
    stop = threading.Event()
    came: list[bool] = []

    def wait() -> None:
        with line.turns.taken(actor="gone", stop=stop) as mine:
            came.append(mine)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: line.turns.waiting == 1)
    line.join("next")
    stop.set()
    thread.join(10)
    assert came == [False]
    assert line.go() == ["next"]


def test_several_turns_are_held_at_once_and_all_come_back() -> None:
    turns = Turns(3, 1000)
    busy = peak = 0
    lock = threading.Lock()

    def work(number: int) -> None:
        nonlocal busy, peak
        for _ in range(20):
            with turns.taken(actor=f"actor{number % 4}", priority="batch" if number % 2 else "interactive"):
                with lock:
                    busy += 1
                    peak = max(peak, busy)
                time.sleep(0.0005)
                with lock:
                    busy -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert peak == 3
    assert turns.free == 3
    assert not turns._served  # nothing is remembered of those who left


def test_a_book_that_comes_back_for_each_sentence_gets_no_more_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 0.0
    monkeypatch.setattr(turns_room.time, "monotonic", lambda: moment)
    turns = Turns(1, 100)
    used = {"book": 0.0, "lines": 0.0}
    waiting: list[turns_room._Waiting] = []

    def come(actor: str) -> None:
        waiting.append(
            turns_room._Waiting(number=next(turns._numbers), actor=actor, batch=False, voice=None, since=moment)
        )
        turns._come(waiting[-1], goes_on=False)

    for actor in ("book", "lines", "lines"):  # one caller after the other, and two at the same time
        come(actor)
    for _ in range(60):
        (mine,) = [one for one in waiting if one.called.is_set()]
        seconds = 5.0 if mine.actor == "book" else 1.0
        moment += seconds
        used[mine.actor] += seconds
        waiting.remove(mine)
        turns._leave(mine)
        come(mine.actor)
    assert used["book"] == pytest.approx(used["lines"], abs=6)


def test_what_had_a_turn_is_not_refused_half_way() -> None:
    line = Line(Turns(1, 1))
    line.join("a")
    done: list[bool] = []

    def go_on() -> None:
        with line.turns.taken(actor="book", goes_on=True) as mine:
            done.append(mine)

    thread = threading.Thread(target=go_on)
    thread.start()
    until(lambda: line.turns.waiting == 2)
    with pytest.raises(StudioBusy), line.turns.taken(actor="late"):
        pass
    line.go()
    thread.join(10)
    assert done == [True]


def test_an_interrupt_at_any_moment_gives_the_turn_back(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = Turns(1, 10)

    def interrupted(*_: object) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(turns, "_called", interrupted)
        with pytest.raises(KeyboardInterrupt), turns.taken(actor="ann"):
            pass
    assert (turns.free, turns.waiting) == (1, 0)
    with turns.taken(actor="bob", patience=0.1) as mine:
        assert mine
