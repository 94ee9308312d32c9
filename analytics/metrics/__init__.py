"""Metrics of use: what is counted, how, and in which unit."""

from voxledger.analytics.metrics.definitions import METRICS, Metric, Unit
from voxledger.analytics.metrics.measure import (
    Value,
    attempts,
    breakdown,
    first_seen,
    measure,
    rollup,
    totals,
    with_newcomers,
)

__all__ = [
    "METRICS",
    "Metric",
    "Unit",
    "Value",
    "attempts",
    "breakdown",
    "first_seen",
    "measure",
    "rollup",
    "totals",
    "with_newcomers",
]
