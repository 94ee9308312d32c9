"""The span: a period that somebody asks about, and the one before, with which it is compared."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from voxledger.analytics.metrics import MetricError
from voxledger.analytics.report import InvalidWeek, Week
from voxledger.catalog.query.moment import moment_of

_FIRST = datetime(1900, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)
"""What lies outside of these is a slip; and far outside, calendars end."""


class Span:
    """From `start` to `stop`, and from `before` to `before_stop`. All aware, in UTC; `zone` is that of days and weeks."""

    def __init__(self, zone: str, start: datetime, stop: datetime, before: datetime, before_stop: datetime) -> None:
        self.zone = zone
        self.start = start
        self.stop = stop
        self.before = before
        self.before_stop = before_stop

    @classmethod
    def asked(
        cls, zone: str, week: str | None, since: str | None, until: str | None, *, options: tuple[str, str, str]
    ) -> Span:
        """A week, or what lies between two moments; without either the running week. `options` are what the three are called.

        Raises MetricError for what is no period, InvalidWeek, QueryError.
        """
        a_week, begins, ends = options
        now = datetime.now(UTC)
        if since is None and until is not None:
            raise MetricError(f"{ends} alone is no period: say {begins} as well")
        if since is not None:
            if week is not None:
                raise MetricError(f"{a_week} and {begins} are two periods: give one of them")
            start = moment_of(begins, since, zone, day="start") or now
            stop = moment_of(ends, until, zone) or now
            if start >= stop:
                raise MetricError(
                    f"the period ends at {stop:%Y-%m-%d %H:%M} UTC, before it begins at {start:%Y-%m-%d %H:%M} UTC"
                )
            if start < _FIRST or stop > _LAST:
                raise MetricError(f"a period lies between the years {_FIRST.year} and {_LAST.year}")
            return cls(zone, start, stop, start - (stop - start), start)
        running = Week.of(now, zone)
        wanted = running if week is None else Week.parse(week, zone)
        if wanted.start.astimezone(UTC) > now:
            raise InvalidWeek(f"week {wanted} has not begun; the newest one is {running}")
        closed = wanted.closed(now)
        stop, before_stop = (wanted.end, wanted.start) if closed else (now, wanted.a_week_before(now))
        moments = (wanted.start, stop, wanted.previous().start, before_stop)
        return cls(zone, *(moment.astimezone(UTC) for moment in moments))

    def __str__(self) -> str:
        start, stop = (moment.astimezone(ZoneInfo(self.zone)) for moment in (self.start, self.stop))
        return f"{start:%Y-%m-%d %H:%M} to {stop:%Y-%m-%d %H:%M} ({self.zone})"
