"""The audio chain's threads use one core each and leave torch's own setting alone."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from voxledger.synth.audio import give_way, on_one_core

pytestmark = pytest.mark.usefixtures("all_cores")


def test_a_step_runs_on_one_core_and_nobody_else_is_touched() -> None:
    here = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert on_one_core(torch.get_num_threads) == 1
        assert torch.get_num_threads() == 2
        elsewhere: list[int] = []
        thread = threading.Thread(target=lambda: elsewhere.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        assert elsewhere == [2]
    finally:
        torch.set_num_threads(here)


def test_a_thread_that_has_one_core_already_runs_the_step_itself() -> None:
    here = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert on_one_core(threading.get_ident) == threading.get_ident()
        with ThreadPoolExecutor(8) as pool:
            at_once, most = 0, 0

            def step() -> None:
                nonlocal at_once, most
                at_once += 1
                most = max(most, at_once)
                threading.Event().wait(0.01)
                at_once -= 1

            list(pool.map(lambda _: on_one_core(step), range(16)))
        assert 1 <= most <= (os.cpu_count() or 1)
    finally:
        torch.set_num_threads(here)


def test_what_a_step_raises_is_raised() -> None:
    def broken() -> None:
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        on_one_core(broken)


def test_many_threads_share_it() -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(on_one_core(os.getpid))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [os.getpid()] * 20


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's way with memory")
def test_memory_stays_at_hand_between_clips() -> None:
    """Or the system would clear some thousand pages for every clip: a third of its time."""
    code = (
        "import resource, numpy as np\n"
        "from voxledger.synth.audio import on_one_core, process\n"
        "clip = np.sin(np.arange(110_250) * 0.05).astype(np.float32)\n"
        "faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "made = lambda: on_one_core(lambda: process(clip, 22_050, target_rate=24_000))\n"
        "for _ in range(5): made()\n"
        "before = faults()\n"
        "for _ in range(10): made()\n"
        "print(faults() - before)\n"
    )
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    told = [
        int(subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout)
        for env in (plain, plain | {"MALLOC_TRIM_THRESHOLD_": "131072"})
    ]
    assert told[0] < told[1] / 10


@pytest.mark.parametrize("cores", [1, 2])
def test_a_step_within_a_step_needs_no_other_thread(cores: int) -> None:
    """With all threads taken by steps that wait for further ones, nobody would ever go on."""
    here = torch.get_num_threads()
    torch.set_num_threads(cores)
    try:
        with ThreadPoolExecutor(8) as pool:
            steps = [
                pool.submit(on_one_core, lambda: on_one_core(threading.get_ident) == threading.get_ident())
                for _ in range(8)
            ]
            assert all(step.result(timeout=60) for step in steps)
    finally:
        torch.set_num_threads(here)


def test_long_steps_let_others_through() -> None:
    """As many long ones as there are cores, and one more that would never have its turn otherwise."""
    here, cores = torch.get_num_threads(), os.cpu_count() or 1
    torch.set_num_threads(2)
    urgent_is_done = threading.Event()
    at_work = threading.Barrier(cores + 1)

    def long() -> bool:
        at_work.wait(60)
        for _ in range(6000):
            give_way()
            if urgent_is_done.wait(0.01):
                return True
        return False

    try:
        with ThreadPoolExecutor(cores) as pool:
            steps = [pool.submit(on_one_core, long) for _ in range(cores)]
            at_work.wait(60)
            on_one_core(urgent_is_done.set, due=time.monotonic())
            assert all(step.result(timeout=120) for step in steps)
    finally:
        torch.set_num_threads(here)
