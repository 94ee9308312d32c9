"""Accesses: gathered in memory, recorded together, seen by whoever looks, and never in anybody's way."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from tests.building import Parts
from tests.s3 import wait_for
from voxledger.catalog import accesses
from voxledger.catalog.errors import DiskFull
from voxledger.catalog.events import AudioAccessed, Draft, new_id


def played(parts: Parts, clip: str | None = None) -> Draft:
    fact = AudioAccessed(channel="python", purpose="play")
    return parts.recorder.draft(fact, subject=clip or new_id(), actor=parts.vault.actor("ann"))


def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing is recorded just because time passes."""
    monkeypatch.setattr(accesses, "LONGEST", 1000.0)


def commits(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drafts each later call of the journal brings."""
    sizes: list[int] = []
    emit = parts.journal.emit

    def counted(*drafts: Draft) -> Any:
        sizes.append(len(drafts))
        return emit(*drafts)

    monkeypatch.setattr(parts.journal, "emit", counted)
    return sizes


def test_many_uses_are_one_transaction(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch)
    sizes = commits(parts, monkeypatch)
    for _ in range(100):
        parts.recorder.accesses.note(played(parts))
    assert parts.journal.head() == 0
    parts.recorder.accesses.flush()
    assert (sizes, parts.journal.head()) == ([100], 100)


def test_they_are_recorded_by_themselves(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesses, "LONGEST", 0.01)
    parts.recorder.accesses.note(played(parts))
    wait_for(lambda: parts.journal.head() == 1, "the use is recorded")
    parts.recorder.accesses.note(played(parts))
    wait_for(lambda: parts.journal.head() == 2, "the next one too")


def test_a_crowd_does_not_wait(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch)
    monkeypatch.setattr(accesses, "MOST", 10)
    for _ in range(10):
        parts.recorder.accesses.note(played(parts))
    wait_for(lambda: parts.journal.head() == 10, "ten uses are recorded without waiting for more")


def test_its_thread_ends_when_there_is_nothing_to_do(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accesses, "LONGEST", 0.01)
    monkeypatch.setattr(accesses, "_IDLE", 0.05)
    for _ in range(2):
        head = parts.journal.head()
        parts.recorder.accesses.note(played(parts))
        wait_for(lambda: parts.journal.head() == head + 1, "it is recorded")  # noqa: B023  # called at once
        wait_for(lambda: not threads(), "the thread has ended")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "voxledger-accesses"]


def test_whoever_reads_sees_them_and_so_does_closing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    slow(monkeypatch)
    clip = parts.clip()
    parts.recorder.accesses.note(played(parts, clip))
    assert parts.rows("SELECT plays FROM clips") == [{"plays": 1}]
    parts.recorder.accesses.note(played(parts, clip))
    parts.recorder.accesses.close()
    assert parts.journal.head() == 3


def test_a_full_disk_loses_none_and_stops_nobody(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow(monkeypatch)
    clip = parts.clip()

    def full(*drafts: Draft) -> Any:
        raise DiskFull("no room")

    parts.recorder.accesses.note(played(parts, clip))
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(parts.journal, "emit", full)
        assert parts.rows("SELECT plays FROM clips") == [{"plays": 0}]
        assert parts.rows("SELECT plays FROM clips") == [{"plays": 0}]
        with pytest.raises(DiskFull):
            parts.recorder.accesses.flush()
    assert caplog.text.count("not recorded yet") == 1
    assert parts.rows("SELECT plays FROM clips") == [{"plays": 1}]


def test_what_waits_is_bounded(parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    slow(monkeypatch)
    monkeypatch.setattr(accesses, "_KEPT", 5)

    def full(*drafts: Draft) -> Any:
        raise DiskFull("no room")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(parts.journal, "emit", full)
        for _ in range(8):
            parts.recorder.accesses.note(played(parts))
        parts.recorder.accesses.try_flush()
    assert "3 uses of clips are lost" in caplog.text
    parts.recorder.accesses.flush()
    assert parts.journal.head() == 5


def test_threads_that_note_and_flush_at_once_record_each_use_once(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accesses, "LONGEST", 0.001)

    def work() -> None:
        for number in range(50):
            parts.recorder.accesses.note(played(parts))
            if number % 10 == 0:
                parts.recorder.accesses.flush()

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    parts.recorder.accesses.flush()
    assert parts.journal.head() == 400
