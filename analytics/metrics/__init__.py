"""Metrics of use: what is counted, how, and in which unit."""

from voxledger.analytics.metrics.definitions import METRICS, metric
from voxledger.analytics.metrics.dimensions import DIMENSIONS, Dimension, dimensions_of
from voxledger.analytics.metrics.errors import MetricError, UnknownMetric
from voxledger.analytics.metrics.measure import Every, Value, breakdown, explain, first_seen, measure, series
from voxledger.analytics.metrics.metric import Metric, Unit

__all__ = [
    "DIMENSIONS",
    "METRICS",
    "Dimension",
    "Every",
    "Metric",
    "MetricError",
    "Unit",
    "UnknownMetric",
    "Value",
    "breakdown",
    "dimensions_of",
    "explain",
    "first_seen",
    "measure",
    "metric",
    "series",
]
