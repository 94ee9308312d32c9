"""Epochs: a journal that is not what it was says so, loses nothing in silence, and gives no position twice."""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalog.journal.emitting import draft, emitter, recorded
from voxledger.catalog import JournalError
from voxledger.catalog.journal import Epoch, Journal


def grown(path: Path, count: int) -> str:
    """Open, emit, close; gives the node."""
    journal = Journal(path)
    for _ in range(count):
        journal.emit(draft())
    journal.close()
    return journal.node


def shape(epoch: Epoch) -> tuple[str, int, int | None, int | None]:
    return (epoch.reason, epoch.first, epoch.lost_first, epoch.lost_last)


def put_in_place(path: Path, content: bytes) -> None:
    """As `cp` does over an existing file: the same file with other bytes."""
    path.write_bytes(content)


def put_anew(path: Path, content: bytes) -> None:
    """As a restore does: another file under the name."""
    path.with_name("aside").write_bytes(content)
    path.with_name("aside").replace(path)


def test_a_new_journal_begins_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path / "journal.sqlite")
    event = journal.emit(draft())[0]
    assert [shape(epoch) for epoch in journal.epochs()] == [("created", 1, None, None)]
    assert event.source == f"voxledger:{journal.node}/{journal.epochs()[0].epoch}"
    journal.close()
    grown(journal.path, 1)
    assert caplog.text == ""


@pytest.mark.parametrize(("put", "reason"), [(put_in_place, "truncated"), (put_anew, "restored")])
def test_an_older_copy_goes_on_after_what_was_acknowledged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, put: Callable[[Path, bytes], None], reason: str
) -> None:
    path = tmp_path / "journal.sqlite"
    grown(path, 5)
    copy = path.read_bytes()
    grown(path, 3)
    put(path, copy)

    journal = Journal(path)
    assert journal.head() == 5
    assert shape(journal.epochs()[-1]) == (reason, 9, 6, 8)
    event = journal.emit(draft())[0]
    assert event.position == 9
    assert event.source.endswith(journal.epochs()[-1].epoch)
    assert sorted(recorded(journal)) == [1, 2, 3, 4, 5, 9]
    assert "positions 6 to 8 are not in it" in caplog.text
    assert "new events go on from position 9" in caplog.text
    assert len(caplog.records) == 1
    journal.close()

    grown(path, 1)  # once is enough
    assert len(caplog.records) == 1


def test_a_torn_end_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    process = emitter(path, first=0, count=100_000)
    assert process.stdout is not None
    for _ in range(20):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    os.truncate(path.with_name("journal.sqlite-wal"), path.with_name("journal.sqlite-wal").stat().st_size - 30_000)

    journal = Journal(path)
    mark = journal.mark()
    assert mark is not None
    lost = journal.epochs()[-1]
    assert shape(lost) == ("truncated", mark.position + 1, journal.head() + 1, mark.position)
    assert journal.emit(draft())[0].position == mark.position + 1
    journal.close()


def test_a_missing_journal_goes_on_after_the_mark(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.sqlite"
    node = grown(path, 5)
    path.unlink()
    journal = Journal(path, base=lambda: 3)
    assert journal.node == node
    assert journal.head() == 5
    assert shape(journal.epochs()[0]) == ("recreated", 6, 4, 5)
    assert journal.emit(draft())[0].position == 6
    assert "was missing and is made anew: the acknowledged positions 4 to 5 are not in it" in caplog.text
    journal.close()


@pytest.mark.parametrize("with_mark", [True, False])
def test_a_missing_journal_goes_on_after_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, with_mark: bool
) -> None:
    path = tmp_path / "journal.sqlite"
    grown(path, 5)
    path.unlink()
    if not with_mark:
        path.with_suffix(".mark").unlink()
    journal = Journal(path, base=lambda: 7)
    assert shape(journal.epochs()[0]) == ("recreated", 8, None, None)
    assert journal.emit(draft())[0].position == 8
    assert "made anew; new events go on from position 8" in caplog.text
    journal.close()


def test_the_log_is_asked_only_when_a_journal_is_made(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    grown(path, 1)

    def never() -> int:
        raise AssertionError("asked")

    Journal(path, base=never).close()


def test_a_log_that_cannot_be_asked_leaves_no_journal_behind(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"

    def busy() -> int:
        raise JournalError("the log is held")

    with pytest.raises(JournalError, match="the log is held"):
        Journal(path, base=busy)
    assert Journal(path, base=lambda: 4).emit(draft())[0].position == 5


def test_a_journal_of_another_home_is_refused_and_left_alone(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours" / "journal.sqlite", tmp_path / "theirs" / "journal.sqlite"
    for path in (ours, theirs):
        path.parent.mkdir()
    nodes = [grown(path, 3) for path in (ours, theirs)]
    shutil.copyfile(theirs, ours)
    before = ours.read_bytes(), ours.with_suffix(".mark").read_bytes()
    with pytest.raises(JournalError) as caught:
        Journal(ours)
    assert all(node in str(caught.value) for node in nodes)
    assert "put this HOME's own journal.sqlite back, or delete journal.mark" in str(caught.value)
    assert (ours.read_bytes(), ours.with_suffix(".mark").read_bytes()) == before
    ours.with_suffix(".mark").unlink()
    journal = Journal(ours)
    assert journal.node == nodes[1]
    journal.close()


def test_a_cloned_home_goes_on_under_another_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours, clone = tmp_path / "ours", tmp_path / "clone"
    ours.mkdir()
    grown(ours / "journal.sqlite", 3)
    shutil.copytree(ours, clone)
    journals = [Journal(folder / "journal.sqlite") for folder in (ours, clone)]
    events = [journal.emit(draft())[0] for journal in journals]
    assert [event.position for event in events] == [4, 4]
    assert events[0].source != events[1].source
    assert shape(journals[1].epochs()[-1]) == ("cloned", 4, None, None)
    assert len(journals[0].epochs()) == 1
    assert f"{clone / 'journal.sqlite'} was copied or moved here; new events go on from position 4" in caplog.text
    for journal in journals:
        journal.close()


def test_two_histories_of_one_node_are_not_mixed(tmp_path: Path) -> None:
    ours, clone = tmp_path / "ours", tmp_path / "clone"
    ours.mkdir()
    grown(ours / "journal.sqlite", 3)
    shutil.copytree(ours, clone)
    grown(clone / "journal.sqlite", 2)  # 4 and 5, in an epoch of the clone's
    copy = (ours / "journal.sqlite").read_bytes()
    grown(ours / "journal.sqlite", 4)
    put_in_place(clone / "journal.sqlite", (ours / "journal.sqlite").read_bytes())
    with pytest.raises(JournalError, match=r"have both given position 4.*which gave 4 to 5 here"):
        Journal(clone / "journal.sqlite")
    put_in_place(clone / "journal.sqlite", copy)
    journal = Journal(clone / "journal.sqlite")
    assert shape(journal.epochs()[-1]) == ("restored", 6, 4, 5)
    journal.close()


@pytest.mark.parametrize("damage", [None, b"", b"x" * 132, b"short"])
def test_a_mark_that_cannot_be_read_is_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: bytes | None
) -> None:
    path = tmp_path / "journal.sqlite"
    grown(path, 3)
    path.with_suffix(".mark").unlink() if damage is None else path.with_suffix(".mark").write_bytes(damage)
    journal = Journal(path)
    mark = journal.mark()
    assert mark is not None
    assert (mark.node, mark.position, mark.drained) == (journal.node, 3, 0)
    assert len(journal.epochs()) == 1
    assert caplog.text == ""
    journal.close()


def test_the_keeper_may_begin_an_epoch_further_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.sqlite"
    journal, other = Journal(path), Journal(path)
    first = journal.emit(draft())[0]
    begun = journal.begin_epoch(11, "truncated")
    assert shape(begun) == ("truncated", 11, 2, 10)
    assert journal.head() == 1
    assert "positions 2 to 10" in caplog.text
    event = other.emit(draft())[0]  # a process that had it open already
    assert event.position == 11
    assert event.source.endswith(begun.epoch)
    assert event.recorded >= begun.since >= first.recorded
    with pytest.raises(JournalError, match=r"position 11 has been given; an epoch can begin at 12"):
        journal.begin_epoch(11, "truncated")
    for each in (journal, other):
        each.close()


def test_an_epoch_without_events_does_not_bring_forth_others(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.emit(draft())
    journal.begin_epoch(11, "truncated")
    journal.close()
    journal = Journal(path)
    assert len(journal.epochs()) == 2
    assert journal.emit(draft())[0].position == 11
    journal.close()
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


def test_what_the_log_has_taken_over_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.drained(7, b"d" * 32)
    journal.drained(5, b"e" * 32)
    journal.emit(draft())
    journal.close()
    journal = Journal(path)
    mark = journal.mark()
    assert mark is not None
    assert (mark.drained, mark.digest, mark.position) == (7, b"d" * 32, 1)
    journal.close()


@pytest.mark.parametrize("how", ["replaced", "deleted"])
def test_nothing_is_acknowledged_into_a_file_that_is_gone(tmp_path: Path, how: str) -> None:
    path = tmp_path / "journal.sqlite"
    grown(path, 2)
    journal = Journal(path)
    if how == "replaced":
        put_anew(path, path.read_bytes())
    else:
        path.unlink()
    with pytest.raises(JournalError, match="moved, deleted or replaced while it was open; nothing was recorded"):
        journal.emit(draft())
    journal.close()


def test_a_database_that_is_no_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE music (title TEXT)")
    connection.close()
    with pytest.raises(JournalError, match="is a database, but no journal; move it aside"):
        Journal(path)
