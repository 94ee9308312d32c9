"""Traces in all their forms, and what is wrong with some."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention.backtest import Asked, Backtest, Family, backtest
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import ExpireRule, Retention

START = datetime(2025, 3, 1, tzinfo=UTC)
LINES = [("a", 0, 100), ("b", 1, 200), ("a", 20, 100), ("c", 25, 300), ("b", 40, 200)]
"""Ids with days since START and sizes."""


def replay(path: Path, match: str = "all", **asked: Any) -> Backtest:
    rule = ExpireRule(name="rule", match=match, keep_for=10 * 86400.0)
    tried = Policy.of(Retention(grace=0.0, minimum_age=0.0, rules=(rule,)))
    # A trace needs no log.
    return backtest(None, Asked(policies=(("tried", tried),), trace=path, **asked))  # type: ignore[arg-type]


def written(path: Path, time: Callable[[datetime], object], *, header: str = "id,time,size\n", mark: str = ",") -> Path:
    lines = [mark.join(map(str, (name, time(START + timedelta(days=day)), size))) for name, day, size in LINES]
    path.write_text(header + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (lambda time: int(time.timestamp()), "seconds"),
        (lambda time: f"{time.timestamp():.3f}", "seconds"),
        (lambda time: int(time.timestamp() * 1e3), "milliseconds"),
        (lambda time: int(time.timestamp() * 1e6), "microseconds"),
        (lambda time: int(time.timestamp() * 1e9), "nanoseconds"),
        (lambda time: time.isoformat(), "ISO 8601"),
        (lambda time: f"{time:%Y-%m-%d %H:%M:%S}", "ISO 8601"),
    ],
)
def test_times_are_understood_however_they_are_written(
    tmp_path: Path, time: Callable[[datetime], object], said: str
) -> None:
    found = replay(written(tmp_path / "trace.csv", time), baselines=False)
    assert said in found.source
    assert (found.since, found.clips, found.uses) == (START, 3, 2)
    assert found.policies[0].regrets == 2
    assert [regret.purged for regret in found.policies[0].worst] == [START + timedelta(days=day) for day in (11, 12)]


def test_header_delimiter_and_packing_are_detected(tmp_path: Path) -> None:
    plain = written(tmp_path / "trace.csv", lambda time: int(time.timestamp()))
    expected = replay(plain, baselines=False).policies
    for name, content in (
        ("gz", gzip.compress(plain.read_bytes())),
        ("zst", zstandard.ZstdCompressor().compress(plain.read_bytes())),
        ("bare", plain.read_bytes().split(b"\n", 1)[1]),
        ("tabs", plain.read_bytes().replace(b",", b"\t")),
        ("names", plain.read_bytes().replace(b"id,time,size", b"obj_id,timestamp,bytes")),
        ("quoted", plain.read_bytes().replace(b"\na,", b'\n"a",')),
    ):
        path = tmp_path / f"trace.{name}"
        path.write_bytes(content)
        assert replay(path, baselines=False).policies == expected, name


def test_columns_may_stand_in_any_order_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("op,size,time,id\nGET,5,1700000000,a\nGET,5,1702000000,a\n")
    found = replay(path, baselines=False)
    assert (found.clips, found.uses) == (1, 1)


def test_lines_in_no_order_are_sorted(tmp_path: Path) -> None:
    path = written(tmp_path / "trace.csv", lambda time: int(time.timestamp()))
    expected = replay(path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *reversed(lines[1:])]))
    assert replay(path) == expected


def test_the_same_trace_gives_the_same_answer(tmp_path: Path) -> None:
    path = written(tmp_path / "trace.csv", lambda time: time.isoformat())
    family = Family.parse("keep_for=1d:30d:6")
    assert replay(path, family=family) == replay(path, family=family)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("id,time,size\n", "holds no access"),
        ("id,when,weight\na,1,2\n", "line 1: the header has no column for time, size"),
        ("a,1700000000\n", "line 1: 2 columns"),
        ("id,time,size\na,1700000000,5\nb,1700000001,-5\n", "line 3: a size of -5 is out of bounds"),
        ("id,time,size\na,1700000000,5\nb,soon,5\n", "line 3: 'soon' is no time"),
        ("id,time,size\na,1700000000,5\nb,1700000000,much\n", "line 3: 'much' is no size"),
        ("id,time,size\na,1700000000,5\n,1700000000,5\n", "line 3: there is no id"),
        ("id,time,size\na,1700000000,\n", "line 2: '' is no size"),
        ("id,time,size\na,1700000000,5\nb,1700000000\n", "line 3"),
        ("id,time,size\na,1700000000,5\nb,9e300,5\n", "line 3: '9e300' is no time"),
        ("id,time,time,size\na,1,1,5\n", "line 1: the header names a column twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(content)
    with pytest.raises(PolicyError) as error:
        replay(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_or_broken_is_said(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        replay(tmp_path / "nothing.csv")
    broken = tmp_path / "broken.gz"
    broken.write_bytes(gzip.compress(b"id,time,size\na,1,1\n" * 5000)[:60])
    with pytest.raises(PolicyError, match="cannot be read"):
        replay(broken)


def test_a_policy_names_only_what_a_trace_has(tmp_path: Path) -> None:
    path = written(tmp_path / "trace.csv", lambda time: time.isoformat())
    assert (
        replay(path, "id::VARCHAR = 'a' AND plays = 0 AND bytes < 1000 AND created < :now", baselines=False).clips == 3
    )
    with pytest.raises(PolicyError, match="a trace has no actor, emotion"):
        replay(path, "actor = 'ann' AND emotion = 'sad'")
    with pytest.raises(PolicyError, match="a trace has no rating"):
        replay(path, "rating >= 4")


def test_since_and_until_cut_a_period_out(tmp_path: Path) -> None:
    path = written(tmp_path / "trace.csv", lambda time: time.isoformat())
    found = replay(path, since=START + timedelta(days=10), until=START + timedelta(days=30), baselines=False)
    assert (found.nights, found.uses, found.clips) == (20, 1, 3)
    with pytest.raises(PolicyError, match="is empty"):
        replay(path, since=START, until=START - timedelta(days=1))
