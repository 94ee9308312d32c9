"""A journal with a gigabyte of waiting events: it drains in bounded memory, and others emit meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

from tests.building import Parts
from tests.catalog.durability.nursery import Nursery
from tests.soak import FULL, told_of_soak
from voxledger.catalog.log.verify import verify

SIZE = 1_000_000_000 if FULL else 20_000_000
MEMORY = 2_000_000_000
SLOWEST = 5.0
"""Seconds that an emit may take at worst while somebody drains, seals and prunes on a busy machine."""


def test_a_large_journal_drains_in_bounded_memory_while_others_emit(tmp_path: Path, nursery: Nursery) -> None:
    filling = nursery.start("fill", tmp_path, size=SIZE)
    assert filling.wait(900) == 0
    waiting = int(filling.said()[-1][1])
    assert (tmp_path / "journal.sqlite").stat().st_size >= SIZE

    begun = time.monotonic()
    emitting = nursery.start("write", tmp_path, life=2, pause=0.05)
    emitting.until("told", 5)
    draining = nursery.start("drain_all", tmp_path)
    assert draining.wait(900) == 0
    seconds = time.monotonic() - begun
    emitting.kill()
    _, position, memory = draining.said()[-1]
    took = [float(line[1]) for line in emitting.said() if line[0] == "took"]
    assert int(position) >= waiting
    assert int(memory) < MEMORY
    assert len(took) > seconds, "less than one emit a second"
    assert max(took) < SLOWEST

    parts = Parts(tmp_path)
    parts.keeper.drain()
    verdict = verify(parts.keeper)
    assert verdict.intact
    assert verdict.events == parts.journal.head() >= waiting + len(took)
    parts.close()
    told_of_soak(
        "a large journal", bytes=SIZE, events=waiting, memory=int(memory), emitted_meanwhile=len(took), slowest_emit_s=max(took),
        lost=0, doubled=0, seconds=seconds,
    )  # fmt: skip
