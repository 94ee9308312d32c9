"""`voxledger retention backtest`, on a HOME: table, JSON and chart, and what it refuses."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.building import NOBODY, Parts
from voxledger.catalog.events import AudioAccessed
from voxledger.catalog.retention.backtest.chart import write
from voxledger.catalog.retention.backtest.outcomes import Backtest, Outcome
from voxledger.cli import main

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 26, tzinfo=UTC)
POLICY = """
[[retention.rules]]
name = "happy ones"
match = "emotion = 'happy'"
keep_for = "10d"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two clips of long ago: one was wanted again after seven weeks, the other never."""
    made = tmp_path / "home"
    parts = Parts(made)
    now = datetime.now(UTC)
    wanted = parts.clip(time=now - 100 * DAY, bytes=1_000_000)
    parts.clip(time=now - 100 * DAY, bytes=3_000_000)
    parts.record(AudioAccessed(channel="web", purpose="play"), wanted, time=now - 50 * DAY)
    parts.close()
    (made / "voxledger.toml").write_text(
        f'[store]\nendpoint = "{NOBODY}"\n[prices]\ngb_month = 3.0\n[retention]\n{POLICY}'
    )
    return made


def command(home: Path, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(home), "retention", "backtest", *arguments])
    return int(ended.value.code or 0)


def test_the_table_says_what_would_have_been_saved_and_missed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert command(home, "--family", "keep_for=10d:80d:2", "--max-regret", "1%") == 0
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "2 clips, 1 use, 0.04 USD" in said
    assert "suggested keep_for 80d" in said
    assert "age only, 80d" in said


def test_a_policy_of_ones_own_file_is_tried_on_the_past(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    strict = home / "strict.toml"
    strict.write_text(POLICY.replace("10d", "1d") + '[retention]\ngrace = "1d"\n')
    assert command(home, "--policy", str(strict), "--policy", str(home / "strict.toml"), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [outcome["name"] for outcome in found["policies"]] == [str(strict)] * 2
    outcome = found["policies"][0]
    assert (outcome["purges"], outcome["clips"], outcome["bytes"], outcome["regrets"]) == (3, 2, 4_000_000, 1)
    # Made on day 0, marked on day 2 (two days is the minimum age), deleted a night later; used on day 50.
    assert outcome["byte_days"] == pytest.approx(1_000_000 * (47 + 47.5) + 3_000_000 * 97, rel=0.01)
    assert outcome["saved_cost"] == pytest.approx(outcome["byte_days"] / 30 / 1e9 * 3, rel=1e-6)
    assert {outcome["kind"] for outcome in found["baselines"]} == {"age", "lru", "lfu"}


def test_charts_are_drawn_as_the_file_is_called(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("chart.html", "chart.svg", "chart.png"):
        assert command(home, "--family", "keep_for=10d:80d:3", "--out", str(tmp_path / name), "--json") == 0
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "chart.html").read_text()
    for text in (page, (tmp_path / "chart.svg").read_text()):
        for shown in (
            "Saved: share of byte-days",
            "Regret: share of uses",
            ">80d<",
            "least recently used",
            "allowed: 1.00%",
        ):
            assert shown in text
    assert "Suggested: <strong>keep_for 80d</strong>" in page
    assert "http" not in page.replace("http://www.w3.org", ""), "a page asks nobody for anything"


def test_the_label_of_what_is_allowed_lies_on_no_curve(tmp_path: Path) -> None:
    steep = [(0.1, 0.002), (0.5, 0.005), (0.9, 0.0101), (0.97, 0.012)]  # at the right it crosses what is allowed, 1 %
    flat = [(0.02, 0.0102), (0.1, 0.0105), (0.5, 0.012)]  # and this one at the left
    for points, at in ((steep, "start"), (flat, "end")):
        write(drawn(points), tmp_path / "chart.svg")
        [*rim, label] = re.findall(r"<text[^>]*>allowed: 1.00%</text>", (tmp_path / "chart.svg").read_text())
        assert f'text-anchor="{at}"' in label
        assert len(rim) == 1  # in the colour of the page, below it


def drawn(points: list[tuple[float, float]]) -> Backtest:
    """A backtest of policies that saved and missed so much."""
    policies = tuple(
        Outcome(
            name="p", kind="policy", keep_for=86400.0 * (number + 1), purges=1, clips=1, bytes=1, bytes_at_end=1, byte_days=1.0,
            saved_share=saved, saved_cost=1.0, regrets=1, regret_share=regret, regret_clips=1, regret_bytes=1,
        )
        for number, (saved, regret) in enumerate(points)
    )  # fmt: skip
    return Backtest(
        source="the log", since=NOW - DAY, until=NOW, nights=1, clips=1, uses=1, byte_days=1.0, cost=1.0, currency="USD",
        max_regret=0.01, policies=policies, baselines=(), suggestion=None, notes=(),
    )  # fmt: skip


def test_what_cannot_be_replayed_is_one_line(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, said in (
        (["--out", str(tmp_path / "chart.pdf")], "the ending says how"),
        (["--out", str(tmp_path / "nowhere" / "chart.svg")], "there is no folder"),
        (["--max-regret", "much"], "is no share"),
        (["--rule", "happy ones"], "give --family too"),
        (["--policy", str(tmp_path / "none.toml")], "is not there"),
        (["--trace", str(tmp_path / "none.csv")], "a trace has no emotion"),
        (["--since", "2020-01-01", "--until", "2019-01-01"], "is empty"),
    ):
        assert command(home, *arguments) == 1
        assert said in capsys.readouterr().err.replace("\n", " ")


def test_a_trace_is_replayed_in_place_of_the_log(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    trace.write_text("id,time,size\na,0,100\nb,0,100\na,8640000,100\n")
    (home / "voxledger.toml").write_text("")
    assert command(home, "--trace", str(trace), "--family", "keep_for=10d:90d:2", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["source"] == "trace.csv (times are seconds since 1970)"
    assert [(outcome["purges"], outcome["regrets"]) for outcome in found["policies"]] == [(2, 1), (2, 1)]
