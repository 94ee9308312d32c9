"""Turns: processes write one after another, and one that keeps its turn holds nobody up for ever."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.journal.emitting import draft, emitter, recorded
from voxledger.catalog.journal import Journal, turn


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite")
    yield made
    made.close()


@pytest.fixture
def stuck(journal: Journal) -> Iterator[int]:
    """Somebody who has the turn and does nothing with it."""
    handle = os.open(journal.path.with_suffix(".mark"), os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    yield handle
    os.close(handle)


def test_a_turn_that_nobody_gives_back_is_gone_without(
    journal: Journal, stuck: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "PATIENCE", 0.05)
    events = [journal.emit(draft())[0] for _ in range(3)]
    assert [event.position for event in events] == [1, 2, 3]
    mark = journal.mark()
    assert mark is not None
    assert mark.position == 0, "without a turn the mark lags"
    fcntl.flock(stuck, fcntl.LOCK_UN)
    journal.emit(draft())
    mark = journal.mark()
    assert mark is not None
    assert mark.position == 4


def test_a_writer_goes_on_as_soon_as_the_turn_is_free(journal: Journal, stuck: int) -> None:
    for expected in (1, 2):
        fcntl.flock(stuck, fcntl.LOCK_EX)
        positions: list[int] = []
        thread = threading.Thread(target=lambda: positions.append(journal.emit(draft())[0].position))  # noqa: B023
        begun = time.monotonic()
        thread.start()
        thread.join(timeout=0.05)
        assert positions == []
        fcntl.flock(stuck, fcntl.LOCK_UN)
        thread.join(timeout=60)
        assert positions == [expected]
        assert time.monotonic() - begun < turn.PATIENCE


def test_no_process_starves(journal: Journal) -> None:
    greedy = emitter(journal.path, first=0, count=1_000_000)
    assert greedy.stdout is not None
    greedy.stdout.readline()
    waits = []
    for _ in range(30):
        begun = time.monotonic()
        journal.emit(draft())
        waits.append(time.monotonic() - begun)
    greedy.kill()
    greedy.communicate()
    assert sorted(waits)[len(waits) // 2] < 0.1
    assert max(waits) < turn.PATIENCE


def test_a_forked_child_does_not_keep_the_turn(journal: Journal) -> None:
    child, parent = os.pipe()
    with journal.transaction() as write:
        write.append([draft()])
        pid = os.fork()
        if not pid:
            os.close(parent)
            os.read(child, 1)  # until the other end is closed
            os._exit(0)
    handle = os.open(journal.path.with_suffix(".mark"), os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(handle)
    os.close(parent)
    os.close(child)
    assert os.waitpid(pid, 0)[1] == 0
    assert list(recorded(journal)) == [1]
