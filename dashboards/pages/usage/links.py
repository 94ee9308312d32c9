"""Links: where a mark leads, the clips in the library that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from urllib.parse import urlencode

from voxledger.analytics.metrics import Every
from voxledger.dashboards.pages.library.wanted import NAMES, NONE
from voxledger.dashboards.pages.usage.question import Question

_NO_CLIPS = frozenset({"failure_rate"})
"""Metrics of what made no clip."""


class Links:
    """The addresses of the library for a question; nothing leads there while there is no such page."""

    def __init__(self, question: Question, link: Callable[[str], str | None]) -> None:
        self._question = question
        self._link = link if link("/library") else None

    def clips(self, groups: Mapping[str, str | None] | None = None, stretch: date | None = None) -> str | None:
        """Those of some groups, of the whole period or of one stretch of it; None where the library has no such filter."""
        if self._link is None or self._question.metric in _NO_CLIPS:
            return None
        question, query = self._question, list[tuple[str, str]]()
        for name, value in (groups or {}).items():
            if name not in NAMES or value is None:
                return None
            query.append((name, value or NONE))
        first, last = (stretch, _last(stretch, question.every)) if stretch else (question.first, question.last)
        since, until = max(first, question.first), min(last, question.last)
        return self._link(f"/library?{urlencode([*query, ('since', since.isoformat()), ('until', until.isoformat())])}")


def _last(first: date, every: Every) -> date:
    """The last day of a stretch."""
    if every == "month":
        return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first + timedelta(days=6 if every == "week" else 0)
