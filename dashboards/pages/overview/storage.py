"""Storage: how much there is and where it goes, and which clips go next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup

from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.overview.figures import SQL

if TYPE_CHECKING:
    from voxledger.analytics.metrics import Forecast
    from voxledger.dashboards.server.callers import Caller

_FEW = 5
_WIDTH, _HEIGHT, _EDGE = 320.0, 72.0, 4.0


class Expiring(NamedTuple):
    """What is marked: how many clips, their bytes, and the few whose grace ends first."""

    clips: int
    bytes: int
    next: Sequence[Mapping[str, Any]]


def forecast(caller: Caller) -> Forecast:
    """Where the size of all clips goes in four weeks. Raises QueryError."""
    from voxledger.analytics.metrics import forecast as foretell

    settings = caller.site.settings
    with asked(caller, fresh=False) as reading:
        return foretell(reading, datetime.now(UTC), zone=settings.general.time_zone)


def expiring(caller: Caller) -> Expiring:
    """What is marked. Raises QueryError."""
    with asked(caller, fresh=False) as reading:
        clips, size = reading.tuples(SQL["grace"])[0]
        rows = reading.rows(SQL["expiring"], {"limit": _FEW}) if clips else []
        ids = [row["clip"] for row in rows]
        known = {row["clip"]: row for row in reading.rows(SQL["clips"], {"ids": ids})} if ids else {}
    return Expiring(clips, size, [{**known.get(row["clip"], {}), **row} for row in rows])


def drawn(found: Forecast, label: str) -> Markup:
    """The sizes of the weeks that are known as a line, and where it goes as a dashed one within its interval."""
    if found.expected is None or found.interval is None or len(found.history) < 2:
        return Markup("")
    steps = len(found.history) - 1 + found.weeks
    top = max(*found.history, found.interval.high, 1.0)

    def at(week: float, size: float) -> str:
        x = _EDGE + week * (_WIDTH - 2 * _EDGE) / steps
        return f"{x:.1f} {_HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * size / top:.1f}"

    last = len(found.history) - 1
    known = [at(week, size) for week, size in enumerate(found.history)]
    return Markup(
        '<svg class="forecast" viewBox="0 0 {w:.0f} {h:.0f}" role="img" aria-label="{label}">'
        '<path class="spark-base" d="M{e} {b}H{far}"/><path class="forecast-range" d="M{now}L{high}L{low}Z"/>'
        '<path class="spark-area" d="M{first} {b}L{line}L{end} {b}Z"/><path class="spark-line" d="M{line}"/>'
        '<path class="forecast-line" d="M{now}L{then}"/></svg>'
    ).format(
        w=_WIDTH, h=_HEIGHT, label=label, e=_EDGE, b=_HEIGHT - _EDGE, far=_WIDTH - _EDGE, now=known[-1],
        high=at(steps, found.interval.high), low=at(steps, found.interval.low), line="L".join(known),
        first=known[0].split()[0], end=at(last, 0).split()[0], then=at(steps, found.expected),
    )  # fmt: skip
