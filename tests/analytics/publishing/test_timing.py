"""When a report is due: once a week, whatever clocks and machines do."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from voxledger.analytics.publishing import Due, Publication, Weekly, due
from voxledger.analytics.publishing.deciding import following
from voxledger.analytics.report import Week
from voxledger.catalog.errors import SettingsError

BERLIN = "Europe/Berlin"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def weekly(text: str = "Mon 06:00", zone: str = BERLIN) -> Weekly:
    found = Weekly.parse(text, zone)
    assert found is not None
    return found


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[arg-type, misc]


def found(now: datetime, published: dict[str, Publication] | None = None, *, when: Weekly | None = None,
          begun: datetime | None = LONG_AGO, is_late: Callable[[Week, Publication], bool] = lambda *_: False,
          is_early: Callable[[Week, Publication], bool] = lambda *_: False,
          announce_revisions: bool = False) -> list[Due]:  # fmt: skip
    return list(
        due(when or weekly(), now, begun=begun, published=published or {}, is_late=is_late, is_early=is_early,
            announce_revisions=announce_revisions)
    )  # fmt: skip


def made(when: datetime, *weeks: str) -> dict[str, Publication]:
    return {week: Publication(revision=1, time=when, through=9) for week in weeks}


def test_it_is_read_as_people_write_it() -> None:
    assert str(weekly("Mon 06:00")) == str(weekly(" monday 6:00 ")) == "Mon 06:00 Europe/Berlin"
    assert Weekly.parse("", BERLIN) is None
    for wrong in ("06:00", "Mon", "Mon 25:00", "Mo 06:00", "Mon 6", "every Mon 06:00"):
        with pytest.raises(SettingsError, match=r"report\.at = .* is no weekday and time, such as 'Mon 06:00'"):
            Weekly.parse(wrong, BERLIN)


def test_a_week_is_due_at_the_first_such_time_after_it_is_over() -> None:
    week = Week.parse("2026-W46", BERLIN)
    assert weekly("Mon 06:00").at(week) == at(2026, 11, 16, 5)
    assert weekly("Sun 06:00").at(week) == at(2026, 11, 22, 5)
    assert weekly("Mon 00:00").at(week) == week.end
    assert [str(row.week) for row in found(at(2026, 11, 16, 4, 59))][-1] == "2026-W45"
    assert [str(row.week) for row in found(at(2026, 11, 16, 5))][-1] == "2026-W46"


def test_in_the_hour_that_comes_twice_it_is_due_once() -> None:
    when, week = weekly("Sun 02:30"), Week.parse("2026-W42", BERLIN)
    first, second = at(2026, 10, 25, 0, 30), at(2026, 10, 25, 1, 30)
    assert when.at(week) == first
    assert str(found(first, when=when)[-1].week) == "2026-W42"
    earlier = [str(week.previous(back)) for back in range(20)]
    assert found(second, made(first, *earlier), when=when) == []
    assert following(when, second) == at(2026, 11, 1, 1, 30)


def test_in_the_hour_that_never_comes_it_is_due_once_after_it() -> None:
    when, week = weekly("Sun 02:30"), Week.parse("2026-W12", BERLIN)
    assert when.at(week) == at(2026, 3, 29, 1, 30), "03:30 by the new time"
    assert str(when.newest(at(2026, 3, 29, 1, 29))) == "2026-W11"
    assert str(when.newest(at(2026, 3, 29, 1, 30))) == "2026-W12"


def test_after_a_fortnight_both_weeks_are_due_and_only_the_newest_is_told_to_people() -> None:
    rows = found(at(2026, 11, 25, 12), made(at(2026, 11, 9, 5), "2026-W45", *(f"2026-W{n}" for n in range(30, 45))))
    assert [(str(row.week), row.announced) for row in rows] == [("2026-W46", False), ("2026-W47", True)]


def test_after_years_eight_weeks_are_caught_up() -> None:
    rows = found(at(2026, 11, 25, 12))
    assert [str(row.week) for row in rows] == [f"2026-W{number}" for number in range(40, 48)]
    assert [row.announced for row in rows] == [False] * 7 + [True]


def test_a_quiet_week_is_due_but_not_one_before_there_was_anything() -> None:
    rows = found(at(2026, 11, 25, 12), begun=at(2026, 11, 10))
    assert [str(row.week) for row in rows] == ["2026-W46", "2026-W47"]
    assert found(at(2026, 11, 25, 12), begun=None) == []


def test_late_events_make_a_revision_at_most_one_a_day() -> None:
    published = made(at(2026, 11, 23, 5), *(f"2026-W{number}" for number in range(40, 48)))

    def late(week: Week, last: Publication) -> bool:
        assert last.through == 9
        return str(week) == "2026-W47"

    assert found(at(2026, 11, 24, 4, 59), published, is_late=late) == []
    rows = found(at(2026, 11, 24, 5), published, is_late=late)
    assert [(str(row.week), row.reason, row.announced) for row in rows] == [("2026-W47", "late events", False)]
    assert found(at(2026, 11, 24, 5), published, is_late=late, announce_revisions=True)[0].announced
    long_after = at(2027, 2, 1, 12)
    assert not [row for row in found(long_after, published, is_late=late) if row.reason == "late events"]


def test_what_was_told_too_early_is_due_as_if_nothing_had_been_told() -> None:
    published = made(at(2026, 11, 26, 5), *(f"2026-W{number}" for number in range(40, 48)))
    rows = found(
        at(2026, 11, 23, 5),
        published,
        is_late=lambda week, _: str(week) in ("2026-W46", "2026-W47"),
        is_early=lambda *_: True,
    )
    assert [(str(row.week), row.reason, row.announced) for row in rows] == [
        ("2026-W46", "over", False),
        ("2026-W47", "over", True),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_whoever_wakes_and_whenever_each_week_is_reported_once_and_never_before_it_is_over(seed: int) -> None:
    draw = random.Random(seed)
    when = weekly(
        draw.choice(("Mon 00:00", "Sun 02:30", "Sun 23:59", "Wed 03:00")), draw.choice((BERLIN, "America/Santiago"))
    )
    now, end = at(2025, 9, 1), at(2026, 12, 1)
    published: dict[str, Publication] = {}
    while now < end:
        for row in found(now, published, when=when, begun=at(2025, 9, 1)):
            assert str(row.week) not in published
            assert now >= row.since >= row.week.end
            published |= made(now, str(row.week))
        now += timedelta(minutes=draw.choice((10, 30, 600, 60 * 24 * 15)))
    last = when.newest(now - timedelta(days=15))
    expected, week = set(), last
    while week.end > at(2025, 9, 1):
        expected.add(str(week))
        week = week.previous()
    assert expected <= set(published)
