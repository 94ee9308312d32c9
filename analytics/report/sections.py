"""The report's sections: a week's metrics by day, emotion, user and so on, as records."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, TypeAlias

import polars as pl

from voxledger.analytics.metrics import breakdown, cohorts, measure, series
from voxledger.analytics.report.parts import (
    Cohort,
    Day,
    EmotionMix,
    EmotionShare,
    EngineUse,
    Failure,
    FeatureUse,
    Group,
    Ranking,
    Unused,
    User,
    Users,
)
from voxledger.analytics.report.week import Week
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load

TOP = 10
"""Most users that are listed."""
RANKED = 5
"""Most groups of a ranking at either end, and most of those that were not used for long."""
UNUSED_AFTER = timedelta(days=30)
"""What nobody used for so long is listed as unused."""
TAKEN_UP = 8
"""Weeks without a feature that make it a new one."""
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


def users(reading: Reading, week: Week, now: Span, before: datetime) -> Users:
    """Who was there; who stayed and who did not is told against the stretch of time that begins at `before`."""
    kinds = ["new", "returning", "retained", "resurrected", "lost"]
    metrics = ["active_users", *(f"{kind}_users" for kind in kinds), "retention_rate"]
    counts = measure(reading, metrics, *now, before=before)
    names = ["generations", "clips", "reused", "failed", "audio_us"]
    found = breakdown(reading, names, *now, by=["actor_id"], limit=TOP)
    chosen = {"start": now[0], "stop": now[1], "chosen": found["actor_id"].to_list()}
    rows = found.join(
        reading.frame(_SQL["actors"], chosen), on="actor_id", how="left", maintain_order="left"
    ).to_dicts()
    return Users(
        active=int(counts["active_users"] or 0),
        **{kind: int(counts[f"{kind}_users"] or 0) for kind in kinds},
        retention_rate=counts["retention_rate"],
        top=tuple(User(**row) for row in rows),
        cohorts=_cohorts(reading, week, now[1]),
    )


def _cohorts(reading: Reading, week: Week, stop: datetime) -> tuple[Cohort, ...]:
    """The cohorts of eight weeks and of this one, the oldest first; a week in which nobody came has none."""
    found = cohorts(reading, stop, zone=week.zone)
    told = []
    for monday in found["cohort"].unique().sort().to_list():
        rows = found.filter(pl.col("cohort") == monday)
        shares = dict(zip(rows["after"].to_list(), rows["share"].to_list(), strict=True))
        weeks = (week.monday - monday).days // 7
        told.append(
            Cohort(
                monday=monday.isoformat(),
                users=int(rows.filter(pl.col("after") == 0)["users"].item()),
                shares=tuple(float(shares.get(after, 0.0)) for after in range(weeks + 1)),
            )
        )
    return tuple(told)


def features(reading: Reading, week: Week, now: Span, before: Span) -> tuple[FeatureUse, ...]:
    """How far each feature has spread, over the requests that were answered: others do not say what they used.

    The most used first, then those that were dropped.
    """
    names = ["answered", "answer_share", "answered_users", "answered_user_share"]
    earlier = breakdown(reading, names[:2], *before, by=["feature"]).to_dicts()
    any_before = bool(measure(reading, ["generations"], *before)["generations"])
    was = {row["feature"]: row["answer_share"] for row in earlier if row["answered"]}
    long_before = {"start": week.previous(TAKEN_UP).start, "stop": now[0]}
    known = {feature for (feature,) in reading.frame(_SQL["features"], long_before).rows()}
    adopters = ["adopters", "new_adopters", "returning_adopters", "dropped_adopters"]
    taken = {
        row["feature"]: row for row in breakdown(reading, adopters, *now, by=["feature"], before=before[0]).to_dicts()
    }
    found = {
        row["feature"]: row for row in breakdown(reading, names, *now, by=["feature"]).to_dicts() if row["answered"]
    }
    return tuple(
        FeatureUse(
            feature=feature,
            status="dropped" if feature not in found else "new" if known and feature not in known else "",
            generations=row["answered"],
            generation_share=row["answer_share"],
            generation_share_before=was.get(feature, 0.0) if any_before else None,
            users=row["answered_users"],
            user_share=row["answered_user_share"],
            **{
                f"{kind}_users": taken.get(feature, {}).get(f"{kind}_adopters") or 0
                for kind in ("new", "returning", "dropped")
            },
        )
        for feature in (*found, *sorted(was.keys() - found.keys()))
        for row in [
            found.get(feature) or {"answered": 0, "answer_share": 0.0, "answered_users": 0, "answered_user_share": 0.0}
        ]
    )


def channels(reading: Reading, now: Span, before: Span) -> tuple[Group, ...]:
    """Generations by the door they came through."""
    return _groups(reading, now, before, "channel", "generations", "generation_share")


def ranking(reading: Reading, now: Span, before: Span, by: str) -> Ranking:
    """The most and the least used languages, voices or models of the week, and those that nobody used for long.

    Languages are told by generations, as far as they know it (a failure before the language was known does not); voices and models by
    new clips: the others do not have one.
    """
    of = "generations" if by == "language" else "clips"
    found = _groups(reading, now, before, by, of, "generation_share" if by == "language" else "clip_share")
    top, rest = found[:RANKED], found[RANKED:]
    unused = reading.frame(_SQL[f"unused_{by}s"], {"stop": now[1], "since": now[1] - UNUSED_AFTER})
    return Ranking(
        groups=len(found),
        top=top,
        bottom=tuple(reversed(rest[-RANKED:])),
        rest_audio_us=sum(group.audio_us for group in rest),
        unused=tuple(Unused(**row) for row in unused.head(RANKED).to_dicts()),
        unused_groups=unused.height,
    )


def _groups(reading: Reading, now: Span, before: Span, by: str, of: str, share: str) -> tuple[Group, ...]:
    names = list(dict.fromkeys([of, "generations", "clips", "audio_us", "active_users", share]))
    earlier = breakdown(reading, [of, share], *before, by=[by], known=True).to_dicts()
    was = {row[by]: row[share] for row in earlier if row[of]}
    return tuple(
        Group(
            name=row[by],
            generations=row["generations"],
            clips=row["clips"],
            audio_us=row["audio_us"],
            users=row["active_users"],
            share=row[share],
            share_before=was.get(row[by], 0.0) if was else None,
        )
        for row in breakdown(reading, names, *now, by=[by], known=True).to_dicts()
        if row[of]
    )


def engines(reading: Reading, now: Span) -> tuple[EngineUse, ...]:
    """Use and speed by engine and device, what reached none last."""
    names = [
        "generations",
        "clips",
        "failed",
        "audio_us",
        "rtf_p50",
        "rtf_p95",
        "queue_p95_us",
        "first_p95_us",
        "latency_p95_us",
    ]
    rows = breakdown(reading, names, *now, by=["engine", "device"]).to_dicts()
    return tuple(EngineUse(**row) for row in sorted(rows, key=lambda row: row["device"] is None))


def failures(reading: Reading, now: Span) -> tuple[Failure, ...]:
    """Failed generations by class and stage."""
    found = breakdown(reading, ["failed", "active_users"], *now, by=["failure", "stage"], known=True)
    return tuple(
        Failure(failure=row["failure"], stage=row["stage"], count=row["failed"], users=row["active_users"])
        for row in found.to_dicts()
    )
