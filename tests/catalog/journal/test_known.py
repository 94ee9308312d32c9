"""Repetitions: an id is recorded once, whether its event is still here or was pruned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog.journal.emitting import draft, numbered, recorded
from voxledger.catalog.journal import Journal, database, transaction
from voxledger.catalog.journal import journal as journal_module


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    yield made
    made.close()


def test_a_pruned_event_is_recognised_and_given_again(journal: Journal) -> None:
    drafts = [draft(numbered(n)) for n in range(5)]
    events = journal.emit(*drafts)
    assert journal.prune(3) == 3
    journal.begin_epoch(100, "truncated")  # the answer names the epoch of then
    assert journal.emit(*drafts) == events
    assert journal.emit(drafts[0]) == events[:1]
    assert journal.knows(numbered(0))
    assert not journal.knows(numbered(99))
    assert sorted(recorded(journal)) == [4, 5]
    assert journal.emit(draft(numbered(99)))[0].position == 100


def test_only_the_newest_pruned_ids_are_kept(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "KNOWN", 10)
    journal.emit(*(draft(numbered(n)) for n in range(50)))
    journal.prune(40)
    assert [n for n in range(50) if journal.knows(numbered(n))] == list(range(30, 50))


def test_ids_that_are_no_uuids_are_told_apart(journal: Journal) -> None:
    ids = ["", "a", "A", "urn:x", numbered(10), numbered(10).upper(), numbered(10).replace("-", ""), "ü", "x" * 10_000]
    for identity in ids:
        journal.emit(draft(identity))
    assert list(recorded(journal).values()) == ids
    assert [event.position for event in journal.emit(*map(draft, ids))] == list(range(1, len(ids) + 1))


def test_pruning_goes_in_pieces(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_PIECE", 4)
    journal.emit(*(draft() for _ in range(20)))
    commits: list[str] = []
    journal._connection.set_trace_callback(
        lambda statement: commits.append(statement) if statement == "COMMIT" else None
    )
    assert journal.prune(18) == 18
    assert len(commits) == 5
    assert journal.prune(100) == 1
    assert journal.prune(100) == 0
    assert journal.oldest() == 20


def test_a_file_that_was_large_shrinks(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_SLACK", 10)
    monkeypatch.setattr(database, "_SHRINK", 200)
    journal.emit(*(draft(data=b'"' + b"x" * 20_000 + b'"') for _ in range(300)))
    pages = journal._connection.execute("PRAGMA page_count").fetchone()[0]
    journal.prune(299)
    assert 0 <= journal._connection.execute("PRAGMA page_count").fetchone()[0] - (pages - 200) < 5, "a bounded part"
    for _ in range(10):
        journal.prune(299)
        journal.emit(draft())
        journal.prune(journal.head())
    assert journal._connection.execute("PRAGMA page_count").fetchone()[0] < 50


_steps = st.lists(
    st.one_of(
        st.tuples(st.just("emit"), st.lists(st.integers(0, 40), max_size=6)),
        st.tuples(st.just("prune"), st.integers(0, 60)),
        st.tuples(st.just("epoch"), st.integers(0, 3)),
        st.tuples(st.just("reopen"), st.just(0)),
        st.tuples(st.just("restore"), st.just(0)),
        st.tuples(st.just("copy"), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(steps=_steps)
def test_positions_are_gapless_but_where_an_epoch_begins(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("home") / "journal.sqlite"
    journal, copy = Journal(path), b""
    given_out: dict[int, str] = {}
    for step, value in steps:
        if step == "emit":
            assert isinstance(value, list)
            before = set(given_out)
            for event in journal.emit(*(draft(numbered(n)) for n in value)):
                assert given_out.setdefault(event.position, event.id) == event.id, "a position is given once"
            new = sorted(set(given_out) - before)
            free = max([*before, journal.epochs()[-1].first - 1]) + 1
            assert new == list(range(free, free + len(new)))
        elif step == "prune":
            assert isinstance(value, int)
            journal.prune(value)
        elif step == "epoch":
            assert isinstance(value, int)
            journal.begin_epoch(max([*given_out, journal.epochs()[-1].first - 1]) + 1 + value, "truncated")
        else:
            journal.close()
            if step == "restore" and copy:
                path.write_bytes(copy)
            elif step == "copy":
                copy = path.read_bytes()
            journal = Journal(path)
    here = recorded(journal)
    assert here.items() <= given_out.items()
    missing = set(range(1, max(given_out, default=0) + 1)) - set(given_out)
    lost = {
        position
        for epoch in journal.epochs()
        if epoch.lost_first is not None and epoch.lost_last is not None
        for position in range(epoch.lost_first, epoch.lost_last + 1)
    }
    assert missing <= lost, "every gap is an epoch's, and says so"
    journal.close()
