"""Measuring: metrics over a period, whole or by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import polars as pl

from voxledger.analytics.metrics.definitions import METRICS
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load

Value: TypeAlias = int | float | None

_SQL = load("metrics.sql", "voxledger.analytics.metrics")


def attempts(reading: Reading, start: datetime, stop: datetime) -> pl.DataFrame:
    """The generations of `start` <= time < `stop`, one row each, oldest first."""
    return _period(reading, "attempts", start, stop)


def rollup(reading: Reading, start: datetime, stop: datetime) -> pl.DataFrame:
    """The same summed by outcome and actor, for metrics that need no single rows."""
    return _period(reading, "rollup", start, stop)


def first_seen(reading: Reading, stop: datetime) -> pl.DataFrame:
    """Each actor with the time of the first generation of all, as far as it lies before `stop`."""
    return reading.frame(_SQL["first_seen"], {"stop": stop.astimezone(UTC)})


def with_newcomers(frame: pl.DataFrame, seen: pl.DataFrame, start: datetime) -> pl.DataFrame:
    """The frame of a period with `seen_before`: whether the actor had a generation before `start`."""
    known = seen.select("actor_id", seen_before=pl.col("first_seen") < start)
    return frame.join(known, on="actor_id", how="left", maintain_order="left").with_columns(
        pl.col("seen_before").fill_null(value=False)
    )


def totals(reading: Reading, query: str, **moments: datetime) -> dict[str, Any]:
    """The one row of a named query of `metrics.sql`, such as `storage_flow`; moments become its parameters."""
    values = {name: moment.astimezone(UTC) for name, moment in moments.items()}
    found: pl.DataFrame = reading.frame(_SQL[query], values)
    return found.row(0, named=True)


def measure(frame: pl.DataFrame, names: Sequence[str]) -> Mapping[str, Value]:
    """Metrics over all rows of a frame. What cannot be told (a share of nothing) is None."""
    return {} if not names else frame.select(**{name: _expression(name) for name in names}).row(0, named=True)


def breakdown(
    frame: pl.DataFrame, by: Sequence[str], names: Sequence[str], *, whole: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Metrics for each group, sorted by the first metric downwards, then by the group's name.

    Shares are of `whole`, which is the frame itself unless the frame was unnested (a row a feature) or filtered.
    """
    shares = {name: of for name in names if (of := METRICS[name].of)}
    needed = dict.fromkeys([*(name for name in names if name not in shares), *shares.values()])
    base = measure(frame if whole is None else whole, list(shares.values()))
    groups = frame.group_by(by).agg(**{name: _expression(name) for name in needed})
    for name, of in shares.items():
        divisor = base[of] or None
        groups = groups.with_columns((pl.col(of) / pl.lit(divisor, pl.Float64)).alias(name))
    return groups.sort([names[0], *by], descending=[True, *(False for _ in by)], nulls_last=True).select(*by, *names)


def _expression(name: str) -> pl.Expr:
    found = METRICS[name].expression
    if found is None:
        raise ValueError(f"{name} is not computed from generations alone")
    return found


def _period(reading: Reading, query: str, start: datetime, stop: datetime) -> pl.DataFrame:
    period = {"start": start.astimezone(UTC), "stop": stop.astimezone(UTC)}
    return reading.frame(_SQL[query], period)
