"""Links: where a mark leads, the clips in the library that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from voxledger.analytics.metrics import Every
from voxledger.analytics.metrics.measure import midnight
from voxledger.dashboards.pages.usage.question import Question

_NAMED = frozenset({"actor", "voice", "emotion", "language"})
"""Dimensions that the library has filters for; others are a condition."""


class Links:
    """The addresses of the library for a question; nothing leads there while there is no such page."""

    def __init__(self, question: Question, link: Callable[[str], str | None]) -> None:
        self._question = question
        self._link = link if link("/library") else None

    def clips(
        self, groups: Mapping[str, str | None] | None = None, stretch: date | None = None, *, where: str = ""
    ) -> str | None:
        """Those of some groups, of the whole period or of one stretch of it; `where` is a further condition. What is not known has no
        filter, and leads nowhere.
        """
        if self._link is None or self._question.metric == "failure_rate":
            return None
        question, query, conditions = self._question, {}, []
        for name, value in (groups or {}).items():
            if not value:
                return None
            if name in _NAMED:
                query[name] = value
            else:
                quoted = value.replace("'", "''")
                conditions.append(f"{name} = '{quoted}'")
        first, last = (stretch, _last(stretch, question.every)) if stretch else (question.first, question.last)
        start = midnight(max(first, question.first), question.zone)
        stop = midnight(min(last, question.last) + timedelta(days=1), question.zone)
        conditions += [where] if where else []
        conditions = [f"created >= '{_written(start)}' AND created < '{_written(stop)}'", *conditions]
        return self._link(f"/library?{urlencode({**query, 'where': ' AND '.join(conditions)})}")


def _last(first: date, every: Every) -> date:
    """The last day of a stretch."""
    if every == "month":
        return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    return first + timedelta(days=6 if every == "week" else 0)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
