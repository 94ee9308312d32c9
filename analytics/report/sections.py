"""The report's sections: a week's metrics by day, emotion, user and so on, as records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import polars as pl

from voxledger.analytics.metrics import breakdown, measure, series
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
)
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load

TOP = 10
"""Most users, voices, languages, … that are listed."""
Span: TypeAlias = tuple[datetime, datetime]
"""From a moment up to, and without, another."""
_SQL = load("report.sql", "voxledger.analytics.report")


def days(reading: Reading, week: Week, now: Span) -> tuple[Day, ...]:
    """All seven days of the week in its zone, quiet ones with zeros."""
    names = ["clips", "reused", "failed", "cancelled", "audio_us"]
    found = series(reading, names, *now, every="day", zone=week.zone).to_dicts() if now[0] < now[1] else []
    rows = {row["stretch"]: row for row in found}
    nothing = dict.fromkeys(names, 0)
    return tuple(
        Day(
            date=day.isoformat(),
            completed=row["clips"],
            **{name: row[name] for name in ("reused", "failed", "cancelled", "audio_us")},
        )
        for day in week.days
        for row in [rows.get(day, nothing)]
    )


def emotions(reading: Reading, now: Span, before: Span) -> EmotionMix:
    """The mix of this week and of the one before, most frequent first."""
    earlier = breakdown(reading, ["clips", "clip_share"], *before, by=["emotion"]).filter(pl.col("clips") > 0)
    was = {row["emotion"]: row["clip_share"] for row in earlier.to_dicts()}
    found = breakdown(reading, ["clips", "clip_share", "audio_us", "audio_share"], *now, by=["emotion"])
    weights = reading.frame(_SQL["effective_mean"], {"start": now[0], "stop": now[1]}).row(0)
    # Threads add in any order; six digits are the same whichever came first.
    mean: Any = None if weights[0] is None else tuple(round(float(weight), 6) for weight in weights)
    return EmotionMix(
        emotions=tuple(
            EmotionShare(**row, clip_share_before=was.get(row["emotion"], 0.0) if was else None)
            for row in found.filter(pl.col("clips") > 0).to_dicts()
        ),
        effective_mean=mean,
    )


def users(reading: Reading, now: Span) -> Users:
    """Who was there."""
    counts = measure(reading, ["active_users", "new_users", "returning_users"], *now)
    names = ["generations", "clips", "reused", "failed", "audio_us"]
    found = breakdown(reading, names, *now, by=["actor_id"], limit=TOP)
    chosen = {"start": now[0], "stop": now[1], "chosen": found["actor_id"].to_list()}
    rows = found.join(
        reading.frame(_SQL["actors"], chosen), on="actor_id", how="left", maintain_order="left"
    ).to_dicts()
    return Users(
        active=int(counts["active_users"] or 0),
        new=int(counts["new_users"] or 0),
        returning=int(counts["returning_users"] or 0),
        top=tuple(User(**row) for row in rows),
    )


def features(reading: Reading, now: Span, before: Span) -> tuple[FeatureUse, ...]:
    """How far each feature has spread, over the requests that were answered: others do not say what they used."""
    names = ["answered", "answer_share", "answered_users", "answered_user_share"]
    earlier = breakdown(reading, names[:2], *before, by=["feature"]).to_dicts()
    any_before = bool(measure(reading, ["generations"], *before)["generations"])
    was = {row["feature"]: row["answer_share"] for row in earlier if row["answered"]}
    found = breakdown(reading, names, *now, by=["feature"]).filter(pl.col("answered") > 0)
    return tuple(
        FeatureUse(
            feature=row["feature"],
            generations=row["answered"],
            generation_share=row["answer_share"],
            generation_share_before=was.get(row["feature"], 0.0) if any_before else None,
            users=row["answered_users"],
            user_share=row["answered_user_share"],
        )
        for row in found.to_dicts()
    )


def groups(reading: Reading, now: Span, before: Span, by: str) -> tuple[Group, ...]:
    """Generations by a column; those that do not know it (a failure before the language was known) are left out."""
    names = ["generations", "clips", "audio_us", "active_users", "generation_share"]
    earlier = breakdown(reading, ["generation_share"], *before, by=[by], known=True).to_dicts()
    was = {row[by]: row["generation_share"] for row in earlier}
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
        for row in breakdown(reading, names, *now, by=[by], known=True).to_dicts()
    )


def voices(rows: Sequence[Mapping[str, Any]], before: Sequence[Mapping[str, Any]]) -> tuple[Group, ...]:
    """New clips by voice, from the rows of the query `voices`."""
    was = {row["name"]: row["share"] for row in before}
    return tuple(
        Group(**row, generations=row["clips"], share_before=was.get(row["name"], 0.0) if was else None) for row in rows
    )


def engines(reading: Reading, now: Span) -> tuple[EngineUse, ...]:
    """Use and speed by engine."""
    names = ["generations", "clips", "failed", "audio_us", "rtf_p50", "rtf_p95", "queue_p95_us"]
    return tuple(EngineUse(**row) for row in breakdown(reading, names, *now, by=["engine"]).to_dicts())


def failures(reading: Reading, now: Span) -> tuple[Failure, ...]:
    """Failed generations by class and stage."""
    found = breakdown(reading, ["failed", "active_users"], *now, by=["failure", "stage"], known=True)
    return tuple(
        Failure(failure=row["failure"], stage=row["stage"], count=row["failed"], users=row["active_users"])
        for row in found.to_dicts()
    )
