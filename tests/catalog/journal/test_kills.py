"""Kills: whatever ends the process, what was acknowledged is there, and nothing is there twice."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from tests.catalog.journal.emitting import acknowledged, emitter, numbered, recorded
from tests.soak import rounds
from voxledger.catalog.journal import Journal

PLACES = [
    "journal.before_begin",
    "journal.after_insert",
    "journal.before_commit",
    "journal.after_commit",
    "journal.after_mark",
]


@pytest.mark.parametrize("place", PLACES)
def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path, place: str) -> None:
    path = tmp_path / "journal.sqlite"
    killed = emitter(path, first=0, count=20, failpoint=f"{place}:7")
    told = acknowledged(killed.communicate(timeout=60)[0])
    assert killed.returncode == -signal.SIGKILL
    assert len(told) in (5, 6)

    journal = Journal(path)
    assert told.items() <= recorded(journal).items()
    mark = journal.mark()
    assert mark is not None
    assert mark.position == journal.head()
    assert [epoch.reason for epoch in journal.epochs()] == ["created"]

    again = emitter(path, first=0, count=20)
    told |= acknowledged(again.communicate(timeout=60)[0])
    assert again.returncode == 0
    assert told == recorded(journal) == {number + 1: numbered(number) for number in range(20)}
    journal.close()


def test_kills_at_random_times_lose_and_double_nothing(tmp_path: Path) -> None:
    path, told, chance = tmp_path / "journal.sqlite", {}, random.Random(7)
    first = 0
    for _ in rounds(50):
        process = emitter(path, first=first, count=100_000)
        assert process.stdout is not None
        heard = [process.stdout.readline() for _ in range(chance.randint(1, 60))]
        os.kill(process.pid, signal.SIGKILL)
        heard.append(process.stdout.read())  # communicate() passes over what was read ahead
        process.communicate()
        told |= acknowledged("".join(heard))
        first = len(told)  # begins with what the killed one may have recorded without being told
    journal = Journal(path)
    found = recorded(journal)
    assert told.items() <= found.items()
    assert found == {number + 1: numbered(number) for number in range(len(found))}
    assert [epoch.reason for epoch in journal.epochs()] == ["created"]
    journal.close()
