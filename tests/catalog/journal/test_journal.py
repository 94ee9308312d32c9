"""The journal: durable, gapless, safe between threads and processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import forking
from tests.building import Parts
from voxledger.catalog import DiskFull, JournalError, LogCorrupt
from voxledger.catalog.events import ClipTagged, decode, new_id
from voxledger.catalog.events.envelope import EARLIEST
from voxledger.catalog.journal import Journal, transaction

_EMITTER = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from tests.building import Parts
from voxledger.catalog.events import ClipTagged, new_id
parts = Parts(Path({home!r}))
for number in range({count}):
    event = parts.record(ClipTagged(tag=f"{name}-{{number}}"), new_id())
    print(event.position, event.id, flush=True)
"""


def _emitter(parts: Parts, name: str, count: int) -> forking.Process:
    code = _EMITTER.format(tests=str(Path(__file__).parents[3]), home=str(parts.home.path), name=name, count=count)
    return forking.spawn(["-c", code], stdout=subprocess.PIPE)


def _acknowledged(output: str) -> dict[int, str]:
    lines = [line.split() for line in output.splitlines() if line.count(" ") == 1]
    return {int(position): identity for position, identity in lines}


def _recorded(parts: Parts) -> dict[int, str]:
    return {position: decode(body).id for position, body in parts.journal.read(0, 1_000_000)}


def test_positions_have_no_gaps_between_threads(parts: Parts) -> None:
    def work() -> None:
        for _ in range(50):
            parts.record(ClipTagged(tag="x"), new_id())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(_recorded(parts)) == list(range(1, 201))


def test_positions_have_no_gaps_between_processes(parts: Parts) -> None:
    processes = [_emitter(parts, name, 100) for name in ("a", "b", "c")]
    told: dict[int, str] = {}
    for process in processes:
        told |= _acknowledged(process.communicate(timeout=60)[0])
        assert process.returncode == 0
    assert sorted(told) == list(range(1, 301))
    assert told == _recorded(parts)


def test_what_was_acknowledged_survives_a_kill(parts: Parts) -> None:
    process = _emitter(parts, "victim", 1_000_000)
    assert process.stdout is not None
    heard = [process.stdout.readline() for _ in range(30)]
    os.kill(process.pid, signal.SIGKILL)
    heard += process.stdout.read().splitlines(keepends=True)  # communicate() passes over what was read ahead
    process.communicate()
    told = _acknowledged("".join(line for line in heard if line.endswith("\n")))
    recorded = _recorded(parts)
    assert len(told) >= 30
    assert told.items() <= recorded.items()
    assert sorted(recorded) == list(range(1, len(recorded) + 1))


def test_the_same_event_is_recorded_once(parts: Parts) -> None:
    draft = parts.recorder.draft(ClipTagged(tag="x"), subject=new_id(), actor=parts.vault.actor("ann"))
    first = parts.journal.emit(draft)[0]
    again = parts.journal.emit(draft, draft)
    assert [event.position for event in again] == [1, 1]
    assert again[0].recorded == first.recorded
    assert parts.journal.head() == 1


def test_a_failing_change_leaves_nothing(parts: Parts) -> None:
    draft = parts.recorder.draft(ClipTagged(tag="x"), subject="s", actor=parts.vault.actor("ann"))
    with pytest.raises(RuntimeError, match="on purpose"), parts.journal.transaction() as write:
        write.append([draft])
        write.add_task("upload", subject="s", actor="a", payload=b"")
        raise RuntimeError("on purpose")
    assert parts.journal.head() == 0
    assert parts.journal.counts() == []


def test_the_newest_event_is_never_pruned(parts: Parts) -> None:
    for _ in range(5):
        parts.record(ClipTagged(tag="x"), new_id())
    assert parts.journal.prune(5) == 4
    assert parts.record(ClipTagged(tag="x"), new_id()).position == 6


def test_recorded_times_never_go_back(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    first = parts.record(ClipTagged(tag="x"), new_id())
    monkeypatch.setattr(transaction, "now", lambda: EARLIEST)
    assert parts.record(ClipTagged(tag="x"), new_id()).recorded >= first.recorded


def test_a_task_is_leased_to_one_owner(parts: Parts) -> None:
    other = Journal(parts.home.journal)
    with parts.journal.transaction() as write:
        for number in range(10):
            write.add_task("upload", subject=str(number), actor="a", payload=b"p")
    mine, yours = parts.journal.lease("upload", limit=6, seconds=60), other.lease("upload", limit=6, seconds=60)
    assert len(mine) == 6
    assert len(yours) == 4
    with other.transaction() as write:
        assert not write.finish_task(mine[0])
        assert write.finish_task(yours[0])
    assert parts.journal.lease("upload", limit=6, seconds=60) == []
    other.close()


def test_a_lease_that_ran_out_goes_to_the_next(parts: Parts) -> None:
    other = Journal(parts.home.journal)
    with parts.journal.transaction() as write:
        write.add_task("upload", subject="s", actor="a", payload=b"p")
    task = parts.journal.lease("upload", limit=1, seconds=0)[0]
    assert other.lease("upload", limit=1, seconds=60)[0].attempts == 2
    with parts.journal.transaction() as write:
        assert not write.finish_task(task), "the one who lost the lease must not finish it"
    other.close()


def test_what_a_dead_process_held_is_taken_over_at_once(parts: Parts) -> None:
    code = (
        "import sys; from pathlib import Path; from voxledger.catalog.journal import Journal\n"
        f"journal = Journal(Path({str(parts.home.journal)!r}))\n"
        "with journal.transaction() as write:\n"
        "    write.add_task('upload', subject='s', actor='a', payload=b'p')\n"
        "    write.claim('f', clip='c', actor='a')\n"
        "assert journal.lease('upload', limit=1, seconds=3600)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert len(parts.journal.lease("upload", limit=1, seconds=60)) == 1
    with parts.journal.transaction() as write:
        found = write.fingerprint("f")
        assert found is not None
        assert found.abandoned


def test_a_parked_task_comes_back_when_it_is_hurried(parts: Parts) -> None:
    with parts.journal.transaction() as write:
        write.add_task("upload", subject="s", actor="a", payload=b"p")
    task = parts.journal.lease("upload", limit=1, seconds=60)[0]
    with parts.journal.transaction() as write:
        assert write.park_task(task, error="AccessDenied")
    assert parts.journal.lease("upload", limit=1, seconds=60) == []
    assert parts.journal.tasks("upload")[0].error == "AccessDenied"
    parts.journal.hurry("upload")
    assert parts.journal.lease("upload", limit=1, seconds=60)[0].attempts == 1


def test_a_clock_that_was_set_back_delays_nothing(parts: Parts) -> None:
    ahead = time.time() + 86400
    with parts.journal.transaction() as write:
        write.add_task("upload", subject="waits", actor="a", payload=b"p", due=ahead)
    assert len(parts.journal.lease("upload", limit=1, seconds=86400)) == 1
    assert len(parts.journal.lease("upload", limit=1, seconds=60)) == 1, "a lease far ahead is none"


def test_a_claim_that_could_not_be_released_is_released_with_the_next(parts: Parts) -> None:
    with parts.journal.transaction() as write:
        write.claim("stuck", clip="c", actor="a")
    connection = parts.journal._connection
    connection.execute("PRAGMA query_only = ON")
    parts.journal.give_up("stuck")
    assert parts.journal.fingerprint("stuck") is not None
    connection.execute("PRAGMA query_only = OFF")
    with parts.journal.transaction() as write:
        parts.journal.settle_claims(write)
    assert parts.journal.fingerprint("stuck") is None


def test_a_claim_whose_release_was_not_committed_is_released_with_the_next(parts: Parts) -> None:
    with parts.journal.transaction() as write:
        write.claim("stuck", clip="c", actor="a")
    connection = parts.journal._connection
    connection.execute("PRAGMA query_only = ON")
    parts.journal.give_up("stuck")
    connection.execute("PRAGMA query_only = OFF")
    with contextlib.suppress(RuntimeError), parts.journal.transaction() as write:
        parts.journal.settle_claims(write)
        raise RuntimeError("before the commit")
    assert parts.journal.fingerprint("stuck") is not None
    with parts.journal.transaction() as write:
        parts.journal.settle_claims(write)
    assert parts.journal.fingerprint("stuck") is None


def test_a_cursor_never_goes_back(parts: Parts) -> None:
    for position in (5, 3):
        with parts.journal.transaction() as write:
            write.move_cursor("mixpanel", position)
    assert parts.journal.cursor("mixpanel") == 5
    assert parts.journal.cursor("nobody") == 0


def test_a_damaged_journal_is_named(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"this is no database, it only looks as if it were one" * 100)
    with pytest.raises(LogCorrupt, match=r"journal\.sqlite is damaged"):
        Journal(path)


def test_a_journal_of_a_newer_version_is_left_alone(parts: Parts) -> None:
    connection = sqlite3.connect(parts.home.journal)
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(JournalError, match="upgrade Voxledger"):
        Journal(parts.home.journal)


def test_a_full_disk_is_one_clear_error_and_loses_nothing(parts: Parts) -> None:
    parts.record(ClipTagged(tag="before"), new_id())
    connection = parts.journal._connection
    connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(DiskFull, match="nothing was recorded"):
        for _ in range(1000):
            parts.record(ClipTagged(tag="x" * 1000), new_id())
    reached = parts.journal.head()
    connection.execute("PRAGMA max_page_count = 1000000")
    assert parts.record(ClipTagged(tag="after"), new_id()).position == reached + 1


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(1, 7), min_size=1, max_size=12), limit=st.integers(1, 9))
def test_reading_in_pieces_gives_everything_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], limit: int
) -> None:
    parts = Parts(tmp_path_factory.mktemp("home"))
    actor = parts.vault.actor("ann")
    for size in sizes:
        parts.journal.emit(*(parts.recorder.draft(ClipTagged(tag="x"), subject="s", actor=actor) for _ in range(size)))
    seen: list[int] = []
    while piece := parts.journal.read(seen[-1] if seen else 0, limit):
        seen += [position for position, _ in piece]
    assert seen == list(range(1, sum(sizes) + 1))
    parts.close()


def test_a_writer_waits_for_its_turn(parts: Parts) -> None:
    other = Journal(parts.home.journal)
    order: list[str] = []
    with parts.journal.transaction():
        thread = threading.Thread(target=lambda: (other.emit(), order.append("second")))
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    other.close()
