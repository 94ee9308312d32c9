from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from tests.catalog_tables import DAY, NOW, Tables, id_of
from tests.soak import examples
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention import Plan, Policy
from voxledger.catalog.retention.planning.amounts import DECISIONS
from voxledger.catalog.retention.planning.planner import make
from voxledger.catalog.settings import Best, Budget, ExpireRule, KeepRule, Newest, Prices
from voxledger.catalog.settings import Retention as Section

SCRATCH = ExpireRule(name="scratch", keep_for=3 * 86400, tag="scratch", allow_unseen=True)
ALL = ExpireRule(name="all", keep_for=30 * 86400, match="all")
TABLES = Tables()


def row(name: str = "c", **facts: Any) -> dict[str, Any]:
    return {"name": name, "created": NOW - 100 * DAY} | facts


def plan(
    rows: list[dict[str, Any]], *rules: ExpireRule, now: datetime = NOW, prices: Prices | None = None, **section: Any
) -> Plan:
    TABLES.clear()
    for facts in rows:
        TABLES.add(**facts)
    return make(TABLES.reading, Policy.of(Section(rules=rules, **section), prices=prices), now, every=True)


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


def test_the_first_matching_rule_decides() -> None:
    facts = {"created": NOW - 10 * DAY, "tags": ["a", "scratch"]}
    assert verdict(facts, ALL, SCRATCH)[0] == "keep"
    assert verdict(facts, SCRATCH, ALL) == ("mark", "rule 'scratch' (tag scratch) kept it for 3d, which is over")
    assert verdict(facts | {"tags": ["a"]}, SCRATCH, ALL)[0] == "keep"


def test_all_conditions_of_a_rule_must_hold() -> None:
    rule = ExpireRule(
        name="r", keep_for=1, tag="t", actor="ann", session="s", emotion="happy", bucket="b", allow_unseen=True
    )
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
    rule = ExpireRule(name="r", keep_for=0, match="all")
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
        (
            {},
            [ExpireRule(name="x", keep_for=200 * 86400, match="all")],
            "rule 'x' (every clip) keeps it for 200d: 100d 0h left",
        ),
    ],
)
def test_a_mark_is_taken_back_when_something_speaks_for_the_clip(
    facts: dict[str, Any], rules: list[ExpireRule], reason: str
) -> None:
    assert verdict({"delete_after": NOW - DAY} | facts, *rules) == ("unmark", f"mark taken back: {reason}")


def test_an_interrupted_purge_is_finished_whatever_the_policy_says() -> None:
    facts = {"purge_started": NOW - DAY, "delete_after": NOW - DAY, "pinned": True, "used_since_mark": True}
    for rules in ([], [ALL]):
        assert verdict(facts, *rules) == ("finish", "its deletion has begun and was not finished")


def test_the_plan_sums_up_by_rule_and_decision() -> None:
    made = plan(
        [row("a"), row("b", tags=["scratch"]), row("c", pinned=True), row("d", delete_after=NOW + DAY)], SCRATCH, ALL
    )
    assert {name: amount.clips for name, amount in made.amounts.items()} == {
        "finish": 0, "purge": 0, "mark": 2, "wait": 1, "unmark": 0, "keep": 1,
    }  # fmt: skip
    assert (made.live, made.condemned.clips, made.condemned.bytes, made.condemned.duration_us) == (4, 3, 30, 3000)
    assert [(rule.name, rule.condemned.clips, rule.amounts["keep"].clips) for rule in made.rules] == [
        ("scratch", 1, 0),
        ("all", 2, 0),
    ]


def test_json_holds_facts_and_the_clips_that_something_happens_to() -> None:
    made = plan([row("a"), row("b", pinned=True)], ALL)
    told = json.loads(made.to_json())
    assert told["plan"] == made.id
    assert told["amounts"]["mark"] == {"clips": 1, "bytes": 10, "duration_us": 1000}
    assert [(clip["id"], clip["goes"]) for clip in told["clips"]] == [
        (id_of("a"), "2026-03-08T12:00:00+00:00"),
        (id_of("b"), None),
    ]


def test_rows_put_only_what_was_asked_for_into_words() -> None:
    made = plan([row(f"c{number}") for number in range(9)], ALL)
    assert made.rows("mark", limit=3)["id"].to_list() == [id_of("c0"), id_of("c1"), id_of("c2")]


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


def test_a_legal_hold_beats_a_withdrawal_and_that_beats_a_pin_a_hold_and_keep_rules() -> None:
    TABLES.voice("v", withdrawn=True)
    facts = {"voice_sha256": "v", "pinned": True, "holds": 1}
    keep = (KeepRule(name="k", match="all"),)
    assert verdict(facts, keep=keep, withdrawn="delete") == ("mark", "the consent of its voice was withdrawn")
    assert verdict(facts | {"legal_holds": 1}, keep=keep, withdrawn="delete") == ("keep", "a legal hold keeps it")
    assert verdict(facts, ALL, keep=keep) == ("keep", "a hold keeps it")
    assert verdict(facts | {"holds": 0}, ALL, keep=keep) == ("keep", "pinned")
    assert "1 clips speak with a voice whose consent was withdrawn" in plan([row(**facts)], ALL).warnings[-1]


def test_a_hold_keeps_until_it_ends() -> None:
    assert verdict({"holds": 1, "held_until": NOW + DAY}, ALL)[0] == "keep"
    assert verdict({"holds": 1, "held_until": NOW}, ALL)[0] == "mark"


@pytest.mark.parametrize(
    ("rule", "facts", "others"),
    [
        (KeepRule(name="k", rated=4), {"rating": 4}, {"rating": 3}),
        (KeepRule(name="k", tag="t", allow_unseen=True), {"tags": ["t"]}, {}),
        (KeepRule(name="k", match="speech_rate > 3"), {"speech_rate": 4.0}, {"speech_rate": 2.0}),
        (KeepRule(name="k", played_within=86400.0 * 40), {"plays": 1, "last_used": NOW - 39 * DAY}, {"last_used": NOW - 39 * DAY}),
        (KeepRule(name="k", consent_scope="film"), {"voice_sha256": "film"}, {"voice_sha256": "radio"}),
    ],
)  # fmt: skip
def test_a_keep_rule_keeps_what_matches(rule: KeepRule, facts: dict[str, Any], others: dict[str, Any]) -> None:
    TABLES.voice("film", scope="film")
    TABLES.voice("radio", scope="radio")
    assert verdict(facts, ALL, keep=(rule,)) == (
        "keep",
        f"keep rule 'k' ({Policy.of(Section(keep=(rule,))).keep[0].words}) keeps it",
    )
    assert verdict(others, ALL, keep=(rule,))[0] == "mark"


def test_the_newest_of_each_group_stay() -> None:
    rows = [row(f"c{number}", created=NOW - (50 - number) * DAY, session="ab"[number % 2]) for number in range(6)]
    made = plan(rows, ALL, keep=(KeepRule(name="new", newest=Newest(n=2, per=("session",))),))
    assert made.ids("mark") == [id_of("c0"), id_of("c1")]
    assert [(rule.name, rule.keeps.clips, rule.saves.clips) for rule in made.keep] == [("new", 4, 4)]
    everywhere = plan(rows, ALL, keep=(KeepRule(name="new", newest=Newest(n=1), session="a"),))
    assert everywhere.ids("keep") == [id_of("c4")]


def test_the_best_of_each_voice_and_emotion_stay_and_what_nobody_rated_comes_last() -> None:
    rows = [
        row("a", voice="v", rating=5), row("b", voice="v", rating=5, plays=3), row("c", voice="v", plays=9),
        row("d", voice="v", emotion="sad"), row("e", voice="v", emotion="sad", suspect=["short"]), row("f", voice="w"),
    ]  # fmt: skip
    best = KeepRule(name="best", best=Best(n=1, per=("voice", "emotion")))
    made = plan(rows, ALL, keep=(best,))
    assert made.ids("keep") == [id_of("b"), id_of("d"), id_of("f")]
    two = KeepRule(name="best", best=Best(n=2, per=("voice", "emotion"), by="plays DESC"))
    assert plan(rows, ALL, keep=(two,)).ids("mark") == [id_of("a")]


def test_a_budget_lets_the_least_valuable_go_until_it_is_met() -> None:
    rows = [row(f"c{number}", plays=number, bytes=100) for number in range(10)]
    made = plan(rows, budgets=(Budget(bucket="b", max_bytes=650),))
    assert made.ids("mark") == [id_of(f"c{number}") for number in range(4)]
    assert [(budget.stands, budget.goes, budget.lacks) for budget in made.budgets] == [(1000, 400, 0)]
    assert made.rows("mark")["reason"][0] == "budget 'b' (bucket b) is exceeded, and it is worth the least"


def test_a_budget_never_takes_what_something_speaks_for_and_says_what_it_lacks() -> None:
    kept = [
        row("a", pinned=True, bytes=100), row("b", holds=1, bytes=100), row("c", bytes=100, created=NOW),
        row("d", bytes=100, linked_until=NOW + DAY), row("e", bytes=100, rating=5),
    ]  # fmt: skip
    section: dict[str, Any] = {
        "keep": (KeepRule(name="rated", rated=5),),
        "budgets": (Budget(match="all", max_bytes=50),),
    }
    made = plan([*kept, row("f", bytes=100)], **section)
    assert made.ids("mark") == [id_of("f")]
    assert made.budgets[0].lacks == 450


def test_clips_that_are_worth_the_same_go_in_the_order_of_the_log() -> None:
    rows = [row(f"c{number}", bytes=100) for number in range(9)]
    made = plan(rows[::-1], budgets=(Budget(match="all", max_bytes=500, value="1"),))
    assert made.ids("mark") == [id_of(f"c{number}") for number in range(5, 9)]


def test_what_a_rule_condemns_counts_as_gone_for_a_budget_and_one_budget_for_the_next() -> None:
    rows = [row(f"c{number}", bytes=100, emotion="sad" if number < 3 else "happy") for number in range(10)]
    rule = ExpireRule(name="sad", keep_for=86400, emotion="sad")
    first = Budget(name="one", match="all", max_bytes=600)
    second = Budget(name="two", match="all", max_bytes=600)
    made = plan(rows, rule, budgets=(first, second))
    assert [(budget.stands, budget.goes) for budget in made.budgets] == [(700, 100), (600, 0)]
    assert made.condemned.clips == 4


def test_a_budget_of_money_is_one_of_bytes() -> None:
    rows = [row(f"c{number}", bytes=10**9) for number in range(10)]
    made = plan(rows, budgets=(Budget(match="all", max_cost=0.5),), prices=Prices(gb_month=0.1))
    assert (made.condemned.clips, made.cost_micro) == (5, 500_000)


def test_a_mark_that_was_undone_gives_its_time_anew() -> None:
    assert verdict({"undone": NOW - 29 * DAY}, ALL)[0] == "keep"
    assert verdict({"undone": NOW - 31 * DAY}, ALL)[0] == "mark"
    assert verdict({"restored": NOW - 29 * DAY}, ALL)[0] == "keep"


@pytest.mark.parametrize(
    ("recorded", "lag", "why"), [(2 * DAY, 0 * DAY, "was set back"), (-DAY, DAY, "retention.max_lag")]
)
def test_where_usage_is_unknown_nothing_is_condemned_and_nothing_unmarked(
    recorded: timedelta, lag: timedelta, why: str
) -> None:
    TABLES.clear()
    TABLES.add("a")
    TABLES.add("b", delete_after=NOW - DAY, mark_rule="all")
    TABLES.recorded(NOW + recorded)
    policy = Policy.of(Section(rules=(ALL,)))
    made = make(TABLES.reading, policy, NOW, lag=lag)
    assert why in (made.unknown or "")
    assert made.idle
    assert {name: amount.clips for name, amount in made.amounts.items() if amount.clips} == {"keep": 1, "wait": 1}
    TABLES.clear()
    TABLES.add("a")
    assert make(TABLES.reading, policy, NOW).condemned.clips == 1


def test_a_word_that_no_clip_ever_had_is_a_problem_unless_it_may_be_unseen() -> None:
    rows = [row("a", tags=["scratch"], session="night")]
    rules = [
        ExpireRule(name="a", keep_for=1, tag="scrach"),
        ExpireRule(name="b", keep_for=1, match="actor IN ('zoe', 'ann')"),
        ExpireRule(name="c", keep_for=1, session="nigth", emotion="happy", bucket="b"),
    ]
    said = plan(rows, *rules, keep=(KeepRule(name="d", match="'mastr' IN tags"),)).problems
    assert said == (
        "rule 'a' names tag 'scrach', which no clip ever had; did you mean 'scratch'? (or say allow_unseen = true)",
        "rule 'b' names actor 'zoe', which no clip ever had (or say allow_unseen = true)",
        "rule 'c' names session 'nigth', which no clip ever had; did you mean 'night'? (or say allow_unseen = true)",
        "keep rule 'd' names tag 'mastr', which no clip ever had (or say allow_unseen = true)",
    )
    assert plan(rows, *(structs.replace(rule, allow_unseen=True) for rule in rules)).problems == ()
    gone = [row("a", tags=["scratch"], purged=NOW - DAY, purge_started=NOW - DAY)]
    assert plan(gone, ExpireRule(name="a", keep_for=1, tag="scratch")).problems == ()


def test_a_keep_rule_that_keeps_nothing_is_pointed_out() -> None:
    [warning] = plan([row("a")], SCRATCH, keep=(KeepRule(name="k", rated=5),)).warnings
    assert warning == "keep rule 'k' (rated 5 or better) keeps nothing at present that no keep rule before it keeps"


def test_a_rule_behind_one_for_every_clip_is_pointed_out() -> None:
    other = structs.replace(ALL, name="other")
    [warning, *more] = plan([row("a", tags=["scratch"])], ALL, SCRATCH, other).warnings
    assert warning == "rule 'scratch' never decides: rule 'all' before it matches every clip; put 'all' behind it"
    assert [said[:12] for said in more] == ["rule 'other'"]
    assert plan([row("a")], SCRATCH, ALL).warnings == ()


def test_a_keep_rule_that_asks_for_nothing_keeps_every_clip_and_is_pointed_out() -> None:
    made = plan([row("a"), row("b", bytes=100)], ALL, keep=(KeepRule(name="k"),))
    assert (made.condemned.clips, made.keep[0].keeps.clips, made.problems) == (0, 2, ())
    [warning] = made.warnings
    assert warning.startswith("keep rule 'k' (every clip) has no condition and keeps every clip")
    assert plan([row("a")], ALL, keep=(KeepRule(name="k", match="all"),)).warnings == ()


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
        match=st.just("bytes >= 0"),
        allow_unseen=st.just(value=True),
    ),
    max_size=4,
).map(lambda rules: [structs.replace(r, name=f"r{n}") for n, r in enumerate(rules)])


@settings(max_examples=examples(25), deadline=None)
@given(rows=catalogs(), rules=RULES, minimum=st.integers(0, 30 * 86400), shuffled=st.randoms(use_true_random=False))
def test_whatever_the_policy(rows: list[dict[str, Any]], rules: list[ExpireRule], minimum: int, shuffled: Any) -> None:
    made = plan(rows, *rules, minimum_age=minimum)
    decided = {found["id"]: found["decision"] for found in made.rows(*DECISIONS).to_dicts()}
    assert len(decided) == len(rows)
    for clip in rows:
        decision, age = decided[id_of(clip["name"])], (NOW - clip["created"]).total_seconds()
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


@settings(max_examples=examples(15), deadline=None)
@given(rows=catalogs(), limit=st.integers(1, 12), percent=st.floats(1, 100))
def test_fuses_are_blown_exactly_when_a_run_would_do_more(
    rows: list[dict[str, Any]], limit: int, percent: float
) -> None:
    made = plan(
        rows, ExpireRule(name="all", keep_for=0, match="all"), minimum_age=0, max_clips=limit, max_percent=percent
    )
    most = max(made.amounts["mark"].clips, made.amounts["purge"].clips)
    assert any(fuse.blown for fuse in made.fuses) == (most > limit or 100 * most / len(rows) > percent)


def test_a_budget_may_be_one_for_each_group() -> None:
    rows = [row(f"a{number}", actor="ann", bytes=100) for number in range(5)]
    rows += [row(f"b{number}", actor="bob", bytes=100) for number in range(2)]
    rows += [row(f"c{number}", actor="cy", bytes=100, pinned=True) for number in range(4)]
    made = plan(rows, budgets=(Budget(name="each", match="all", per=("actor",), max_bytes=250),))
    assert made.ids("mark") == [id_of("a0"), id_of("a1"), id_of("a2")]
    assert [(one.stands, one.goes, one.lacks, one.groups) for one in made.budgets] == [(1100, 300, 150, 2)]
    again = plan(
        rows,
        budgets=(
            Budget(name="first", actor="ann", max_bytes=400),
            Budget(name="each", match="all", per=("actor",), max_bytes=250),
        ),
    )
    assert [(one.goes, one.lacks) for one in again.budgets] == [(100, 0), (200, 150)]


def test_a_condition_that_some_clip_does_not_fit_is_told_as_a_mistake_of_the_policy() -> None:
    rule = ExpireRule(name="r", keep_for=1, match="session::INTEGER > 3")
    assert plan([row("a", session="4")], rule).condemned.clips == 1
    with pytest.raises(PolicyError, match=r"cannot be evaluated on the clips.*TRY_CAST") as refused:
        plan([row("a", session="secret")], rule)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "match", ["ratings / plays > 0.5", "ratings / plays IS NOT NULL", "bytes % plays > 0 OR bytes // plays > 0"]
)
def test_dividing_by_nothing_matches_no_clip(match: str) -> None:
    rule = ExpireRule(name="r", keep_for=1, match=match)
    assert plan([row("a"), row("b", ratings=1)], rule).condemned.clips == 0
    assert plan([row("c", ratings=2, plays=3)], rule).condemned.clips == 1


def test_what_nobody_can_keep_takes_no_place_among_the_best() -> None:
    TABLES.voice("gone", withdrawn=True)
    rows = [row("a", rating=5, missing=NOW - DAY), row("b", rating=4), row("c", rating=5, voice_sha256="gone")]
    best = KeepRule(name="best", best=Best(n=1, by="rating DESC"))
    made = plan(rows, ALL, keep=(best,), withdrawn="delete")
    assert "keep rule 'best'" in made.rows("keep")["reason"][0]
    assert made.ids("keep") == [id_of("b")]


def test_clips_whose_emotion_was_lent_by_a_withdrawn_voice_go_with_it() -> None:
    TABLES.voice("lent", withdrawn=True)
    assert verdict({"emotion_sha256": "lent"}, withdrawn="delete")[0] == "mark"


def test_a_budget_spares_what_was_undone_or_restored_as_if_it_were_new() -> None:
    budgets = (Budget(match="all", max_bytes=1),)
    for facts in ({"undone": NOW - DAY}, {"restored": NOW - DAY}):
        assert verdict(facts, budgets=budgets)[0] == "keep"
    assert verdict({"undone": NOW - 3 * DAY}, budgets=budgets)[0] == "mark"


def test_a_tag_that_was_taken_off_was_seen() -> None:
    rule = ExpireRule(name="r", keep_for=1, match="list_has_any(tags, ['old', 'mastr'])")
    TABLES.clear()
    TABLES.untagged(TABLES.add("a"), "old")
    assert [
        problem.partition(",")[0] for problem in make(TABLES.reading, Policy.of(Section(rules=(rule,))), NOW).problems
    ] == ["rule 'r' names tag 'mastr'"]


def test_braces_in_a_text_of_the_policy_stay_what_they_are() -> None:
    rule = ExpireRule(name="r", keep_for=1, match="session = '{keeper} {rule}'", allow_unseen=True)
    assert plan([row("a", session="{keeper} {rule}"), row("b")], rule).ids("mark") == [id_of("a")]


def test_a_rule_that_matches_every_clip_there_is_is_pointed_out() -> None:
    assert plan([row("a")], ExpireRule(name="r", keep_for=1, match="plays >= 0")).warnings == (
        "rule 'r' (plays >= 0) matches every clip that there is",
    )
    assert plan([row("a")], ALL).warnings == ()


def test_quality_may_be_asked_for_beside_consent() -> None:
    best = KeepRule(name="best", best=Best(n=1, by="quality DESC"))
    rows = [row("a", suspect=["short"]), row("b")]
    assert plan(rows, ALL, keep=(best,), withdrawn="delete").ids("keep") == [id_of("b")]
    rule = ExpireRule(name="r", keep_for=1, match="quality < 0.7 AND consent_scope IS NULL")
    assert plan(rows, rule).ids("mark") == [id_of("a")]
