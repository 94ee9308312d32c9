"""The errors of metrics.

AnalyticsError            (voxledger.analytics.errors) the root of this floor
└── MetricError               a metric cannot be told as it was asked for
    └── UnknownMetric             there is no such metric
"""

from __future__ import annotations

from voxledger.analytics.errors import AnalyticsError


class MetricError(AnalyticsError):
    """A metric cannot be told as it was asked for: over these groups, in this period."""


class UnknownMetric(MetricError):
    """There is no metric of this name."""
