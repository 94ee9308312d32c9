"""The sections of a weekly report as records. Lengths are microseconds (`_us`), sizes bytes, shares 0 to 1."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from voxledger.analytics.metrics import Forecast

Vector: TypeAlias = tuple[float, float, float, float, float, float, float, float]


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


class Unused(msgspec.Struct, frozen=True, kw_only=True):
    """What nobody has used for `report.unused_after`; `last_used` is None where nobody ever did."""

    name: str
    last_used: datetime | None


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """The groups of a week that were used most and least, of all `groups`, and those that were not used for long.

    `bottom` has the least used first, and none that is in `top`. `rest_audio_us` is the audio of all that are not in `top`.
    """

    groups: int
    top: tuple[Group, ...]
    bottom: tuple[Group, ...]
    rest_audio_us: int
    unused: tuple[Unused, ...]
    unused_groups: int


class EngineUse(msgspec.Struct, frozen=True, kw_only=True):
    """How an engine was used on a device and how fast it was; the percentiles are None without a new clip.

    `device` is None for what never reached one: reused clips, and attempts that failed before.
    """

    engine: str
    device: str | None
    generations: int
    clips: int
    failed: int
    audio_us: int
    rtf_p50: float | None
    rtf_p95: float | None
    queue_p95_us: int | None
    first_p95_us: int | None
    latency_p95_us: int | None


class FeatureUse(msgspec.Struct, frozen=True, kw_only=True):
    """Who uses a feature: shares of the answered requests and of their users.

    `status`: new (nobody used it in the eight weeks before), dropped (the week before, and not in this one), or empty. Its users are
    told by whether they took it up (`new_users`), stayed with it (`returning_users`) or used it the week before and not in this one
    (`dropped_users`).
    """

    feature: str
    status: Literal["new", "dropped", ""]
    generations: int
    generation_share: float | None
    generation_share_before: float | None
    users: int
    user_share: float | None
    new_users: int
    returning_users: int
    dropped_users: int


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


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Users who came first in the week that begins on `monday` (a date), and the share of them who were there in each week since.

    `shares` begins with that week itself, 1.0, and ends with the newest.
    """

    monday: str
    users: int
    shares: tuple[float, ...]


class Users(msgspec.Struct, frozen=True, kw_only=True):
    """Who was there; `top` has the most active ones first.

    `returning` were there before the week: those of the week before (`retained`), and others (`resurrected`). `lost` were there the
    week before and not in this one.
    """

    active: int
    new: int
    returning: int
    retained: int
    resurrected: int
    lost: int
    retention_rate: float | None
    top: tuple[User, ...]
    cohorts: tuple[Cohort, ...]


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


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one part cost in the week (room, uploads, engine), in millionths of the currency."""

    part: str
    micro: int


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What came and went in the week, and what lies where at the time of the report; sizes in bytes.

    `cost` is what the week cost, by part; money in millionths of `currency`. `forecast` is None in a catalog without a clip.
    """

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
    currency: str
    cost: tuple[Cost, ...]
    forecast: Forecast | None


class PurgedByRule(msgspec.Struct, frozen=True, kw_only=True):
    """Clips purged in the week under one rule."""

    rule: str
    clips: int
    bytes: int


class Expiring(msgspec.Struct, frozen=True, kw_only=True):
    """A marked clip and when its grace ends. `bucket` and `key` are where it lies, or will, or lay.

    `audio`: it is in the store, was not uploaded yet, or is gone from there. Reports of an older form do not say.
    """

    clip: str
    name: str | None
    actor: str | None
    rule: str
    delete_after: datetime
    bytes: int
    bucket: str | None
    key: str | None
    audio: Literal["stored", "waiting", "gone"] = "stored"


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """What retention did, and what goes in the seven days after the report was made (`expiring_until`).

    `expiring` begins with what goes first and may be cut: `expiring_clips` and `expiring_bytes` count all of them. Unless runs are
    `scheduled` (`retention.schedule`) nothing goes by itself; reports of an older form, which do not say, are read as if they were.
    """

    marked_clips: int
    marked_bytes: int
    expiring_until: datetime
    expiring_clips: int
    expiring_bytes: int
    expiring: tuple[Expiring, ...]
    purged: tuple[PurgedByRule, ...]
    scheduled: bool = True


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
