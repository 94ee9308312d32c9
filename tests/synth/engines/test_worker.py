"""Workers and their pool, with a model that hums; `test_indextts` has the same with the real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.synth.engines import tone_model
from voxledger.synth import EngineUnavailable
from voxledger.synth.engines import worker, worker_program
from voxledger.synth.engines.worker import Program, WorkerEnded, WorkerRefused
from voxledger.synth.engines.worker_pool import REMEMBERED, Pool

Make = Callable[..., Pool]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[Pool] = []

    def make(seats: int = 1, *, idle_s: float = 0.0, do: str = "", **changes: Any) -> Pool:
        known = {
            "python": sys.executable, "module": Path(tone_model.__file__), "options": {"do": do}, "environ": dict(os.environ),
            "load_s": 30.0, "part_s": 30.0, **changes,
        }  # fmt: skip
        programs = [Program(log=tmp_path / f"{place}.log", **known) for place in range(seats)]
        made.append(Pool(lambda: programs, idle_s=idle_s))
        return made[-1]

    yield make
    for pool in made:
        pool.close()


def hum(pool: Pool, *parts: dict[str, Any], voice: str = "ann") -> list[float]:
    spoken = pool.speak({}, [{"tone": 1.0, **part} for part in parts], voice=voice, novelty="")
    return [float(samples[-1]) for samples, rate in spoken if len(samples) == tone_model.SAMPLES and rate == 8000]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_parts_come_in_order_and_the_process_stays(make: Make) -> None:
    pool = make()
    assert hum(pool, *({"tone": float(tone)} for tone in range(20))) == [float(tone) for tone in range(20)]
    pids = pool.pids()
    assert hum(pool, {"tone": 3.0}) == [3.0]
    assert pool.pids() == pids
    assert len(pids) == 1


def test_loading_is_told_apart_from_speaking(make: Make) -> None:
    pool = make()
    loads: list[float] = []
    for _ in range(2):
        assert len(list(pool.speak({}, [{"tone": 1.0}] * 2, voice="ann", novelty="", loaded=loads.append))) == 2
        assert len(loads) == 1
    pool.close()
    list(pool.speak({}, [{"tone": 1.0}], voice="ann", novelty="", loaded=loads.append))
    assert len(loads) == 2
    assert all(seconds > 0 for seconds in loads)


def test_nothing_runs_before_it_is_needed_and_closing_ends_it(make: Make) -> None:
    pool = make()
    assert pool.pids() == ()
    hum(pool, {})
    (pid,) = pool.pids()
    pool.close()
    pool.close()
    assert not psutil.pid_exists(pid)
    assert hum(pool, {"tone": 2.0}) == [2.0]


def test_one_that_dies_is_replaced_and_goes_on_where_it_was(make: Make, tmp_path: Path) -> None:
    pool, spoken = make(), tmp_path / "spoken"
    parts = [
        {"tone": 1.0, "do": "note", "path": str(spoken)},
        {"tone": 2.0, "do": "once", "path": str(tmp_path / "died")},
        {"tone": 3.0},
    ]
    assert hum(pool, *parts) == [1.0, 2.0, 3.0]
    assert len(spoken.read_text().splitlines()) == 1  # what was given out is not spoken again


def test_one_that_dies_twice_is_an_error_and_the_next_request_is_served(make: Make) -> None:
    pool = make()
    with pytest.raises(WorkerEnded, match="killed") as caught:
        hum(pool, {}, {"do": "die"})
    assert caught.value.why == "ended"
    assert hum(pool, {"tone": 4.0}) == [4.0]


def test_killed_between_two_requests_it_is_replaced_without_a_word(make: Make) -> None:
    pool = make()
    hum(pool, {})
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGKILL)
    assert hum(pool, {"tone": 5.0}) == [5.0]
    assert pool.pids() != (pid,)


def test_one_that_hangs_is_killed(make: Make) -> None:
    pool = make(part_s=0.3)
    hum(pool, {})
    (pid,) = pool.pids()
    with pytest.raises(WorkerEnded, match="in time") as caught:
        hum(pool, {"do": "hang"})
    assert caught.value.why == "silent"
    assert not psutil.pid_exists(pid)
    assert hum(pool, {"tone": 6.0}) == [6.0]


def test_one_that_hangs_while_loading_is_killed(make: Make) -> None:
    with pytest.raises(WorkerEnded, match="in time"):
        hum(make(do="hang", load_s=1.0), {})


def test_one_that_stands_still_is_found_out_after_a_rest(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_RESTED_S", 0.0)
    monkeypatch.setattr(worker, "_ANSWER_S", 0.3)
    pool = make(part_s=60.0)
    hum(pool, {})
    (pid,) = pool.pids()
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)  # on a busy machine that takes a moment
    assert hum(pool, {"tone": 7.0}) == [7.0]
    assert pool.pids() != (pid,)


def test_one_that_takes_too_much_memory_is_killed(make: Make) -> None:
    pool = make(memory=150_000_000)
    with pytest.raises(WorkerEnded, match="GB of memory") as caught:
        hum(pool, {"do": "eat"})
    assert caught.value.why == "memory"
    assert hum(pool, {"tone": 8.0}) == [8.0]


def test_what_the_model_prints_goes_to_the_log(make: Make, tmp_path: Path) -> None:
    assert hum(make(), {"do": "print"}, {"tone": 2.0}) == [1.0, 2.0]
    assert "garbage garbage" in (tmp_path / "0.log").read_text(errors="replace")


def test_a_program_that_prints_among_the_answers_is_told(make: Make, tmp_path: Path) -> None:
    chatty = tmp_path / "python"
    chatty.write_text(f'#!/bin/sh\necho "good morning"\nexec {sys.executable} "$@"\n')
    chatty.chmod(0o755)
    with pytest.raises(WorkerEnded, match="no answer") as caught:
        hum(make(python=str(chatty)), {})
    assert caught.value.why == "garbage"


def test_a_program_that_cannot_be_run_is_told(make: Make) -> None:
    with pytest.raises(EngineUnavailable, match="cannot be started"):
        hum(make(python="/nowhere/python"), {})


def test_a_flood_in_the_log_is_bounded(make: Make, tmp_path: Path) -> None:
    pool = make()
    assert hum(pool, {"do": "flood"}) == [1.0]
    until(lambda: (tmp_path / "0.log").stat().st_size < worker_program.LARGEST_LOG)


def test_what_the_model_raises_comes_over_without_the_text(make: Make, tmp_path: Path) -> None:
    pool = make()
    with pytest.raises(WorkerRefused, match=r"^cannot speak …$") as caught:
        hum(pool, {"do": "raise", "text": "my secret wish"})
    assert (caught.value.kind, caught.value.stage) == ("odd", "synthesis")
    assert hum(pool, {"tone": 2.0}) == [2.0]
    log = (tmp_path / "0.log").read_text()
    assert "OddError in synthesis" in log
    assert "secret" not in log
    with pytest.raises(WorkerRefused, match="no such model") as caught:
        hum(make(do="raise"), {})
    assert caught.value.stage == "load"


def test_the_log_shows_where_a_failure_comes_from(make: Make, tmp_path: Path) -> None:
    with pytest.raises(WorkerRefused):
        hum(make(), {"do": "wrap", "text": "my secret wish"})
    log = (tmp_path / "0.log").read_text()
    assert "OddError in synthesis" in log
    assert "which comes from ValueError" in log
    assert "in _inner" in log
    assert "secret" not in log
    assert "depth" not in log.replace('raise ValueError(f"in the depth: {text}")', "")


@pytest.mark.parametrize(
    ("do", "limits", "line"),
    [
        ("hang", {"part_s": 0.3}, "it was killed: it gave no answer in time"),
        ("eat", {"memory": 150_000_000}, "it was killed: it took 0."),
        ("die", {}, "it is gone: it was killed, by somebody or by the system"),
    ],
)
def test_the_log_says_what_became_of_a_worker(
    make: Make, tmp_path: Path, do: str, limits: dict[str, Any], line: str
) -> None:
    pool = make(**limits)
    hum(pool, {})
    with pytest.raises(WorkerEnded):
        hum(pool, {"do": do})
    assert line in (tmp_path / "0.log").read_text()


def test_breaking_off_stops_it_before_the_next_part(make: Make, tmp_path: Path) -> None:
    pool, go_on, spoken = make(), tmp_path / "go", tmp_path / "spoken"
    parts = [{"tone": 1.0}, {"tone": 1.0, "do": "wait", "path": str(go_on)}]
    parts += [{"tone": float(place), "do": "note", "path": str(spoken)} for place in range(50)]
    running = pool.speak({}, parts, voice="ann", novelty="")
    next(running)
    running.close()
    go_on.touch()
    assert hum(pool, {"tone": 9.0}) == [9.0]
    assert not spoken.exists()


def test_it_does_not_run_far_ahead_of_whoever_listens(make: Make, tmp_path: Path) -> None:
    pool, spoken = make(), tmp_path / "spoken"
    parts = [{"tone": float(place), "do": "note", "path": str(spoken)} for place in range(20)]
    running = pool.speak({}, parts, voice="ann", novelty="")
    next(running)
    until(lambda: len(spoken.read_text().splitlines()) >= worker_program.AHEAD)
    assert len(spoken.read_text().splitlines()) <= 1 + worker_program.AHEAD
    assert len(list(running)) == 19


def test_one_without_work_is_ended(make: Make) -> None:
    pool = make(idle_s=0.2)
    hum(pool, {})
    (pid,) = pool.pids()
    until(lambda: not psutil.pid_exists(pid))
    assert pool.pids() == ()
    assert hum(pool, {"tone": 2.0}) == [2.0]


@pytest.fixture
def two(make: Make, tmp_path: Path) -> Pool:
    """A pool of two workers that run: one remembers ann, the other bob."""
    pool, go_on = make(seats=2), tmp_path / "go"
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(hum, pool, {"do": "wait", "path": str(go_on)}, voice="ann")
        until(lambda: len(pool.pids()) == 1)
        hum(pool, {}, voice="bob")
        go_on.touch()
        waiting.result()
    assert len(pool.pids()) == 2
    return pool


@pytest.fixture
def speaker(two: Pool, tmp_path: Path) -> Callable[[str], int]:
    """Speaks with a voice; gives the process that did."""

    def speaker(voice: str) -> int:
        note = tmp_path / "note"
        hum(two, {"do": "note", "path": str(note)}, voice=voice)
        return int(note.read_text().split()[-2])

    return speaker


def test_a_voice_goes_to_the_worker_that_remembers_it(speaker: Callable[[str], int]) -> None:
    found = [speaker(voice) for voice in ("ann", "bob", "ann", "bob", "bob", "ann")]
    assert found == [found[0], found[1], found[0], found[1], found[1], found[0]]
    assert found[0] != found[1]


def test_a_voice_that_a_worker_let_go_goes_to_any(speaker: Callable[[str], int]) -> None:
    first = speaker("ann")
    for number in range(REMEMBERED - 1):
        assert speaker(f"voice {number}") == speaker("ann") == first
    assert speaker(f"voice {REMEMBERED}") == first  # for which ann is let go, though she has just spoken
    other = speaker("bob")
    assert other != first
    assert speaker("ann") == other


def test_a_worker_that_died_is_preferred_for_nothing(two: Pool, speaker: Callable[[str], int]) -> None:
    first, other = speaker("ann"), speaker("bob")
    os.kill(first, signal.SIGKILL)
    until(lambda: two.pids() == (other,))
    assert speaker("ann") == other


def test_threads_wait_for_a_free_one(make: Make) -> None:
    pool = make(seats=2)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda tone: hum(pool, {"tone": tone}, {"tone": -tone}), map(float, range(40))))
    assert found == [[tone, -tone] for tone in map(float, range(40))]
    assert len(pool.pids()) <= 2


def test_closing_lets_the_one_at_work_finish(make: Make, tmp_path: Path) -> None:
    pool = make()
    running = pool.speak({}, [{"tone": 1.0}, {"tone": 2.0}], voice="ann", novelty="")
    next(running)
    (pid,) = pool.pids()
    pool.close()
    assert float(next(running)[0][0]) == 2.0
    assert list(running) == []
    assert not psutil.pid_exists(pid)


def test_threads_that_come_and_go_leave_it_running(make: Make) -> None:
    pool = make()
    thread = threading.Thread(target=hum, args=(pool, {}))
    thread.start()
    thread.join()
    (pid,) = pool.pids()
    assert hum(pool, {"tone": 3.0}) == [3.0]
    assert pool.pids() == (pid,)


SCRIPT = """
import os, sys
from pathlib import Path
from tests.synth.engines.test_worker import hum
from tests.synth.engines import tone_model
from voxledger.synth.engines.worker import Program
from voxledger.synth.engines.worker_pool import Pool
programs = [Program(python=sys.executable, module=Path(tone_model.__file__), options={}, environ=dict(os.environ),
    log=Path(sys.argv[1]) / "log", load_s=30.0, part_s=30.0)]
pool = Pool(lambda: programs, idle_s=60.0)
hum(pool, {})
"""


def test_a_forked_process_starts_its_own_and_leaves_the_parents_alone(tmp_path: Path) -> None:
    script = (
        SCRIPT
        + """
mine = pool.pids()
child = os.fork()
if child == 0:
    assert hum(pool, {"tone": 2.0}) == [2.0]
    assert pool.pids() and pool.pids() != mine
    pool.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert hum(pool, {"tone": 3.0}) == [3.0]
assert pool.pids() == mine
"""
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=_root())
    assert (done.returncode, done.stderr) == (0, "")


def test_it_does_not_outlive_a_parent_that_is_killed_even_with_a_fork_of_that_alive(tmp_path: Path) -> None:
    script = (
        SCRIPT
        + """
if os.fork() == 0:
    os.read(0, 1)  # holds copies of all pipes until the test is over
    os._exit(0)
print(pool.pids()[0], flush=True)
os.kill(os.getpid(), 9)
"""
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_root(),
    )
    assert process.stdout is not None
    assert process.stdin is not None
    pid = int(process.stdout.readline())
    process.wait()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    process.stdin.close()
    process.stdout.close()


def test_the_log_does_not_grow_for_ever(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_LARGEST_LOG", 1000)
    log = tmp_path / "0.log"
    log.write_text("old " * 1000)
    hum(make(), {})
    assert log.stat().st_size < 1000
    assert log.stat().st_mode & 0o077 == 0
    assert log.with_suffix(".old").read_text().startswith("old")


def _root() -> Path:
    return Path(__file__).parents[3]
