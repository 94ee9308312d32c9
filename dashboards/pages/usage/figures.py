"""Figures: the metrics at the top, of the period and of the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from voxledger.analytics.metrics import METRICS, measure
from voxledger.analytics.metrics.measure import explain
from voxledger.analytics.report import wording
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.question import FIGURES

_NO_POINT = 0.0005
"""What is shown as no change."""


def figures(asking: Asking) -> Answer:
    """One row: each metric, and in `before` each of the period before, if that is asked for."""
    reading, question, span, _ = asking
    now = measure(reading, FIGURES, span.start, span.stop)
    before: Mapping[str, Any] = {}
    if question.compare:
        before = measure(reading, FIGURES, span.before, span.before_stop)
    return Answer([now], explain(FIGURES[0], span.start, span.stop), {"before": before})


def better(name: str) -> str:
    """Which way is good, as `ui.moved` reads it."""
    found = METRICS[name].better
    return "" if found == "neither" else found


def points(name: str, now: float, before: float) -> Markup:
    """How a share moved, in percentage points, good or bad."""
    up = now > before
    good = "" if abs(now - before) < _NO_POINT else " good" if up == (better(name) == "more") else " bad"
    return Markup('<span class="moved{}">{}</span>').format(good, wording.change(now - before, "share"))
