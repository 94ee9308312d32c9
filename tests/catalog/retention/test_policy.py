from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from voxledger.catalog import settings
from voxledger.catalog.errors import ExpressionError, PolicyError, SettingsError
from voxledger.catalog.retention.policy import Policy, Window, compiled
from voxledger.catalog.retention.policy.expressions import boolean, numeric, ordering
from voxledger.catalog.settings import Best, Budget, ExpireRule, KeepRule, Newest, Prices, Retention

DAY = 86400.0
EVERY = ExpireRule(name="a", keep_for=DAY, match="all")


def test_two_rules_of_one_name_are_refused_whatever_they_are() -> None:
    with pytest.raises(PolicyError, match="2 retention rules are called 'a'"):
        Policy.of(Retention(rules=(EVERY, EVERY)))
    with pytest.raises(PolicyError, match="2 retention rules are called 'a'"):
        Policy.of(Retention(rules=(EVERY,), keep=(KeepRule(name="a", rated=3),)))


def test_a_rule_without_a_name_is_refused() -> None:
    with pytest.raises(PolicyError, match="rule number 1 has no name"):
        Policy.of(Retention(rules=(ExpireRule(name=" ", keep_for=1, match="all"),)))


@pytest.mark.parametrize("span", [math.inf, math.nan, 101 * 365 * DAY, -1.0])
def test_a_span_outside_a_century_is_refused(span: float) -> None:
    with pytest.raises(PolicyError, match=r"keep_for of retention rule 'a' = .* is not between"):
        Policy.of(Retention(rules=(ExpireRule(name="a", keep_for=span, match="all"),)))
    with pytest.raises(PolicyError, match=r"retention\.grace"):
        Policy.of(Retention(grace=span))


def test_every_clip_is_meant_only_where_it_says_so() -> None:
    with pytest.raises(PolicyError, match='would match every clip; if that is meant, write match = "all"'):
        Policy.of(Retention(rules=(ExpireRule(name="a", keep_for=DAY),)))
    with pytest.raises(PolicyError, match="leaves no room for other conditions"):
        Policy.of(Retention(rules=(ExpireRule(name="a", keep_for=DAY, match="all", tag="x"),)))
    for match in ("true", "1 = 1", ":now > TIMESTAMPTZ '2020-01-01'"):
        with pytest.raises(PolicyError, match="names no column"):
            Policy.of(Retention(rules=(ExpireRule(name="a", keep_for=DAY, match=match),)))


def test_a_budget_needs_a_limit_and_money_needs_a_price() -> None:
    with pytest.raises(PolicyError, match="has no limit; give it max_bytes or max_cost"):
        Policy.of(Retention(budgets=(Budget(bucket="b"),)))
    with pytest.raises(PolicyError, match=r"prices\.gb_month is 0"):
        Policy.of(Retention(budgets=(Budget(max_cost=1.0),)), prices=Prices(gb_month=0.0))


def test_the_hash_changes_with_what_expires_but_not_with_the_fuses() -> None:
    policy = Policy.of(Retention(rules=(EVERY,)))
    same = Retention(rules=(EVERY,), max_clips=1, max_percent=1, max_bytes=1, purge_window="01:00-02:00")
    assert policy.hash == Policy.of(same).hash
    keep = KeepRule(name="k", best=Best(n=1))
    others = [
        Retention(rules=(ExpireRule(name="a", keep_for=2 * DAY, match="all"),)),
        Retention(rules=(ExpireRule(name="a", keep_for=DAY, tag="x"),)),
        Retention(rules=(EVERY,), grace=1),
        Retention(rules=(EVERY,), minimum_age=1),
        Retention(rules=(EVERY,), keep=(keep,)),
        Retention(rules=(EVERY,), keep=(KeepRule(name="k", best=Best(n=2)),)),
        Retention(rules=(EVERY,), budgets=(Budget(max_bytes=1),)),
        Retention(rules=(EVERY,), withdrawn="delete"),
        Retention(),
    ]
    assert len({policy.hash, *(Policy.of(other).hash for other in others)}) == 10


def test_rules_are_put_into_words() -> None:
    rules = (EVERY, ExpireRule(name="b", keep_for=1, tag="t", actor="o'brien", match="plays  =\n0"))
    keep = (KeepRule(name="k", rated=4, newest=Newest(n=3, per=("voice", "emotion"))),)
    made = Policy.of(Retention(rules=rules, keep=keep))
    assert [rule.title for rule in made.rules] == [
        "rule 'a' (every clip)",
        "rule 'b' (tag t, actor o'brien, plays = 0)",
    ]
    assert set(made.rules[1].condition.words) == {("tags", "t"), ("actor", "o'brien")}
    assert made.keep[0].words == "rated 4 or better, newest 3 of each voice and emotion"


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        ("plays = 0 AND playz > 3", "no column playz; did you mean plays", 14),
        ("created < now()", r"now\(\) is refused.*write :now", 10),
        ("created < current_timestamp", "current_timestamp is refused", 10),
        ("random() > 0.5", r"random\(\) is not among the functions", 0),
        ("plays > (SELECT 1)", "another SELECT is refused", None),
        ("'x' = ANY(tags)", r"ANY\(\) is refused.*write list_contains\(tags, 'x'\)", 0),
        ("'x' = ANY(SELECT 'x')", "another SELECT is refused", 0),
        ("sqrt(plays) > 1", "not among the functions", 0),
        ("sum(plays) > 1", "not among the functions", 0),
        ("row_number() OVER () > 1", "a window is refused", None),
        ("plays", "gives BIGINT, not yes or no", None),
        ("rating = 'four'", "Could not convert", None),
        ("plays = 0 AND", "no expression", None),
        ("plays = = 0", "syntax error", 8),
        ("a) OR (b", "no expression", None),
        ("plays > 1; DROP TABLE clips", "no expression", None),
        ("plays > $1", "the only one there is is :now", 8),
        ("list_filter(tags, lambda t: t = 'x') = []", "not among the functions", 0),
        ("path = 'x' FROM clips", "no single expression", None),
        (" ", "is empty", None),
    ],
)  # fmt: skip
def test_an_expression_that_is_not_right_is_refused_with_its_place(text: str, message: str, offset: int | None) -> None:
    with pytest.raises(ExpressionError, match=message) as refused:
        boolean(text)
    assert offset is None or refused.value.offset == offset


def test_now_is_replaced_only_where_it_stands_for_a_time() -> None:
    found = boolean("name = ':now' AND created::DATE < :now::DATE -- :now")
    assert "':now'" in found.sql
    assert found.sql.count("$now") == 1


def test_an_order_and_a_number_are_checked_likewise() -> None:
    assert (
        ordering("rating DESC, if(plays > 1, 2, 3)").sql
        == '(rating) DESC NULLS LAST, ("if"((plays > 1), 2, 3)) ASC NULLS LAST'
    )
    assert numeric("plays / 2").columns == {"plays"}
    for text in ("rating DESC LIMIT 1", "random()", "", "nothing"):
        with pytest.raises(ExpressionError):
            ordering(text)
    with pytest.raises(ExpressionError, match="not a number"):
        numeric("name")
    with pytest.raises(PolicyError, match=r"best\.per names 'colour', which is no column"):
        Policy.of(Retention(keep=(KeepRule(name="k", best=Best(n=1, per=("colour",))),)))


def test_all_problems_are_found_at_once_each_with_its_place() -> None:
    section = Retention(
        rules=(EVERY, ExpireRule(name="b", keep_for=1, match="playz = 0")),
        budgets=(Budget(bucket="c"),),
        purge_window="25:00",
    )
    policy, problems = compiled(section)
    assert policy is None
    assert [(problem.place, problem.offset) for problem in problems] == [
        (("rules", 1, "match"), 0), (("budgets", 0, "name"), None), (("purge_window",), None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("clock", "is_open"), [("00:59", False), ("01:00", True), ("04:59", True), ("05:00", False), ("12:00", False)]
)
def test_a_window_is_open_by_the_clock_of_its_zone(clock: str, is_open: bool) -> None:
    zone = ZoneInfo("Europe/Berlin")
    window = Window.parse("01:00-05:00", zone)
    now = datetime.fromisoformat(f"2026-07-01T{clock}:00").replace(tzinfo=zone).astimezone(UTC)
    assert window.is_open(now) is is_open
    assert window.is_open(window.opens(now))
    over_midnight = Window.parse("05:00-01:00", zone)
    assert over_midnight.is_open(now) is not is_open
    assert over_midnight.is_open(over_midnight.opens(now))


@pytest.mark.parametrize("text", ["1-5", "25:00-26:00", "01:00-01:00", "01:00", "a:b-c:d", "01:60-02:00"])
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match=r"retention\.purge_window"):
        Policy.of(Retention(purge_window=text))


POLICY = """
[retention]
grace = "3d"
max_bytes = "5GB"
[[retention.rules]]
name = "scratch"
match = "list_contains(tags, 'scratch')"
keep_for = "3d"
[[retention.keep]]
name = "best"
best = { n = 3, per = ["voice", "emotion"], by = "rating DESC" }
played_within = "1w"
[[retention.budgets]]
bucket = "indextts-audio"
max_bytes = "500GB"
"""


def test_a_policy_may_have_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "retention.toml").write_text(POLICY)
    (tmp_path / "voxledger.toml").write_text('[retention]\npolicy = "retention.toml"\nmax_clips = 7\n')
    loaded = settings.load(tmp_path, environ={"VOXLEDGER_RETENTION_GRACE": "9d"})
    found = loaded.settings.retention
    assert (found.grace, found.max_clips, found.max_bytes) == (9 * DAY, 7, 5 * 10**9)
    assert (found.rules[0].keep_for, found.keep[0].played_within, found.budgets[0].max_bytes) == (
        3 * DAY,
        7 * DAY,
        500 * 10**9,
    )
    assert found.keep[0].best == Best(n=3, per=("voice", "emotion"), by="rating DESC")
    assert loaded.origin["retention.rules"] == "retention.toml"
    assert settings.read_policy(tmp_path / "retention.toml", Retention(max_clips=3)).max_clips == 3


def test_what_stands_in_two_files_or_in_the_wrong_one_is_refused(tmp_path: Path) -> None:
    main, own = tmp_path / "voxledger.toml", tmp_path / "retention.toml"
    main.write_text('[retention]\npolicy = "retention.toml"\ngrace = "1d"\n')
    with pytest.raises(SettingsError, match="is not there"):
        settings.load(tmp_path, environ={})
    own.write_text(POLICY)
    with pytest.raises(SettingsError, match=r"retention\.grace stands in voxledger\.toml and in"):
        settings.load(tmp_path, environ={})
    main.write_text('[retention]\npolicy = "retention.toml"\n')
    own.write_text("[store]\nbandwidth = 1\n")
    with pytest.raises(SettingsError):
        settings.load(tmp_path, environ={})
