"""Answers: what the catalog says to a question, remembered while nothing is recorded."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.analytics.metrics import Prices
from voxledger.dashboards.api.answering import asked, position
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.usage.question import Question, Span

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller

_FRESH = 15.0
_OLDEST = 6 * 3600.0
_MOST = 500


class Answer(NamedTuple):
    """Rows, the query that told them, and what else a sentence says of them."""

    rows: Sequence[Mapping[str, Any]]
    sql: str
    facts: Mapping[str, Any]


class Asking(NamedTuple):
    """A question that is being answered."""

    reading: Reading
    question: Question
    span: Span
    prices: Prices

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows that a query gives. Raises QueryError."""
        return self.reading.rows(sql)


class _Known(NamedTuple):
    position: int
    hour: datetime
    answer: Answer


class Answers:
    """Answers by chart and question. Whoever asks for one that is known does not wait; it is renewed beside them.

    Those that name people are kept for minutes only, and nothing is kept when something was erased or purged.
    """

    def __init__(self, gone: Callable[[], int]) -> None:
        self._kept: Kept[_Known] = Kept(_FRESH, oldest=_OLDEST, gone=gone)
        self._naming: Kept[_Known] = Kept(_FRESH, gone=gone)
        self._gone = gone
        self._lock = threading.Lock()
        self._last: OrderedDict[tuple[str, Question], _Known] = OrderedDict()
        self._went = 0

    def get(self, name: str, question: Question, ask: Callable[[Asking], Answer], caller: Caller) -> Answer:
        """The answer. Raises QueryError, and Refused when it takes too long."""
        key = (name, question)

        def find() -> _Known:
            went = self._heed()
            now = datetime.now(UTC)
            hour = now.replace(minute=0, second=0, microsecond=0)
            with self._lock:
                known = self._last.get(key)
            if known is None or (known.position, known.hour) != (caller.ledger.journal.head(), hour):
                with asked(caller, fresh=False) as reading:
                    answer = ask(Asking(reading, question, question.span(now), Prices.of(caller.site.settings)))
                    known = _Known(position(reading), hour, answer)
            self._keep(key, known, went)
            return known

        return (self._naming if question.by == "actor" else self._kept).get(key, find).answer

    def _heed(self) -> int:
        went = self._gone()
        with self._lock:
            if went != self._went:
                self._went = went
                self._last.clear()
        return went

    def _keep(self, key: tuple[str, Question], known: _Known, went: int) -> None:
        with self._lock:
            if went != self._went:
                return  # it may still name who has gone
            self._last[key] = known
            self._last.move_to_end(key)
            while len(self._last) > _MOST:
                self._last.popitem(last=False)
