"""The weekly report as records: what the page shows, and the JSON that programs read."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal

import msgspec

from voxledger.analytics.metrics import Step, Unit, Value
from voxledger.analytics.report.changes import Change
from voxledger.analytics.report.parts import (
    Day,
    EmotionMix,
    EngineUse,
    Failure,
    FeatureUse,
    Group,
    LoudnessBin,
    Ranking,
    Retention,
    Sample,
    Storage,
    Users,
)

SCHEMA = "voxledger.weekly-report/2"
"""Raised with every change that takes a field away or gives it another meaning; new fields do not raise it."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric of this report means, and the query that told it: `voxledger sql` answers it as it stands."""

    metric: str
    title: str
    unit: Unit
    definition: str
    query: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a number says something.

    A count is compared with the eight weeks before: `low` to `high` is where it would usually lie. A share is compared with the week
    before: `low` to `high` is where it lies itself (Wilson). `unusual` allows for all that was compared (Benjamini-Hochberg at 5 %);
    `insufficient` is said where there are fewer than eight weeks, or than thirty observations; `observations` says how many there are.
    """

    verdict: Literal["unusual", "usual", "insufficient"]
    low: float | None = None
    high: float | None = None
    observations: int | None = None


class Headline(msgspec.Struct, frozen=True, kw_only=True):
    """One number with what it was a week before and over eight weeks.

    `change` is relative to `previous` (0.1 = a tenth more), for a share it is the difference; None where nothing can be
    compared. `history` has the oldest week first and this one last, None before the catalog's first week; it is
    empty for a metric that has no sparkline.
    """

    metric: str
    title: str
    unit: Unit
    better: Literal["more", "less", "neither"]
    value: Value
    previous: Value
    change: float | None
    history: tuple[Value, ...]
    evidence: Evidence


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """Something that moved by more than chance.

    A count (`kind`) is told against what is usual (`before`, the median of eight weeks), with where it would usually lie (`low` to
    `high`); a share against the week before, with where the difference may lie, and with where it mostly lies (`usual_low` to
    `usual_high`, None while fewer than eight weeks are known). `dimension` and `group` are empty for a metric as a
    whole. `effect` is what moves are put in order by: Cohen's h of two shares, the logarithm of two counts' ratio. `observations` is
    how much the smaller side rests on.
    """

    kind: Literal["count", "share"]
    metric: str
    dimension: str
    group: str
    unit: Unit
    value: float
    before: float
    low: float
    high: float
    effect: float
    observations: int
    better: Literal["more", "less", "neither"]
    usual_low: float | None = None
    usual_high: float | None = None


class Moves(msgspec.Struct, frozen=True, kw_only=True):
    """What moved, the largest effect first, of `tested` comparisons that could be made and `untold` that lacked data.

    `ordinary` are shares that differ from the week before by more than their numbers explain, but lie where they mostly do: people's
    habits come and go, and requests of one person are no independent draws.
    """

    lines: tuple[Move, ...]
    tested: int
    untold: int
    ordinary: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Mixpanel against the log, for the events of the week that it is told.

    `passed` lie behind the cursor: it acknowledged them, but for those that it `refused` for good and those of people about whom
    nothing is sent. `waiting` lie before it. `on` says whether anything is sent at all.
    """

    on: bool
    events: int
    passed: int
    waiting: int
    refused: int


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How complete the numbers are: every event up to `position` is in them.

    `recorded_late` happened an hour or more before they were acknowledged, `lag_p95_us` is how long 95 of 100 took; `quarantined` is
    what Mixpanel refused for good in all and nobody has mended. `mixpanel` is None in a report of the past: what waited then, nobody knows.
    """

    position: int
    waiting_clips: int
    refused_clips: int
    recorded_late: int
    lag_p95_us: int | None
    quarantined: int
    mixpanel: Told | None


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where the numbers come from. `chain_digest` (hex) proves the log up to `chain_position`; keep it outside HOME."""

    source: str | None
    position: int
    chain_position: int
    chain_digest: str | None
    generated: datetime
    version: str


class WeeklyReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one ISO week of one catalog. Times are aware, lengths microseconds (`_us`), sizes bytes.

    The week goes from `start` to `end`; the numbers go to `through`, which is earlier while the week runs. They are
    compared with the same stretch of the week before, from `compared_start` to `compared_end`; None in the catalog's
    first week. A report that was published has a `revision`; one that takes the place of another names that (`revises`), and says
    what it says differently (`changes`).
    """

    schema: str = SCHEMA
    week: str
    time_zone: str
    start: datetime
    end: datetime
    through: datetime
    closed: bool
    compared_week: str | None
    compared_start: datetime | None
    compared_end: datetime | None
    headlines: tuple[Headline, ...]
    moves: Moves
    history_weeks: tuple[str, ...]
    days: tuple[Day, ...]
    emotions: EmotionMix
    users: Users
    features: tuple[FeatureUse, ...]
    languages: Ranking
    voices: Ranking
    models: Ranking
    channels: tuple[Group, ...]
    engines: tuple[EngineUse, ...]
    failures: tuple[Failure, ...]
    loudness: tuple[LoudnessBin, ...]
    funnel: tuple[Step, ...]
    storage: Storage
    retention: Retention
    samples: tuple[Sample, ...]
    quality: Quality
    provenance: Provenance
    definitions: tuple[Definition, ...]
    revision: int | None = None
    revises: int | None = None
    changes: tuple[Change, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing was generated."""
        return self.users.active == 0

    @property
    def end_day(self) -> date:
        """Its last day, the Sunday."""
        return date.fromisoformat(self.days[-1].date)

    @property
    def first_week(self) -> bool:
        """Whether the catalog knows no earlier week."""
        return self.compared_week is None

    def headline(self, metric: str) -> Headline:
        """The headline of a metric by name."""
        return next(found for found in self.headlines if found.metric == metric)
