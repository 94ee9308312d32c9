"""SIGKILL anywhere: nothing that was acknowledged is lost, nothing is doubled, and the tables are what the log says."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.building import Parts
from tests.catalog.durability.judging import check_pruning, check_told, check_whole
from tests.catalog.durability.nursery import Nursery
from tests.soak import FULL
from voxledger.catalog import failpoints

TIMES = (1, 2, 3, 4) if FULL else (1, 2)


@pytest.mark.parametrize("place", sorted(failpoints.KNOWN))
def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path, nursery: Nursery, place: str) -> None:
    """Life after life in one HOME, each killed when it comes by the place for the n-th time."""
    home, said = tmp_path / "home", []
    for life, count in enumerate(TIMES, 1):
        child = nursery.start("all_steps", home, failpoint=f"{place}:{count}", life=life, rounds=count)
        assert child.wait() == -signal.SIGKILL, "it never came by"
        said += child.said()
        check_pruning(home)
    parts = Parts(home)
    untold = check_told(parts, said)
    assert untold <= 3 * len(TIMES)
    assert check_whole(parts) > 0
    parts.close()
