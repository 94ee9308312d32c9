"""The metrics: each defined once, for the weekly report, the pages and whoever reads the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import msgspec
import polars as pl

Unit: TypeAlias = Literal["count", "us", "bytes", "share", "ratio"]
"""`us` = microseconds, `share` = 0..1, `ratio` = a quotient without a unit."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number about the use of a catalog.

    It is computed from the generations by `expression` (over the columns of `attempts` in `metrics.sql`), or it is the
    column `name` of the named `query`. A share has an `of`: the metric of one group over the same metric of all.
    `rows` metrics need one row a generation, the others are exact on the sums of `rollup` as well.
    """

    name: str
    title: str
    unit: Unit
    definition: str
    better: Literal["more", "less", "neither"] = "neither"
    expression: pl.Expr | None = None
    query: str | None = None
    of: str | None = None
    rows: bool = False


def _attempts(outcome: str) -> pl.Expr:
    return pl.col("attempts").filter(pl.col("outcome") == outcome).sum()


def _share(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return pl.when(whole > 0).then(part / whole)


def _users(kind: pl.Expr) -> pl.Expr:
    return pl.col("actor_id").filter(kind).n_unique()


_DONE = pl.col("outcome") == "completed"
_RTF = (pl.col("synthesis_us") / pl.col("duration_us")).filter(_DONE & (pl.col("duration_us") > 0))
_QUEUE = pl.col("queue_us").filter(_DONE)

_ALL = (
    Metric(
        name="generations",
        title="Generations",
        unit="count",
        better="more",
        definition="Attempts to make a clip that ended, whatever the outcome: completed, reused, failed or cancelled.",
        expression=pl.col("attempts").sum(),
    ),
    Metric(
        name="clips",
        title="Clips made",
        unit="count",
        better="more",
        definition="Generations that ended in a new clip.",
        expression=_attempts("completed"),
    ),
    Metric(
        name="reused",
        title="Reused",
        unit="count",
        better="more",
        definition="Requests answered by a clip that was already there.",
        expression=_attempts("reused"),
    ),
    Metric(
        name="failed",
        title="Failed",
        unit="count",
        better="less",
        definition="Generations that ended in an error, by the error's class.",
        expression=_attempts("failed"),
    ),
    Metric(
        name="cancelled",
        title="Cancelled",
        unit="count",
        better="less",
        definition="Generations whose caller went away before the clip was there.",
        expression=_attempts("cancelled"),
    ),
    Metric(
        name="audio_us",
        title="Audio made",
        unit="us",
        better="more",
        definition="Summed length of the new clips.",
        expression=pl.col("duration_us").filter(_DONE).sum(),
    ),
    Metric(
        name="active_users",
        title="Active users",
        unit="count",
        better="more",
        definition="Actors with at least one generation, whatever its outcome.",
        expression=pl.col("actor_id").n_unique(),
    ),
    Metric(
        name="new_users",
        title="New users",
        unit="count",
        better="more",
        definition="Active users whose first generation of all lies in the period.",
        expression=_users(~pl.col("seen_before")),
    ),
    Metric(
        name="returning_users",
        title="Returning users",
        unit="count",
        better="more",
        definition="Active users who had a generation before the period began.",
        expression=_users(pl.col("seen_before")),
    ),
    Metric(
        name="reuse_rate",
        title="Reuse rate",
        unit="share",
        better="more",
        definition="Share of the answered requests (completed or reused) that were answered by a clip already there.",
        expression=_share(_attempts("reused"), _attempts("reused") + _attempts("completed")),
    ),
    Metric(
        name="saved_us",
        title="Engine time saved",
        unit="us",
        better="more",
        definition="Engine time that the reused clips had cost when they were made, and that was not spent again.",
        expression=pl.col("saved_us").filter(pl.col("outcome") == "reused").sum(),
    ),
    Metric(
        name="failure_rate",
        title="Failure rate",
        unit="share",
        better="less",
        definition="Share of the generations that failed, not counting cancelled ones.",
        expression=_share(_attempts("failed"), pl.col("attempts").sum() - _attempts("cancelled")),
    ),
    Metric(
        name="rtf_p50",
        title="Real-time factor, median",
        unit="ratio",
        better="less",
        rows=True,
        definition="Engine time over audio time of the new clips, median; below 1 is faster than real time.",
        expression=_RTF.quantile(0.5, interpolation="linear"),
    ),
    Metric(
        name="rtf_p95",
        title="Real-time factor, 95th percentile",
        unit="ratio",
        better="less",
        rows=True,
        definition="Engine time over audio time that 95 of 100 new clips stay at or below.",
        expression=_RTF.quantile(0.95, interpolation="linear"),
    ),
    Metric(
        name="queue_p95_us",
        title="Queue wait, 95th percentile",
        unit="us",
        better="less",
        rows=True,
        definition="Time before the engine began that 95 of 100 new clips stay at or below.",
        expression=_QUEUE.quantile(0.95, interpolation="linear").round().cast(pl.Int64),
    ),
    Metric(
        name="generation_share",
        title="Share of generations",
        unit="share",
        of="generations",
        definition="Generations of one group (channel, language, engine) over all generations.",
    ),
    Metric(
        name="clip_share",
        title="Share of clips",
        unit="share",
        of="clips",
        definition="New clips of one group, such as a dominant emotion, over all new clips.",
    ),
    Metric(
        name="audio_share",
        title="Share of audio",
        unit="share",
        of="audio_us",
        definition="Length of the new clips of one group over that of all new clips.",
    ),
    Metric(
        name="user_share",
        title="Share of users",
        unit="share",
        of="active_users",
        definition="Active users of one group, such as a feature, over all active users; one user may be in several.",
    ),
    Metric(
        name="added_clips",
        title="Clips added",
        unit="count",
        query="storage_flow",
        definition="Clips made in the period, whatever became of them.",
    ),
    Metric(
        name="added_bytes",
        title="Storage added",
        unit="bytes",
        query="storage_flow",
        definition="Size of the clips made in the period.",
    ),
    Metric(
        name="purged_clips",
        title="Clips purged",
        unit="count",
        query="storage_flow",
        definition="Clips whose audio was deleted in the period and seen to be gone.",
    ),
    Metric(
        name="purged_bytes",
        title="Storage purged",
        unit="bytes",
        query="storage_flow",
        definition="Size of the clips purged in the period.",
    ),
    Metric(
        name="net_bytes",
        title="Storage, net",
        unit="bytes",
        query="storage_flow",
        definition="Storage added less storage purged.",
    ),
    Metric(
        name="stored_clips",
        title="Clips in the store",
        unit="count",
        query="storage_present",
        definition="Clips that the store has confirmed and that are not purged, at the time of the report.",
    ),
    Metric(
        name="stored_bytes",
        title="Size in the store",
        unit="bytes",
        query="storage_present",
        definition="Size of the clips in the store, at the time of the report.",
    ),
    Metric(
        name="waiting_clips",
        title="Clips waiting for upload",
        unit="count",
        query="storage_present",
        better="less",
        definition="Clips that so far lie only on this machine's disk, at the time of the report.",
    ),
    Metric(
        name="waiting_bytes",
        title="Size waiting for upload",
        unit="bytes",
        query="storage_present",
        better="less",
        definition="Size of the clips that wait for upload, at the time of the report.",
    ),
    Metric(
        name="refused_clips",
        title="Clips the store refused",
        unit="count",
        query="storage_present",
        better="less",
        definition="Clips whose upload failed for good until someone retries it, at the time of the report.",
    ),
    Metric(
        name="marked_clips",
        title="Clips marked",
        unit="count",
        query="storage_present",
        definition="Clips that a retention plan condemned and whose grace still runs, at the time of the report.",
    ),
    Metric(
        name="marked_bytes",
        title="Size marked",
        unit="bytes",
        query="storage_present",
        definition="Size of the marked clips, at the time of the report.",
    ),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _ALL})
"""All metrics by name, in the order in which they are explained."""
