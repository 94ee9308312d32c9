"""Group commit: threads share a commit, and each gets what is its own."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.journal.emitting import draft, recorded
from voxledger.catalog import DiskFull, EventRejected, JournalError
from voxledger.catalog.events import Draft
from voxledger.catalog.journal import Journal, Use, group


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    yield made
    made.close()


@contextlib.contextmanager
def commits(journal: Journal) -> Iterator[list[str]]:
    """The commits while the block runs."""
    seen: list[str] = []
    journal._connection.set_trace_callback(lambda statement: seen.append(statement) if statement == "COMMIT" else None)
    yield seen
    journal._connection.set_trace_callback(None)


def together(journal: Journal, calls: list[Sequence[Draft]]) -> list[Any]:
    """Emit from many threads while the journal is taken, so that all of them wait; gives events or errors."""
    results: list[Any] = [None] * len(calls)

    def work(number: int) -> None:
        try:
            results[number] = journal.emit(*calls[number])
        except BaseException as error:  # noqa: BLE001  # the test looks at it
            results[number] = error

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(calls))]
    deadline = time.monotonic() + 60
    with journal._lock:
        for thread in threads:
            thread.start()
        while len(journal._group._waiting) < len(calls):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    return results


def test_threads_share_a_commit_and_each_gets_its_own(journal: Journal) -> None:
    with commits(journal) as seen:
        results = together(journal, [[draft(f"{n}-a"), draft(f"{n}-b")] for n in range(20)])
    assert len(seen) == 1
    for number, events in enumerate(results):
        assert [event.id for event in events] == [f"{number}-a", f"{number}-b"]
        assert events[1].position == events[0].position + 1
    found = recorded(journal)
    assert sorted(found) == list(range(1, 41))
    assert all(found[event.position] == event.id for events in results for event in events)


def test_the_same_event_from_many_threads_is_recorded_once(journal: Journal) -> None:
    results = together(journal, [[draft("same")] for _ in range(8)])
    assert [[event.position for event in events] for events in results] == [[1]] * 8
    assert recorded(journal) == {1: "same"}


def test_an_event_that_cannot_be_recorded_fails_its_own_caller_only(journal: Journal) -> None:
    calls = [[draft(f"{n}")] for n in range(6)]
    calls[2] = [draft("\ud800")]
    results = together(journal, calls)
    assert isinstance(results[2], EventRejected)
    assert "not valid Unicode" in str(results[2])
    assert {results[n][0].id for n in (0, 1, 3, 4, 5)} == set("01345")
    assert sorted(recorded(journal).values()) == list("01345")
    assert sorted(recorded(journal)) == [1, 2, 3, 4, 5]


def test_a_full_disk_is_told_to_every_caller(journal: Journal) -> None:
    connection = journal._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    big = b'"' + b"x" * 100_000 + b'"'
    results = together(journal, [[draft(data=big)] for _ in range(4)])
    assert all(isinstance(result, DiskFull) for result in results)
    assert journal.head() == 0


@pytest.mark.parametrize("step", ["journal.before_begin", "journal.before_commit", "journal.after_commit"])
def test_an_interrupted_leader_leaves_nobody_waiting(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    interrupts = iter([KeyboardInterrupt()])

    def interrupt(place: str) -> None:
        if place == step:
            for interruption in interrupts:
                raise interruption

    for module in ("journal", "database"):
        monkeypatch.setattr(f"voxledger.catalog.journal.{module}.failpoint", interrupt)
    results = together(journal, [[draft(f"{n}")] for n in range(8)])
    stopped = [result for result in results if isinstance(result, KeyboardInterrupt)]
    told = {events[0].position: events[0].id for events in results if isinstance(events, list)}
    assert len(stopped) == 1
    assert len(told) == 7
    found = recorded(journal)
    assert told.items() <= found.items()
    assert sorted(found) == list(range(1, len(found) + 1))
    assert len(set(found.values())) == len(found)


def test_what_answers_no_longer_is_not_recorded_and_disturbs_nobody(journal: Journal) -> None:
    """Beside uses of a clip that is there, in the same commit, the use of one that was forgotten meanwhile."""
    with journal.transaction() as write:
        for name in ("here", "gone"):
            write.claim(name, clip=f"clip-{name}", actor="ann")
            write.answer(name, b"how it sounds")
    known = {name: journal.fingerprint(name) for name in ("here", "gone")}
    told: dict[int, bool] = {}

    def use(number: int) -> None:
        name = "gone" if number % 3 == 0 else "here"
        found = known[name]
        assert found is not None
        drafts = [draft(f"{number}-a"), draft(f"{number}-b")]
        [told[number]] = journal.emit_where_answered([Use(name, found, drafts)])

    threads = [threading.Thread(target=use, args=(number,)) for number in range(12)]
    with journal._lock:
        with journal.transaction() as write:
            write.forget("clip-gone")
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while len(journal._group._waiting) < len(threads):
            assert time.monotonic() < deadline
            time.sleep(0.001)
    for thread in threads:
        thread.join(timeout=60)
    assert told == {number: number % 3 != 0 for number in range(12)}
    assert sorted(recorded(journal).values()) == sorted(
        f"{number}-{part}" for number in range(12) if number % 3 for part in "ab"
    )


def test_uses_of_one_thread_share_a_commit_and_each_has_its_outcome(journal: Journal) -> None:
    with journal.transaction() as write:
        for name in ("first", "second"):
            write.claim(name, clip=name, actor="a")
    known = journal.fingerprints(["first", "second", "unknown"])
    assert sorted(known) == ["first", "second"]
    journal.give_up("second")
    good, late, bad = ([draft(text)] for text in ("good", "late", "\ud800"))
    with commits(journal) as seen:
        uses = [Use("second", known["second"], late), Use("first", known["first"], good)]
        assert journal.emit_where_answered(uses) == [False, True]
    assert len(seen) == 1
    with pytest.raises(EventRejected):
        journal.emit_where_answered([Use("first", known["first"], bad)])
    assert list(recorded(journal).values()) == ["good"]


def test_whoever_asks_does_not_wait_for_whoever_writes(journal: Journal) -> None:
    with journal.transaction() as write:
        write.claim("one", clip="clip-one", actor="ann")
        write.answer("one", b"how it sounds")
    found: list[object] = []
    with journal.transaction() as write:
        write.forget("clip-one")
        asking = threading.Thread(
            target=lambda: found.extend([journal.fingerprint("one"), journal.answer_with("clip-one")])
        )
        asking.start()
        asking.join(timeout=60)
        assert not asking.is_alive()
    assert all(found)
    assert journal.fingerprint("one") is None


def test_a_closed_journal_answers_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "closed.sqlite")
    journal.close()
    with pytest.raises(JournalError, match="this ledger is closed"):
        journal.fingerprint("one")


def test_a_group_has_an_end(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "MOST_DRAFTS", 4)
    with commits(journal) as seen:
        together(journal, [[draft(f"{n}")] for n in range(20)])
    assert len(seen) == 5
    monkeypatch.setattr(group, "MOST_BYTES", 100)
    with commits(journal) as seen:
        together(journal, [[draft(data=b'"' + b"x" * 60 + b'"')] for _ in range(8)])
    assert len(seen) == 4


def test_emitting_within_a_change_of_the_same_thread_is_refused(journal: Journal) -> None:
    with pytest.raises(JournalError, match="open in this thread already"), journal.transaction() as write:
        write.append([draft("outer")])
        journal.emit(draft("inner"))
    assert recorded(journal) == {}
    assert journal.emit(draft("after"))[0].position == 1


def test_a_refused_change_leaves_the_open_one_alone(journal: Journal) -> None:
    with journal.transaction() as write:
        write.append([draft("outer")])
        for refused in (lambda: journal.emit(draft("inner")), lambda: journal.drained(1, bytes(32))):
            with pytest.raises(JournalError, match="open in this thread already"):
                refused()
    assert recorded(journal) == {1: "outer"}
    mark = journal.mark()
    assert mark is not None
    assert (mark.position, mark.drained) == (1, 0)


def test_a_change_left_open_by_an_interrupt_is_undone_by_the_next(journal: Journal) -> None:
    journal._connection.execute("BEGIN IMMEDIATE")
    journal._connection.execute("INSERT INTO events VALUES (1, x'00', 0, x'00')")
    assert journal.emit(draft("next"))[0].position == 1
    assert recorded(journal) == {1: "next"}
