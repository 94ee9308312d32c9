"""The weekly report as records: what the page shows, and the JSON that programs read."""

from __future__ import annotations

from datetime import date, datetime
from typing import Literal, TypeAlias

import msgspec

from voxledger.analytics.metrics import Unit, Value
from voxledger.analytics.report.changes import Change

SCHEMA = "voxledger.weekly-report/1"
"""Raised with every change that takes a field away or gives it another meaning; new fields do not raise it."""
Vector: TypeAlias = tuple[float, float, float, float, float, float, float, float]


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a metric means."""

    metric: str
    title: str
    unit: Unit
    definition: str


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


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Generations of one local day (`2026-11-16`) by outcome."""

    date: str
    completed: int
    reused: int
    failed: int
    cancelled: int
    audio_us: int


class EmotionShare(msgspec.Struct, frozen=True, kw_only=True):
    """New clips with this dominant emotion; shares in 0..1."""

    emotion: str
    clips: int
    clip_share: float
    clip_share_before: float | None
    audio_us: int
    audio_share: float | None


class EmotionMix(msgspec.Struct, frozen=True, kw_only=True):
    """All dominant emotions that occurred, and the mean of the applied weights over the new clips, if there are any."""

    emotions: tuple[EmotionShare, ...]
    effective_mean: Vector | None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Generations of one language, channel or voice; `share` is that of all generations (of new clips for a voice)."""

    name: str
    generations: int
    clips: int
    audio_us: int
    users: int
    share: float | None
    share_before: float | None


class EngineUse(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine was used and how fast it was; the percentiles are None without a new clip."""

    engine: str
    generations: int
    clips: int
    failed: int
    audio_us: int
    rtf_p50: float | None
    rtf_p95: float | None
    queue_p95_us: int | None


class FeatureUse(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses a feature: shares of the answered requests and of their users."""

    feature: str
    generations: int
    generation_share: float | None
    generation_share_before: float | None
    users: int
    user_share: float | None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One actor; `actor` is None once erased."""

    actor: str | None
    actor_id: str
    new: bool
    generations: int
    clips: int
    reused: int
    failed: int
    audio_us: int


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Who was there; `top` has the most active ones first."""

    active: int
    new: int
    returning: int
    top: tuple[User, ...]


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Failed generations of one class at one stage."""

    failure: str
    stage: str
    count: int
    users: int


class LoudnessBin(msgspec.Struct, frozen=True, kw_only=True):
    """New clips whose loudness lies in `lufs` <= x < `lufs` + 1."""

    lufs: int
    clips: int


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What came and went in the week, and what lies where at the time of the report; sizes in bytes."""

    added_clips: int
    added_bytes: int
    purged_clips: int
    purged_bytes: int
    net_bytes: int
    stored_clips: int
    stored_bytes: int
    waiting_clips: int
    waiting_bytes: int
    waiting_since: datetime | None
    refused_clips: int


class PurgedByRule(msgspec.Struct, frozen=True, kw_only=True):
    """Clips purged in the week under one rule."""

    rule: str
    clips: int
    bytes: int


class Expiring(msgspec.Struct, frozen=True, kw_only=True):
    """A marked clip and when its grace ends."""

    clip: str
    name: str | None
    actor: str | None
    rule: str
    delete_after: datetime
    bytes: int


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What retention did, and what it will do next; `expiring` begins with what goes first and may be cut."""

    marked_clips: int
    marked_bytes: int
    expiring: tuple[Expiring, ...]
    purged: tuple[PurgedByRule, ...]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One clip to listen to. `path` is the local file, which may be gone; `sha256` is that of its bytes."""

    clip: str
    created: datetime
    name: str | None
    text: str | None
    actor: str | None
    emotion: str
    emotion_effective: Vector
    language: str
    voice: str | None
    engine: str
    format: str
    duration_us: int
    bytes: int
    loudness_lufs: float | None
    sha256: str
    path: str | None
    tags: tuple[str, ...]
    plays: int
    reuses: int


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """How complete the numbers are: every event up to `position` is in them."""

    position: int
    waiting_clips: int
    refused_clips: int
    recorded_late: int


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
    history_weeks: tuple[str, ...]
    days: tuple[Day, ...]
    emotions: EmotionMix
    users: Users
    features: tuple[FeatureUse, ...]
    languages: tuple[Group, ...]
    channels: tuple[Group, ...]
    voices: tuple[Group, ...]
    engines: tuple[EngineUse, ...]
    failures: tuple[Failure, ...]
    loudness: tuple[LoudnessBin, ...]
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
