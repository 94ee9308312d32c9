"""Processes that emit as fast as they can while another asks: everything arrives once, and nobody is kept waiting."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from tests.building import Parts
from tests.catalog.durability.judging import check_whole
from tests.catalog.durability.nursery import Nursery
from tests.soak import count, told_of_soak

PATIENCE = 30.0
"""Seconds within which a query must be answered, as everywhere."""


@pytest.mark.parametrize("served", [False, True])
def test_all_events_of_two_processes_arrive_once_while_a_third_asks(
    tmp_path: Path, nursery: Nursery, served: bool
) -> None:
    each, begun = count(100_000), time.monotonic()
    if served:
        node = nursery.start("serve", tmp_path)
        node.until("serving")
    emitters = [
        nursery.start("pour", tmp_path, life=life, events=each, at_once=at_once) for life, at_once in ((1, 20), (2, 7))
    ]
    # Two of them, so that each asks while the other one drains.
    asking = [nursery.start("ask", tmp_path, until=2 * each, patience=PATIENCE) for _ in range(2)]
    for child in (*emitters, *asking):
        assert child.wait() == 0
    seconds = time.monotonic() - begun
    if served:
        node.kill()

    answers = [[float(word) for word in line[1:]] for child in asking for line in child.said()]
    assert max(answer[0] for answer in answers) < PATIENCE
    assert len(answers) >= len(asking)
    for child in asking:
        seen = [[int(word) for word in line[2:]] for line in child.said()]
        for before, after in itertools.pairwise(seen):
            assert all(old <= new for old, new in zip(before, after, strict=True)), "what was seen is gone"
        for events, last, ratings, of_clips, folded in seen:
            assert events == last == folded, "log and tables were not of one moment"
            assert ratings == of_clips
            assert events - 2 <= ratings <= events, "all but the two clips themselves"

    parts = Parts(tmp_path)
    with parts.keeper.reading() as reading:
        found = reading.tuples(
            "SELECT left(id::VARCHAR, 8), count(*), count(DISTINCT id), max(right(id::VARCHAR, 12)) FROM events GROUP BY 1 ORDER BY 1"
        )
    assert found == [(f"{life:08x}", each, each, f"{each:012x}") for life in (1, 2)]
    assert check_whole(parts) == 2 * each
    parts.close()
    told_of_soak(
        f"two emit and a third asks{', a node answers' if served else ''}", events=2 * each, answers=len(answers),
        slowest_answer_s=max(answer[0] for answer in answers), lost=0, doubled=0, seconds=seconds,
    )  # fmt: skip
