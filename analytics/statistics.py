"""Whether a number says something: intervals, tests and trends that small studios can rely on. Pure functions, standard library only.

A report claims nothing without them: under `ENOUGH` observations, or with fewer than `WEEKS` weeks to compare with, the answer is
None, which is printed as "insufficient data".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from statistics import NormalDist, median

import msgspec

ENOUGH = 30
"""Fewest observations for a statement about a proportion."""
WEEKS = 8
"""Weeks that a number is compared with."""
SHORTEST = 4
"""Fewest points of a trend."""
_MAD = 1.4826
"""Scales the median absolute deviation to the standard deviation of a normal distribution."""
_WIDER = 1.3
"""A robust z over eight values is spread like Student's t with four degrees of freedom times this (found by simulation, within a sixth
of the error rate from 0.1 to 0.002). Read as a normal z, one week in six would look unusual at 5 %.
"""
_T4 = 2.7764451051977987
"""Student's t with four degrees of freedom: 95 % lie within."""
_NORMAL = NormalDist()


class Interval(msgspec.Struct, frozen=True):
    """Where a value may lie, from `low` to `high`."""

    low: float
    high: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """How two proportions differ, the first less the second: with an interval, the z of the test and its two-sided p."""

    difference: float
    interval: Interval
    z: float
    p: float
    observations: int


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """How far a value lies from what is usual: the robust z, its two-sided p, and where 19 of 20 such values lie."""

    usual: float
    interval: Interval
    z: float
    p: float


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """A straight line through values in order: `slope` a step with its interval, and how far values lie from it (`spread`)."""

    slope: float
    interval: Interval
    level: float
    spread: float

    def ahead(self, steps: float) -> tuple[float, Interval]:
        """What to expect so many steps after the last value, and how far it may be off: slope and spread both at their worst."""
        wide = _NORMAL.inv_cdf(0.975) * self.spread
        return self.level + steps * self.slope, Interval(
            self.level + steps * self.interval.low - wide, self.level + steps * self.interval.high + wide
        )


def wilson(part: int, whole: int, *, confidence: float = 0.95) -> Interval | None:
    """Where the true proportion lies behind `part` of `whole`: Wilson's score interval (JASA 22, 1927). None of nothing.

    Raises ValueError for a part that is none.
    """
    _check(part, whole)
    if whole == 0:
        return None
    z = _NORMAL.inv_cdf((1 + confidence) / 2)
    share, square = part / whole, z * z / whole
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / whole + square / (4 * whole))
    return Interval(max(middle - half, 0.0), min(middle + half, 1.0))


def two_proportion(part: int, whole: int, part_before: int, whole_before: int) -> Difference | None:
    """Whether two proportions differ: the pooled z test, with Newcombe's interval of the difference made of Wilson's
    (Statistics in Medicine 17, 1998, method 10). None where either has fewer than `ENOUGH` observations.
    """
    _check(part, whole)
    _check(part_before, whole_before)
    now, before = wilson(part, whole), wilson(part_before, whole_before)
    if now is None or before is None or min(whole, whole_before) < ENOUGH:
        return None
    share, was = part / whole, part_before / whole_before
    pooled = (part + part_before) / (whole + whole_before)
    error = math.sqrt(pooled * (1 - pooled) * (1 / whole + 1 / whole_before))
    difference = share - was
    z = difference / error if error else 0.0
    return Difference(
        difference=difference,
        interval=Interval(
            difference - math.hypot(share - now.low, before.high - was),
            difference + math.hypot(now.high - share, was - before.low),
        ),
        z=z,
        p=_two_sided(z),
        observations=min(whole, whole_before),
    )


def robust_z(value: float, history: Sequence[float], *, floor: float = 0.0) -> float | None:
    """How many robust standard deviations (1.4826 times the median absolute deviation, `floor` at least) a value lies from the
    median of others. None where they do not vary at all, or there are none.
    """
    if not history:
        return None
    middle = median(history)
    scale = max(_MAD * median(abs(other - middle) for other in history), floor)
    return (value - middle) / scale if scale else None


def deviation(value: float, history: Sequence[float], *, counts: bool = True) -> Deviation | None:
    """Whether a week's number is unusual among the `WEEKS` before it, the newest of `history`. None while there are fewer.

    `counts`: things that are counted vary by chance at least by the square root of their number. The p is that of few values, not
    that of the normal distribution (see `_WIDER`).
    """
    if len(history) < WEEKS:
        return None
    weeks = history[-WEEKS:]
    usual = median(weeks)
    floor = math.sqrt(max(usual, 1.0)) if counts else 0.0
    z = robust_z(value, weeks, floor=floor)
    if z is None:
        return None
    half = _WIDER * _T4 * max(_MAD * median(abs(other - usual) for other in weeks), floor)
    return Deviation(usual=usual, interval=Interval(usual - half, usual + half), z=z, p=_t4(z / _WIDER))


def benjamini_hochberg(ps: Sequence[float], q: float = 0.05) -> tuple[bool, ...]:
    """Which of many findings to believe, so that at most `q` of those believed are chance, on average (JRSS B 57, 1995)."""
    return tuple(p <= q for p in adjusted(ps))


def adjusted(ps: Sequence[float]) -> tuple[float, ...]:
    """The smallest `q` at which each finding would be believed. Raises ValueError for what is no probability."""
    if not all(0 <= p <= 1 for p in ps):
        raise ValueError("a probability lies between 0 and 1")
    found = [1.0] * len(ps)
    least = 1.0
    for rank, place in sorted(enumerate(sorted(range(len(ps)), key=lambda place: ps[place]), 1), reverse=True):
        least = min(least, ps[place] * len(ps) / rank)
        found[place] = least
    return tuple(found)


def trend(values: Sequence[float], *, confidence: float = 0.95) -> Trend | None:
    """The line that most pairs of values agree on: slope by Theil and Sen, with Sen's interval (JASA 63, 1968), which a few
    outliers do not move. None for fewer than `SHORTEST` values.
    """
    count = len(values)
    if count < SHORTEST:
        return None
    slopes = sorted(
        (later - sooner) / (right - left) for (left, sooner), (right, later) in combinations(enumerate(values), 2)
    )
    slope = median(slopes)
    ties = sum(same * (same - 1) * (2 * same + 5) for same in Counter(values).values())
    sigma = math.sqrt(max(count * (count - 1) * (2 * count + 5) - ties, 0) / 18)
    reach = _NORMAL.inv_cdf((1 + confidence) / 2) * sigma
    low = slopes[max(round((len(slopes) - reach) / 2) - 1, 0)]
    high = slopes[min(round((len(slopes) + reach) / 2), len(slopes) - 1)]
    start = median(value - slope * place for place, value in enumerate(values))
    rest = [abs(value - start - slope * place) for place, value in enumerate(values)]
    return Trend(
        slope=slope, interval=Interval(low, high), level=start + slope * (count - 1), spread=_MAD * median(rest)
    )


def _check(part: int, whole: int) -> None:
    if not 0 <= part <= whole:
        raise ValueError(f"{part} of {whole} is no proportion")


def _two_sided(z: float) -> float:
    return math.erfc(abs(z) / math.sqrt(2))


def _t4(t: float) -> float:
    """The two-sided p of Student's t with four degrees of freedom, in closed form."""
    if math.isinf(t):
        return 0.0
    square = t * t / (4 + t * t)
    return max(1 - 1.5 * math.sqrt(square) * (1 - square / 3), 0.0)
