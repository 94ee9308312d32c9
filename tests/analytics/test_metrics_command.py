"""`voxledger metrics`, as people and scripts use it."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from tests.building import Parts
from voxledger.analytics.metrics import METRICS

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Five weeks, a clip more each week, in two emotions and two languages."""
    parts = Parts(tmp_path_factory.mktemp("studio") / "home")
    for week in range(5):
        for number in range(week + 1):
            parts.clip(
                time=MONDAY + timedelta(weeks=week - 4, hours=number), emotion="happy" if number % 2 else "sad",
                language="de" if number % 3 else "en",
            )  # fmt: skip
    yield parts
    parts.close()


@pytest.fixture
def run(command: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    return partial(command, "metrics")


def test_all_metrics_are_listed(run):
    listed = json.loads(run("--json")[1])
    assert [one["name"] for one in listed] == list(METRICS)
    assert "What the period cost" in run()[1]


def test_a_week_stands_beside_the_one_before(run):
    found = json.loads(run("clips", "stored_clips", "--week", "2026-W45", "--json")[1])
    assert (found["start"], found["units"]["clips"]) == ("2026-11-02T00:00:00+00:00", "count")
    assert found["rows"][0] == {"metric": "clips", "value": 5, "before": 4}
    assert found["rows"][1]["before"] is None
    shown = run("clips", "reuse_rate", "cost_micro", "--week", "2026-W45")[1]
    assert "2026-11-02 00:00 to 2026-11-09 00:00 (UTC)" in shown
    assert "USD" in shown


def test_groups_and_weeks_are_told_apart_and_the_query_is_printed(run, studio: Parts):
    window = ("--since", "2026-10-05", "--until", "2026-11-08")
    groups = json.loads(run("clips", *window, "--by", "emotion", "--by", "language", "--limit", "2", "--json")[1])[
        "rows"
    ]
    assert len(groups) == 2
    assert groups[0]["clips"] >= groups[1]["clips"] > 0
    weeks = json.loads(run("clips", *window, "--every", "week", "--json")[1])["rows"]
    assert [row["week"] for row in weeks] == ["2026-10-05", "2026-10-12", "2026-10-19", "2026-10-26", "2026-11-02"]
    query = run("clips", *window, "--sql")[1]
    assert studio.rows(query) == [{"clips": sum(row["clips"] for row in weeks)}]
    assert "--limit" in run("clips", *window, "--by", "emotion", "--limit", "1")[1]
    shown = run("clips", *window, "--every", "week")[1]
    assert ("2026-10-19" in shown, "(from" in shown, "(until" in shown) == (True, False, False)
    shown = run("clips", "--since", "2026-10-07T12:00", "--until", "2026-11-05", "--every", "week")[1]
    assert ("2026-10-05 (from 10-07 12:00)" in shown, "2026-11-02 (until 11-05 23:59)" in shown) == (True, True)
    assert run("clips", "--since", "8d", "--every", "week")[1].count("(until now)") == 1
    assert "Nothing from" in run("clips", "--since", "2020-01-01", "--until", "2020-01-02", "--by", "emotion")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("clpis",), "did you mean 'clips'"),
        (("clips", "--by", "emotoin"), "did you mean 'emotion'"),
        (("clips", "--week", "2999-W01"), "has not begun"),
        (("clips", "--week", "2026-W45", "--since", "3d"), "give one of them"),
        (("clips", "--until", "3d"), "say --since as well"),
        (("clips", "--since", "2d", "--until", "3d"), "before it begins"),
        (("clips", "--by", "emotion", "--limit", "0"), "--limit 0 shows nothing"),
    ],
)
def test_a_wrong_question_gets_one_line(run, arguments, said):
    code, _, complaint = run(*arguments)
    assert code == 1
    assert said in complaint
    assert len(complaint.strip().splitlines()) == 1
