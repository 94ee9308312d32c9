"""The metrics: each defined once, for the weekly report, the pages, the command line and whoever reads the numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType

from voxledger.analytics.metrics.errors import UnknownMetric
from voxledger.analytics.metrics.metric import Metric
from voxledger.analytics.metrics.money import MONEY
from voxledger.analytics.metrics.speed import SPEED
from voxledger.analytics.metrics.storage import STORAGE
from voxledger.analytics.metrics.usage import USAGE

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in (*USAGE, *SPEED, *STORAGE, *MONEY)})
"""All metrics by name, in the order in which they are explained."""
TABLES = ("cohorts", "funnel", "forecast")
"""What is told beside metrics, and is no single number. People ask for it by these names, too."""


def metric(name: str) -> Metric:
    """A metric by name. Raises UnknownMetric."""
    if name in TABLES:
        raise UnknownMetric(
            f"{name} is a table and no metric: `voxledger report weekly --json` has it, and metrics.{name} in Python"
        )
    if name not in METRICS:
        raise UnknownMetric(f"there is no metric {name!r}; {near(name, METRICS, '`voxledger metrics` lists them')}")
    return METRICS[name]


def near(name: str, known: Iterable[str], otherwise: str) -> str:
    """What may have been meant."""
    found = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"did you mean {found[0]!r}?" if found else otherwise
