"""SIGKILL anywhere: nothing that was acknowledged is lost, nothing is doubled, and the tables are what the log says."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest

from tests.building import Parts
from tests.catalog.durability.judging import check_pruning, check_told, check_whole
from tests.catalog.durability.nursery import Child, Nursery
from tests.soak import FULL, told_of_soak
from voxledger.catalog import failpoints

OFTEN = {"journal": 7, "create": 20}
"""A journal comes by its places several times before it is open, and tables are many; the others are counted one by one."""
REBUILT = {"rebuild", "create"}
"""Rooms that are not entered twice unless something is rebuilt."""

ROOMS = {"journal", "log", "create", "fold", "segment", "prune", "rebuild"}
"""What the record is made of; kills in other rooms are tested there."""


@pytest.mark.parametrize("place", sorted(place for place in failpoints.KNOWN if place.partition(".")[0] in ROOMS))
def test_a_kill_at_any_step_loses_and_doubles_nothing(tmp_path: Path, nursery: Nursery, place: str) -> None:
    """Life after life in one HOME, each killed when it comes by the place for the n-th time."""
    home, said = tmp_path / "home", []
    room = place.partition(".")[0]
    for life in (1, 2, 3, 4) if FULL else (1, 2) if room == "create" else (2,):
        count = life * OFTEN.get(room, 1)
        child = nursery.start(
            "all_steps", home, failpoint=f"{place}:{count}", life=life, rounds=life, rebuild=room in REBUILT
        )
        assert child.wait() == -signal.SIGKILL, "it never came by"
        said += child.said()
        check_pruning(home)
    parts = Parts(home)
    check_told(parts, said)
    assert check_whole(parts) > 0
    parts.close()


@pytest.mark.parametrize("seed", range(10) if FULL else range(1))
def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path, nursery: Nursery, seed: int) -> None:
    """Three processes emit and one drains, seals, prunes and rebuilds; again and again one of them is killed, and another
    takes its place.
    """
    draw, home, begun = random.Random(seed), tmp_path / "home", time.monotonic()
    children: list[Child] = []

    def keeper() -> Child:
        return nursery.start("keep", home, seal=100, batch=70, rebuild=4)

    def writer() -> Child:
        children.append(nursery.start("write", home, life=len(children) + 1, pause=0.02))
        return children[-1]

    alive = [keeper(), writer(), writer(), writer()]
    alive[0].until("kept")
    kills = 50 if FULL else 10
    for turn in range(kills):
        time.sleep(draw.random() * 0.1)  # the moment is at random, whatever they are doing
        number = draw.randrange(4)
        alive[number].kill()
        if turn % 10 == 9:
            for child in alive:
                child.kill()
            check_pruning(home)
            alive = [keeper(), writer(), writer(), writer()]
            alive[0].until("kept")
        else:
            alive[number] = keeper() if number == 0 else writer()
    for child in alive:
        child.kill()
    pruned = check_pruning(home)
    assert pruned > 0
    parts = Parts(home)
    said = [line for child in children for line in child.said()]
    untold = check_told(parts, said)
    events = check_whole(parts)
    parts.close()
    told_of_soak(
        "kills at random moments", seed=seed, kills=kills, events=events, untold=untold, pruned=pruned, lost=0, doubled=0,
        seconds=time.monotonic() - begun,
    )  # fmt: skip
