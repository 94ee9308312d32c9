"""Moves: which numbers of a week moved by more than chance, and what each headline number is worth as evidence.

Everything that can be compared is tested, and the tests are judged together (Benjamini-Hochberg), so that looking at a hundred groups
does not find five by chance. What is small is left out however certain it is.

The test of two shares takes requests for independent, which those of one person are not: six people with a favourite emotion each
move its share every week. So a share must also lie outside of where it mostly lay in the eight weeks before, once there are as many.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from statistics import median
from typing import Literal, TypeAlias

import msgspec

from voxledger.analytics.metrics import METRICS, Value, breakdown, measure, series
from voxledger.analytics.report.week import Week
from voxledger.analytics.report.weekly import Evidence, Move, Moves
from voxledger.analytics.statistics import ENOUGH, WEEKS, Interval, adjusted, deviation, two_proportion, wilson
from voxledger.catalog.log import Reading

MOST = 5
"""Most lines of what moved."""
MOST_OF_ONE = 2
"""Most lines about one dimension: where one emotion rises, another falls."""
_ALIKE: Mapping[str, str] = {
    **dict.fromkeys(("generations", "clips", "audio_us", "saved_us"), "activity"),
    **dict.fromkeys(("active_users", "returning_users"), "users"),
}
"""Numbers that move together, of which one is told."""
BELIEVED = 0.05
"""Of the lines that are shown at most this share is chance, on average."""
LEAST_POINTS = 0.01
"""Shares that moved by less are not worth a line."""
LEAST_CHANGE = 0.05
"""Counts that moved by less, relative to what is usual, are not worth a line."""

Span: TypeAlias = tuple[datetime, datetime]
"""From a moment up to, and without, another."""
_Counts: TypeAlias = Mapping[str, int]

_COUNTED = ("generations", "clips", "answered", "reused", "failed", "cancelled", "suspect_clips")
_TRIED = "tried"
"""Generations that did not end by their caller going away."""
_ALL = "\0"
"""Stands beside the groups of which a request may be in several, and is no group's name."""
_NOTHING = dict.fromkeys((*_COUNTED, _TRIED), 0)
_RESTS_ON: Mapping[str, str] = {
    "audio_us": "clips",
    "saved_us": "generations",
    **dict.fromkeys(("rtf_p95", "latency_p95_us", "queue_p95_us"), "clips"),
}
"""How many things a number that is no count is made of."""
_RATES: Mapping[str, tuple[str, str]] = {
    "reuse_rate": ("reused", "answered"),
    "failure_rate": ("failed", _TRIED),
    "suspect_rate": ("suspect_clips", "clips"),
}
"""What a rate is a part of, and of what."""


class _Shares(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the groups of a dimension: `counted` of each over that of all (`within`: its rate within the group)."""

    dimension: str
    metric: str
    counted: str = ""
    within: bool = False
    known: bool = False
    several: bool = False


_SHARES = (
    _Shares(dimension="emotion", metric="clip_share", counted="clips"),
    _Shares(dimension="voice", metric="clip_share", counted="clips"),
    _Shares(dimension="model", metric="clip_share", counted="clips", known=True),
    _Shares(dimension="language", metric="generation_share", counted="generations", known=True),
    _Shares(dimension="channel", metric="generation_share", counted="generations"),
    _Shares(dimension="feature", metric="answer_share", counted="answered", several=True),
    _Shares(dimension="engine", metric="generation_share", counted="generations", known=True),
    _Shares(dimension="engine", metric="failure_rate", within=True, known=True),
    _Shares(dimension="engine", metric="suspect_rate", within=True, known=True),
)


class _Tested(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `p` and `move` are None where there is too little to compare; `usual` is where the number lies, or would lie."""

    metric: str
    dimension: str = ""
    p: float | None = None
    move: Move | None = None
    usual: Interval | None = None
    observations: int = 0


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What moved, and the evidence of each headline metric."""

    moves: Moves
    evidence: Mapping[str, Evidence]


def find(
    reading: Reading,
    week: Week,
    now: Span,
    before: Span | None,
    history: Mapping[str, Sequence[Value]],
    *,
    closed: bool,
) -> Found:
    """What moved in the period `now`, against `before` (None in the catalog's first week) and the weeks of `history`.

    `history` has each headline metric's weeks, the oldest first and this one last, None where the catalog was not there yet. A week
    that runs is too short for its counts to be compared with whole weeks.
    """
    tested = [*_counts(history, closed=closed), *_rates(reading, now, before)]
    if before is not None:
        tested.extend(_segments(reading, now, before))
    told = [(one, one.p) for one in tested if one.p is not None]
    moved = [one for (one, _), q in zip(told, adjusted([p for _, p in told]), strict=True) if q <= BELIEVED]
    believed = list(_unusual(reading, week, now[1], moved, history))
    return Found(
        moves=Moves(
            lines=_lines(believed),
            tested=len(told),
            untold=len(tested) - len(told),
            ordinary=len(moved) - len(believed),
        ),
        evidence={
            one.metric: _evidence(
                one, unusual=any(found.metric == one.metric and not found.dimension for found in believed)
            )
            for one in tested
            if not one.dimension
        },
    )


def _unusual(
    reading: Reading, week: Week, stop: datetime, moved: Sequence[_Tested], history: Mapping[str, Sequence[Value]]
) -> Iterator[_Tested]:
    """Of what moved, what also lies outside of where it mostly lies; each share with that. Only these groups' weeks are read."""
    shares = {(one.dimension, one.metric): one for one in _SHARES}
    read: dict[str, Mapping[date, Mapping[str, _Counts]]] = {}
    for one in moved:
        move = one.move
        if move is None or move.kind == "count":
            yield one
            continue
        if not move.dimension:
            past = [float(value) for value in history[move.metric][:-1] if value is not None]
        else:
            found = shares[move.dimension, move.metric]
            if move.dimension not in read:
                read[move.dimension] = _weeks(reading, week, stop, found)
            past = _past(read[move.dimension], week, move.group, found)
        usual = _usually(past)
        if usual is None:
            yield one
        elif not usual.low <= move.value <= usual.high:
            known = {"usual_low": usual.low, "usual_high": usual.high}
            yield msgspec.structs.replace(one, move=msgspec.structs.replace(move, **known))


def _usually(shares: Sequence[float]) -> Interval | None:
    """Where a share mostly lies: what eight weeks let expect, and wherever it lay in one of them. None while there are fewer."""
    weeks = shares[-WEEKS:]
    if len(weeks) < WEEKS:
        return None
    found = deviation(weeks[-1], weeks, counts=False)
    low, high = (found.interval.low, found.interval.high) if found else (1.0, 0.0)
    return Interval(max(min(low, *weeks), 0.0), min(max(high, *weeks), 1.0))


def _weeks(reading: Reading, week: Week, stop: datetime, shares: _Shares) -> Mapping[date, Mapping[str, _Counts]]:
    """The counts of each group, week by week, for the eight weeks before and this one."""
    found = series(
        reading, _COUNTED, week.previous(WEEKS).start, stop, every="week", zone=week.zone, by=[shares.dimension]
    )
    weeks: dict[date, dict[str, _Counts]] = {}
    for row in found.to_dicts():
        if not (shares.known and row[shares.dimension] is None):
            counts = _completed({name: row[name] for name in _COUNTED})
            weeks.setdefault(row["stretch"], {})[str(row[shares.dimension])] = counts
    if shares.several:
        wholes = series(reading, _COUNTED, week.previous(WEEKS).start, stop, every="week", zone=week.zone)
        for row in wholes.to_dicts():
            weeks.setdefault(row["stretch"], {})[_ALL] = _completed({name: row[name] for name in _COUNTED})
    return weeks


def _past(weeks: Mapping[date, Mapping[str, _Counts]], week: Week, group: str, shares: _Shares) -> list[float]:
    """A group's share in each week before this one in which anything was there to have a share of."""
    past = []
    for monday in sorted(weeks):
        counts = weeks[monday].get(group, _NOTHING)
        if shares.within:
            part, whole = (counts[name] for name in _RATES[shares.metric])
        else:
            part = counts[shares.counted]
            groups = [weeks[monday][_ALL]] if shares.several else weeks[monday].values()
            whole = sum(each[shares.counted] for each in groups)
        if monday < week.monday and whole:
            past.append(part / whole)
    return past


def _counts(history: Mapping[str, Sequence[Value]], *, closed: bool) -> Iterator[_Tested]:
    """Numbers of the week as a whole that are no shares, among the weeks before it."""
    for name, weeks in history.items():
        metric, value = METRICS[name], weeks[-1]
        if metric.unit == "share":
            continue
        past = [float(week) for week in weeks[:-1] if week is not None]
        if _rests_on_little(name, history):
            yield _Tested(metric=name, observations=len(past))
            continue
        # Only things that are counted vary by the square root of their number; lengths and quotients say themselves how they vary.
        found = deviation(float(value), past, counts=metric.unit == "count") if closed and value is not None else None
        if found is None or value is None:
            yield _Tested(metric=name, observations=len(past))
            continue
        usual = Interval(max(found.interval.low, 0.0), found.interval.high)
        move = Move(
            kind="count", metric=name, dimension="", group="", unit=metric.unit, value=float(value), before=found.usual,
            low=usual.low, high=usual.high, effect=_ratio(float(value), found.usual), observations=len(past),
            better=metric.better,
        )  # fmt: skip
        yield _Tested(metric=name, p=found.p, move=move, usual=usual, observations=len(past))


def _rests_on_little(name: str, history: Mapping[str, Sequence[Value]]) -> bool:
    """Whether it is made of fewer than thirty things: a count both now and usually, another number in either."""
    weeks = [float(week or 0) for week in history[_RESTS_ON.get(name, name)] if week is not None]
    if not weeks:
        return True
    most = max if name not in _RESTS_ON else min
    return most(weeks[-1], median(weeks[:-1] or [0.0])) < ENOUGH


def _rates(reading: Reading, now: Span, before: Span | None) -> Iterator[_Tested]:
    """Rates of the week as a whole, against the week before."""
    counts = _completed(measure(reading, _COUNTED, *now))
    earlier = _completed(measure(reading, _COUNTED, *before)) if before else _NOTHING
    for name, (part, whole) in _RATES.items():
        yield _compared(name, "", "", (counts[part], counts[whole]), (earlier[part], earlier[whole]))


def _segments(reading: Reading, now: Span, before: Span) -> Iterator[_Tested]:
    """Shares of groups, against the week before."""
    read: dict[str, tuple[Mapping[str, _Counts], Mapping[str, _Counts]]] = {}
    for shares in _SHARES:
        if shares.dimension not in read:
            read[shares.dimension] = (_groups(reading, now, shares), _groups(reading, before, shares))
        mine, was = read[shares.dimension]
        if shares.within:
            part, whole = _RATES[shares.metric]
            wholes = None
        else:
            part = whole = shares.counted
            # Of features a request may have several, or none: their counts do not add up to the whole.
            wholes = [
                int(measure(reading, [whole], *span)[whole] or 0)
                if shares.several
                else sum(counts[whole] for counts in side.values())
                for side, span in ((mine, now), (was, before))
            ]
        groups = sorted({*mine, *was})
        if len(groups) == 2 and wholes and not shares.several:
            # One of two says what the other does, the other way round.
            groups = [max(groups, key=lambda name: (mine.get(name, _NOTHING)[part], name))]
        for group in groups:
            present, past = mine.get(group, _NOTHING), was.get(group, _NOTHING)
            yield _compared(
                shares.metric, shares.dimension, group,
                (present[part], wholes[0] if wholes else present[whole]),
                (past[part], wholes[1] if wholes else past[whole]),
            )  # fmt: skip


def _groups(reading: Reading, span: Span, shares: _Shares) -> Mapping[str, _Counts]:
    found = breakdown(reading, _COUNTED, *span, by=[shares.dimension], known=shares.known)
    return {str(row[shares.dimension]): _completed({name: row[name] for name in _COUNTED}) for row in found.to_dicts()}


def _completed(counts: Mapping[str, Value]) -> _Counts:
    found = {name: int(value or 0) for name, value in counts.items()}
    return {**found, _TRIED: found["generations"] - found["cancelled"]}


def _compared(metric: str, dimension: str, group: str, now: tuple[int, int], before: tuple[int, int]) -> _Tested:
    """A share beside the one of the week before."""
    found, lies = two_proportion(*now, *before), wilson(*now)
    if found is None:
        return _Tested(metric=metric, dimension=dimension, usual=lies, observations=now[1])
    share, was = now[0] / now[1], before[0] / before[1]
    move = Move(
        kind="share", metric=metric, dimension=dimension, group=group, unit="share", value=share, before=was,
        low=found.interval.low, high=found.interval.high, effect=abs(_arc(share) - _arc(was)),
        observations=found.observations, better=METRICS[metric].better,
    )  # fmt: skip
    return _Tested(
        metric=metric, dimension=dimension, p=found.p, move=move, usual=lies, observations=found.observations
    )


def _lines(believed: Sequence[_Tested]) -> tuple[Move, ...]:
    """The largest of those that are worth a line."""
    moves = sorted(
        (one.move for one in believed if one.move and _is_large(one.move)),
        key=lambda move: (-move.effect, move.dimension, move.group, move.metric),
    )
    seen: Counter[str] = Counter()
    lines: list[Move] = []
    for move in moves:
        kind = move.dimension or _ALIKE.get(move.metric, move.metric)
        if len(lines) < MOST and seen[kind] < (MOST_OF_ONE if move.dimension else 1):
            lines.append(move)
            seen[kind] += 1
    return tuple(lines)


def _evidence(one: _Tested, *, unusual: bool) -> Evidence:
    verdict: Literal["unusual", "usual", "insufficient"] = (
        "insufficient" if one.p is None else "unusual" if unusual else "usual"
    )
    low, high = (one.usual.low, one.usual.high) if one.usual else (None, None)
    return Evidence(verdict=verdict, low=low, high=high, observations=one.observations)


def _is_large(move: Move) -> bool:
    if move.kind == "share":
        return abs(move.value - move.before) >= LEAST_POINTS
    return abs(move.value - move.before) >= LEAST_CHANGE * max(move.before, 1.0 if move.unit == "count" else 0.0)


def _ratio(value: float, usual: float) -> float:
    """How many times it is more or less, as a logarithm; nothing counts as a half."""
    return abs(math.log(max(value, 0.5) / max(usual, 0.5)))


def _arc(share: float) -> float:
    """Cohen's h is the difference of two of these (Statistical Power Analysis, 1988, chapter 6)."""
    return 2 * math.asin(math.sqrt(share))
