"""Leases: many processes take from one heap of work, and no piece is done twice."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path

from tests import forking
from tests.soak import rounds
from voxledger.catalog.journal import Journal, owners

_WORKER = """
import sys
from pathlib import Path
from voxledger.catalog.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while tasks := journal.lease("upload", limit=3, seconds=600):
    for task in tasks:
        print("done", task.subject, flush=True)
        with journal.transaction() as write:
            assert write.finish_task(task)
        print("told", task.subject, flush=True)
journal.close()
"""


def _heap(path: Path, count: int) -> Journal:
    journal = Journal(path)
    with journal.transaction() as write:
        for number in range(count):
            write.add_task("upload", subject=str(number), actor="a", payload=b"p")
    return journal


def _workers(path: Path, count: int) -> list[forking.Process]:
    workers = [
        forking.spawn(["-c", _WORKER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(count)
    ]
    for worker in workers:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return workers


def test_processes_that_race_do_every_task_once(tmp_path: Path) -> None:
    journal = _heap(tmp_path / "journal.sqlite", 200)
    done: Counter[str] = Counter()
    for worker in _workers(journal.path, 4):
        said = worker.communicate(timeout=60)[0]
        assert worker.returncode == 0
        done.update(line.split()[1] for line in said.splitlines() if line.startswith("done"))
    assert done == Counter(str(number) for number in range(200))
    assert journal.counts() == []
    journal.close()


def test_what_a_killed_process_had_finished_is_not_done_again(tmp_path: Path) -> None:
    for attempt in rounds(20):
        journal = _heap(tmp_path / f"{attempt}.sqlite", 60)
        victim, other = _workers(journal.path, 2)
        assert victim.stdout is not None
        heard = [victim.stdout.readline() for _ in range(7 + attempt)]
        os.kill(victim.pid, signal.SIGKILL)
        # Not communicate(): it would pass over what readline() has read ahead.
        # A line that the kill has cut off is none, and must not spoil the first one of the other.
        said = ("".join(heard) + victim.stdout.read()).rpartition("\n")[0] + "\n" + other.communicate(timeout=60)[0]
        victim.communicate()
        for worker in _workers(journal.path, 1):
            said += worker.communicate(timeout=60)[0]
        done = Counter(line.split()[1] for line in said.splitlines() if line.startswith("done "))
        told = Counter(line.split()[1] for line in said.splitlines() if line.startswith("told "))
        assert set(done) == {str(number) for number in range(60)}
        assert max(told.values()) == 1
        assert [subject for subject, times in done.items() if times > 1] in ([], *[[subject] for subject in done])
        assert journal.counts() == []
        journal.close()


def test_an_owner_in_another_container_is_not_taken_for_dead() -> None:
    mine = owners.new_owner()
    dead = f"{2**22 - 3}:1.00:12345678"
    assert not owners.owner_gone(mine)
    assert owners.owner_gone(dead)
    assert owners.owner_gone(f"{dead}:{mine.split(':')[3]}")
    assert not owners.owner_gone(f"{dead}:4711"), "its process ids mean nothing here"
