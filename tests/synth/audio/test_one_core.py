"""The audio chain's threads use one core each and leave torch's own setting alone."""

from __future__ import annotations

import os
import threading

import pytest
import torch

from voxledger.synth.audio import on_one_core


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
