"""Metrics of use: what is counted, how, and in which unit."""

from voxledger.analytics.metrics.definitions import METRICS, metric
from voxledger.analytics.metrics.dimensions import DIMENSIONS, Dimension, dimensions_of
from voxledger.analytics.metrics.errors import MetricError, UnknownMetric
from voxledger.analytics.metrics.measure import Every, Value, breakdown, explain, measure, series
from voxledger.analytics.metrics.metric import Metric, Unit
from voxledger.analytics.metrics.prices import Prices
from voxledger.analytics.metrics.tables import Forecast, Step, cohorts, cohorts_query, forecast, funnel

__all__ = [
    "DIMENSIONS",
    "METRICS",
    "Dimension",
    "Every",
    "Forecast",
    "Metric",
    "MetricError",
    "Prices",
    "Step",
    "Unit",
    "UnknownMetric",
    "Value",
    "breakdown",
    "cohorts",
    "cohorts_query",
    "dimensions_of",
    "explain",
    "forecast",
    "funnel",
    "measure",
    "metric",
    "series",
]
