"""Baselines find what the same caches do night by night."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.retention.backtest.test_backtest import _QUICK, HOUR, every, on_trace, policy
from voxledger.catalog.retention.backtest import Outcome

Lines = list[tuple[str, int, int]]
_LINES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 30 * 24 - 1), st.sampled_from([50, 100])),
    min_size=2,
    max_size=24,
)


def _happenings(lines: Lines) -> tuple[dict[str, int], list[tuple[int, str]]]:
    """Sizes, and accesses in order, in hours since the first."""
    sizes = {name: max(size for other, _, size in lines if other == name) for name, _, _ in lines}
    first = min(hours for _, hours, _ in lines)
    return sizes, sorted((hours - first, name) for name, hours, _ in lines)


@_QUICK
@given(lines=_LINES)
def test_age_only_deletes_so_long_after_the_making_whatever_was_used(tmp_path: Path, lines: Lines) -> None:
    found = [
        outcome
        for outcome in on_trace(tmp_path, lines, policy(every(5)), baselines=True).baselines
        if outcome.kind == "age"
    ]
    _, accesses = _happenings(lines)
    last = accesses[-1][0]
    for outcome in found:
        assert outcome.keep_for is not None
        purges = regrets = 0
        for name in {name for _, name in accesses}:
            times = [time for time, other in accesses if other == name]
            made = times.pop(0)
            while True:
                gone = math.ceil((made + outcome.keep_for / 3600) / 24) * 24
                if gone > last:
                    break
                purges += 1
                times = [time for time in times if time > gone]
                if not times:
                    break
                regrets += 1
                made = times.pop(0)
        assert (outcome.purges, outcome.regrets) == (purges, regrets)


@_QUICK
@given(lines=_LINES)
def test_caches_keep_what_is_first_in_their_order_as_far_as_it_fits(tmp_path: Path, lines: Lines) -> None:
    found = on_trace(tmp_path, lines, policy(every(5)), baselines=True)
    sizes, accesses = _happenings(lines)
    span = (found.until - found.since) // HOUR + 1e-9
    for outcome in found.baselines:
        if outcome.kind != "age":
            assert (outcome.purges, outcome.regrets) == _cache(outcome, sizes, accesses, found.nights, span)


def _cache(
    outcome: Outcome, sizes: dict[str, int], accesses: list[tuple[int, str]], nights: int, span: float
) -> tuple[int, int]:
    """Each night everything is looked at anew: what stands before a clip in the order, itself and its equals included."""
    slices = 2000 if outcome.kind == "lru" else 100
    assert outcome.capacity is not None
    used: dict[str, int] = {}
    times: dict[str, int] = {}
    gone: set[str] = set()
    purges = regrets = 0
    coming = list(accesses)

    def use() -> None:
        nonlocal regrets
        time, name = coming.pop(0)
        if name in gone:
            regrets += 1
            gone.remove(name)
        times[name] = times.get(name, -1) + 1
        used[name] = time

    micro = 3_600_000_000
    width = max(1, math.ceil((span // 1 * micro + 1) / slices))

    def place(name: str) -> tuple[int, int]:
        return (times[name] if outcome.kind == "lfu" else 0, used[name] * micro // width)

    for night in range(nights):
        while coming and coming[0][0] <= night * 24:
            use()
        for name in used:
            weight = sum(sizes[other] for other in used if place(other) >= place(name))
            if weight > outcome.capacity and name not in gone:
                gone.add(name)
                purges += 1
    while coming:
        use()
    return purges, regrets


def test_what_was_used_last_stays_in_a_cache_that_has_room_for_one(tmp_path: Path) -> None:
    lines = [("a", 0, 100), ("b", 30, 100), ("a", 50, 100), ("b", 200, 100)]
    found = on_trace(tmp_path, lines, policy(every(5)), baselines=True)
    [half] = [outcome for outcome in found.baselines if outcome.kind == "lru" and outcome.capacity == 100]
    # After two days `b` was used last and `a` goes, to be wanted two hours later; then it is `b`'s turn, up to the last line.
    assert (half.purges, half.regrets) == (2, 2)
    assert half.byte_days == 100 * (2 + 128) / 24
