"""Moments as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from voxledger.catalog import QueryError
from voxledger.catalog.query.moment import read_end, read_moment

_NOW = datetime(2026, 3, 30, 12, tzinfo=UTC)
_BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", "2026-03-23T12:00:00+00:00"),
        (" 1d12h ", "2026-03-29T00:00:00+00:00"),
        ("0s", "2026-03-30T12:00:00+00:00"),
        ("2026-03-01T12:00:00Z", "2026-03-01T12:00:00+00:00"),
        ("2026-03-01 12:00+05:30", "2026-03-01T06:30:00+00:00"),
        ("2026-03-01T12:00:00.25", "2026-03-01T11:00:00.250000+00:00"),
        ("2026-03-01", "2026-03-01T22:59:59.999999+00:00"),
        ("2026-03-29", "2026-03-29T21:59:59.999999+00:00"),  # a day of 23 hours
    ],
)
def test_a_span_is_ago_a_day_is_its_end_and_a_bare_time_is_local(text: str, expected: str) -> None:
    assert read_moment(text, zone=_BERLIN, now=_NOW).isoformat() == expected


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "7", "20260301", "2026-13-01", "2026-02-30", "7 parsecs", "12:00", "9999-12-31", "2000y", "-7d"],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="is no moment: write"):
        read_moment(text, zone=_BERLIN, now=_NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30d", "2026-04-29T12:00:00+00:00"),
        ("2026-10-25", "2026-10-25T22:59:59.999999+00:00"),  # a day of 25 hours
        ("2026-10-25T12:00:00Z", "2026-10-25T12:00:00+00:00"),
    ],
)
def test_an_end_lies_ahead(text: str, expected: str) -> None:
    assert read_end(text, zone=_BERLIN, now=_NOW).isoformat() == expected


@pytest.mark.parametrize(
    ("text", "said"), [("2026-03-29", "is over already"), ("0s", "is over"), ("soon", "no moment")]
)
def test_an_end_that_is_over_is_refused(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=f"--until .*{said}"):
        read_end(text, zone=_BERLIN, now=_NOW)
