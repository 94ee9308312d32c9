"""The report's sections: from the frame of a week's generations to records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from voxledger.analytics.metrics import breakdown, measure
from voxledger.analytics.palette import EMOTIONS
from voxledger.analytics.report.week import Week
from voxledger.analytics.report.weekly import (
    Day,
    EmotionMix,
    EmotionShare,
    EngineUse,
    Failure,
    FeatureUse,
    Group,
    User,
    Users,
    Vector,
)

TOP = 10
"""Most users, voices, languages, … that are listed."""
_OUTCOMES = ("completed", "reused", "failed", "cancelled")


def days(frame: pl.DataFrame, week: Week) -> tuple[Day, ...]:
    """All seven days of the week in its zone, quiet ones with zeros."""
    local = frame.with_columns(date=pl.col("time").dt.convert_time_zone(week.zone).dt.date())
    found = breakdown(local, ["date"], ["clips", "reused", "failed", "cancelled", "audio_us"])
    rows = {row["date"]: row for row in found.to_dicts()}
    nothing = dict.fromkeys(("clips", "reused", "failed", "cancelled", "audio_us"), 0)
    return tuple(
        Day(
            date=day.isoformat(),
            completed=row["clips"],
            **{name: row[name] for name in ("reused", "failed", "cancelled", "audio_us")},
        )
        for day in week.days
        for row in [rows.get(day, nothing)]
    )


def emotions(frame: pl.DataFrame, before: pl.DataFrame) -> EmotionMix:
    """The mix of this week and of the one before, most frequent first."""
    done, earlier = _completed(frame), _completed(before)
    was = {row["emotion"]: row["clip_share"] for row in breakdown(earlier, ["emotion"], ["clip_share"]).to_dicts()}
    found = breakdown(done, ["emotion"], ["clips", "clip_share", "audio_us", "audio_share"])
    return EmotionMix(
        emotions=tuple(
            EmotionShare(**row, clip_share_before=was.get(row["emotion"], 0.0) if was else None)
            for row in found.to_dicts()
        ),
        effective_mean=_mean(done),
    )


def users(frame: pl.DataFrame) -> Users:
    """Who was there."""
    counts = measure(frame, ["active_users", "new_users", "returning_users"])
    named = frame.group_by("actor_id").agg(pl.col("actor").drop_nulls().last(), new=~pl.col("seen_before").first())
    found = breakdown(frame, ["actor_id"], ["generations", "clips", "reused", "failed", "audio_us"]).head(TOP)
    rows = found.join(named, on="actor_id", how="left", maintain_order="left").to_dicts()
    return Users(
        active=int(counts["active_users"] or 0),
        new=int(counts["new_users"] or 0),
        returning=int(counts["returning_users"] or 0),
        top=tuple(User(**row) for row in rows),
    )


def features(frame: pl.DataFrame, before: pl.DataFrame) -> tuple[FeatureUse, ...]:
    """How far each feature has spread, over the requests that were answered: others do not say what they used."""
    names = ["generations", "generation_share", "active_users", "user_share"]
    answered = pl.col("outcome").is_in(["completed", "reused"])
    was = {row["features"]: row["generation_share"] for row in _unnested(before.filter(answered), names[:2])}
    return tuple(
        FeatureUse(
            feature=row["features"],
            generations=row["generations"],
            generation_share=row["generation_share"],
            generation_share_before=was.get(row["features"], 0.0) if before.height else None,
            users=row["active_users"],
            user_share=row["user_share"],
        )
        for row in _unnested(frame.filter(answered), names)
    )


def groups(frame: pl.DataFrame, before: pl.DataFrame, by: str) -> tuple[Group, ...]:
    """Generations by a column; those that do not know it (a failure before the language was known) are left out."""
    known, earlier = frame.filter(pl.col(by).is_not_null()), before.filter(pl.col(by).is_not_null())
    was = {row[by]: row["generation_share"] for row in breakdown(earlier, [by], ["generation_share"]).to_dicts()}
    names = ["generations", "clips", "audio_us", "active_users", "generation_share"]
    return tuple(
        Group(
            name=row[by],
            generations=row["generations"],
            clips=row["clips"],
            audio_us=row["audio_us"],
            users=row["active_users"],
            share=row["generation_share"],
            share_before=was.get(row[by], 0.0) if was else None,
        )
        for row in breakdown(known, [by], names).to_dicts()
    )


def voices(rows: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> tuple[Group, ...]:
    """New clips by voice, from the rows of the query `voices`."""
    was = {row["name"]: row["share"] for row in before}
    return tuple(
        Group(**row, generations=row["clips"], share_before=was.get(row["name"], 0.0) if was else None) for row in rows
    )


def engines(frame: pl.DataFrame) -> tuple[EngineUse, ...]:
    """Use and speed by engine."""
    names = ["generations", "clips", "failed", "audio_us", "rtf_p50", "rtf_p95", "queue_p95_us"]
    return tuple(EngineUse(**row) for row in breakdown(frame, ["engine"], names).to_dicts())


def failures(frame: pl.DataFrame) -> tuple[Failure, ...]:
    """Failed generations by class and stage."""
    failed = frame.filter(pl.col("outcome") == "failed")
    found = breakdown(failed, ["failure", "stage"], ["failed", "active_users"])
    return tuple(
        Failure(failure=row["failure"], stage=row["stage"], count=row["failed"], users=row["active_users"])
        for row in found.to_dicts()
    )


def _completed(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.filter(pl.col("outcome") == "completed")


def _unnested(frame: pl.DataFrame, names: Sequence[str]) -> list[dict[str, Any]]:
    rows = frame.explode("features").filter(pl.col("features").is_not_null())
    return breakdown(rows, ["features"], names, whole=frame).to_dicts()


def _mean(done: pl.DataFrame) -> Vector | None:
    if done.is_empty():
        return None
    weights = [pl.col("emotion_effective").arr.get(place).cast(pl.Float64).mean().alias(name)
               for place, name in enumerate(list(EMOTIONS)[:8])]  # fmt: skip
    # Threads add in any order; six digits are the same whichever came first.
    return tuple(round(float(value), 6) for value in done.select(weights).row(0))  # type: ignore[return-value]  # eight
