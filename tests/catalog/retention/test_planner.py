from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention import Plan, Policy, planner
from voxledger.catalog.retention.decisions import DECISIONS
from voxledger.catalog.retention.snapshot import COLUMNS, Snapshot
from voxledger.catalog.settings import ExpireRule
from voxledger.catalog.settings import Retention as Section

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCRATCH = ExpireRule(name="scratch", keep_for=3 * 86400, tag="scratch")
ALL = ExpireRule(name="all", keep_for=30 * 86400)


def row(name: str = "c", **facts: Any) -> dict[str, Any]:
    made = facts.get("created", NOW - 100 * DAY)
    return {
        "id": name, "created": made, "last_used": made, "actor": "ann", "session": "s", "emotion": "happy",
        "bucket": "b", "tags": [], "pinned": False, "pin_reason": None, "bytes": 10, "duration_us": 1000,
        "mark_rule": None, "delete_after": None, "purging": False, "used_since_mark": False,
    } | facts  # fmt: skip


def plan(rows: list[dict[str, Any]], *rules: ExpireRule, now: datetime = NOW, **section: Any) -> Plan:
    clips = pl.DataFrame(rows, schema=dict(COLUMNS), orient="row")
    return planner.make(Snapshot(position=1, clips=clips), Policy.of(Section(rules=rules, **section)), now)


def verdict(facts: dict[str, Any], *rules: ExpireRule, **section: Any) -> tuple[str, str]:
    found = plan([row(**facts)], *rules, **section).rows(*DECISIONS).to_dicts()[0]
    return found["decision"], found["reason"]


def test_a_clip_is_kept_with_the_time_that_is_left() -> None:
    decided = verdict({"created": NOW - 3 * DAY + timedelta(hours=28), "tags": ["scratch"]}, SCRATCH)
    assert decided == ("keep", "rule 'scratch' (tag scratch) keeps it for 3d: 1d 4h left")


def test_keep_for_counts_from_the_last_use() -> None:
    assert verdict({"last_used": NOW - 29 * DAY}, ALL)[0] == "keep"
    assert verdict({"last_used": NOW - 30 * DAY}, ALL)[0] == "mark"


def test_a_link_that_works_keeps_a_clip_and_one_that_ended_does_not() -> None:
    facts = {"last_used": NOW - 30 * DAY, "linked_until": NOW + timedelta(seconds=1)}
    assert verdict(facts, ALL)[0] == "keep"
    assert verdict(facts | {"linked_until": NOW}, ALL)[0] == "mark"
    found = plan([row(**facts)], ALL, grace=DAY.total_seconds())
    assert found.rows(*DECISIONS)["goes"][0] == facts["linked_until"] + DAY


def test_the_shortest_matching_rule_decides() -> None:
    facts = {"created": NOW - 10 * DAY, "tags": ["a", "scratch"]}
    assert verdict(facts, ALL, SCRATCH) == ("mark", "rule 'scratch' (tag scratch) kept it for 3d, which is over")
    assert verdict(facts | {"tags": ["a"]}, ALL, SCRATCH)[0] == "keep"


def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = ExpireRule(name="r", keep_for=1, tag="t", actor="ann", session="s", emotion="happy", bucket="b")
    assert verdict({"tags": ["t"]}, rule)[0] == "mark"
    for other in (
        {"tags": []},
        {"actor": "bob"},
        {"session": "x"},
        {"emotion": "sad"},
        {"bucket": "x"},
        {"actor": None},
    ):
        assert verdict({"tags": ["t"]} | other, rule) == ("keep", "no rule matches")


def test_a_pin_wins_and_gives_its_reason() -> None:
    assert verdict({"pinned": True, "pin_reason": "best take"}, ALL) == ("keep", "pinned: best take")
    assert verdict({"pinned": True}, ALL) == ("keep", "pinned")
    marked = {"delete_after": NOW - DAY, "mark_rule": "all"}
    assert verdict({"pinned": True} | marked, ALL) == ("unmark", "mark taken back: pinned")


def test_nothing_younger_than_the_minimum_age_is_marked() -> None:
    young = {"created": NOW - DAY, "last_used": NOW - DAY}
    rule = ExpireRule(name="r", keep_for=0)
    decision, reason = verdict(young, rule, minimum_age=2 * 86400)
    assert decision == "keep"
    assert (
        reason
        == "rule 'r' (every clip) kept it for 0s, which is over, but no clip younger than 2d is marked: 1d 0h left"
    )
    assert verdict(young, rule, minimum_age=86400)[0] == "mark"


def test_a_mark_waits_for_its_grace_and_then_the_clip_goes() -> None:
    waiting = {"delete_after": NOW + timedelta(minutes=90), "mark_rule": "all"}
    over = "rule 'all' (every clip) kept it for 30d, which is over"
    assert verdict(waiting, ALL) == ("wait", f"{over}; marked, 1h 30min of its grace left")
    before = waiting | {"mark_rule": "old"}
    assert verdict(before, ALL) == ("wait", f"{over}; marked by rule 'old', 1h 30min of its grace left")
    assert verdict({"delete_after": NOW}, ALL) == ("purge", f"{over}; so is its grace")


@pytest.mark.parametrize(
    ("facts", "rules", "reason"),
    [
        ({"used_since_mark": True}, [ALL], "used since it was marked"),
        (
            {"linked_until": NOW + 2 * DAY},
            [ALL],
            "rule 'all' (every clip) kept it for 30d, which is over, but a link to it works: 2d 0h left",
        ),
        ({}, [SCRATCH], "no rule matches"),
        ({}, [], "no rule matches"),
        ({}, [ExpireRule(name="x", keep_for=200 * 86400)], "rule 'x' (every clip) keeps it for 200d: 100d 0h left"),
    ],
)
def test_a_mark_is_taken_back_when_something_speaks_for_the_clip(
    facts: dict[str, Any], rules: list[ExpireRule], reason: str
) -> None:
    assert verdict({"delete_after": NOW - DAY} | facts, *rules) == ("unmark", f"mark taken back: {reason}")


def test_an_interrupted_purge_is_finished_whatever_the_policy_says() -> None:
    facts = {"purging": True, "delete_after": NOW - DAY, "pinned": True, "used_since_mark": True}
    for rules in ([], [ALL]):
        assert verdict(facts, *rules) == ("finish", "its deletion has begun and was not finished")


def test_the_plan_sums_up_by_rule_and_decision() -> None:
    made = plan(
        [row("a"), row("b", tags=["scratch"]), row("c", pinned=True), row("d", delete_after=NOW + DAY)], ALL, SCRATCH
    )
    assert {name: amount.clips for name, amount in made.amounts.items()} == {
        "finish": 0, "purge": 0, "mark": 2, "wait": 1, "unmark": 0, "keep": 1,
    }  # fmt: skip
    assert (made.live, made.condemned.clips, made.condemned.bytes, made.condemned.duration_us) == (4, 3, 30, 3000)
    assert [(rule.name, rule.condemned.clips, rule.amounts["keep"].clips) for rule in made.rules] == [
        ("scratch", 1, 0),
        ("all", 2, 1),
    ]


def test_json_holds_facts_and_the_clips_that_something_happens_to() -> None:
    import json

    made = plan([row("a"), row("b", pinned=True)], ALL)
    told = json.loads(made.to_json())
    assert told["plan"] == made.id
    assert told["amounts"]["mark"] == {"clips": 1, "bytes": 10, "duration_us": 1000}
    assert [(clip["id"], clip["goes"]) for clip in told["clips"]] == [("a", "2026-03-08T12:00:00+00:00")]
    assert len(json.loads(made.to_json(kept=True))["clips"]) == 2


def test_rows_put_only_what_was_asked_for_into_words() -> None:
    made = plan([row(f"c{number}") for number in range(9)], ALL)
    assert made.rows("mark", limit=3)["id"].to_list() == ["c0", "c1", "c2"]


def test_the_id_stays_while_the_situation_does() -> None:
    before = plan([row("a"), row("b", pinned=True)], ALL)
    assert before.id == plan([row("a"), row("b", pinned=True)], ALL, now=NOW + DAY).id
    assert before.id == plan([row("a", delete_after=NOW + DAY), row("b", pinned=True)], ALL).id
    assert before.id != plan([row("a"), row("b")], ALL).id
    assert before.id != plan([row("a"), row("b", pinned=True)], ALL, grace=1).id


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(PolicyError, match="no time zone"):
        plan([row()], ALL, now=datetime(2026, 1, 1))  # noqa: DTZ001  # that is the point


def test_an_empty_catalog_has_an_empty_plan() -> None:
    made = plan([], ALL, SCRATCH)
    assert made.idle
    assert made.rows().is_empty()
    assert not any(fuse.blown for fuse in made.fuses)


TIMES = st.timedeltas(min_value=timedelta(0), max_value=60 * DAY).map(lambda age: NOW - age)


@st.composite
def catalogs(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows = []
    for number in range(draw(st.integers(1, 12))):
        made = draw(TIMES)
        marked = draw(st.none() | st.timedeltas(-9 * DAY, 9 * DAY).map(lambda span: NOW + span))
        rows.append(
            row(
                f"c{number:02}",
                created=made,
                last_used=max(made, draw(TIMES)),
                tags=draw(st.lists(st.sampled_from(["scratch", "demo"]), unique=True)),
                actor=draw(st.sampled_from(["ann", "bob", None])),
                pinned=draw(st.booleans()),
                delete_after=marked,
                mark_rule="r0" if marked else None,
                used_since_mark=marked is not None and draw(st.booleans()),
            )
        )
    return rows


RULES = st.lists(
    st.builds(
        ExpireRule,
        name=st.just("r"),
        keep_for=st.floats(0, 50 * 86400),
        tag=st.sampled_from(["", "scratch", "other"]),
        actor=st.sampled_from(["", "ann"]),
    ),
    max_size=4,
).map(
    lambda rules: [ExpireRule(name=f"r{n}", keep_for=r.keep_for, tag=r.tag, actor=r.actor) for n, r in enumerate(rules)]
)


@given(rows=catalogs(), rules=RULES, minimum=st.integers(0, 30 * 86400), shuffled=st.randoms(use_true_random=False))
def test_whatever_the_policy(rows: list[dict[str, Any]], rules: list[ExpireRule], minimum: int, shuffled: Any) -> None:
    made = plan(rows, *rules, minimum_age=minimum)
    decided = {found["id"]: found["decision"] for found in made.rows(*DECISIONS).to_dicts()}
    assert len(decided) == len(rows)
    for clip in rows:
        decision, age = decided[clip["id"]], (NOW - clip["created"]).total_seconds()
        if clip["pinned"] or clip["used_since_mark"] or age < minimum or not rules:
            assert decision in ("keep", "unmark")
        if clip["delete_after"] is None:
            assert decision in ("keep", "mark")
        elif clip["delete_after"] > NOW:
            assert decision in ("wait", "unmark")
        assert (decision == "keep") <= (clip["delete_after"] is None)
    mixed = list(rows)
    shuffled.shuffle(mixed)
    again = plan(mixed, *rules, minimum_age=minimum)
    assert again.id == made.id
    assert again.rows(*DECISIONS).equals(made.rows(*DECISIONS))


@given(rows=catalogs(), limit=st.integers(1, 12), percent=st.floats(1, 100))
def test_fuses_are_blown_exactly_when_a_run_would_do_more(
    rows: list[dict[str, Any]], limit: int, percent: float
) -> None:
    made = plan(rows, ExpireRule(name="all", keep_for=0), minimum_age=0, max_clips=limit, max_percent=percent)
    most = max(made.amounts["mark"].clips, made.amounts["purge"].clips)
    assert any(fuse.blown for fuse in made.fuses) == (most > limit or 100 * most / len(rows) > percent)
