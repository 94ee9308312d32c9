"""A backtest finds what a simulation night by night finds: on traces, and on the log of a HOME."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.building import Parts, completed
from tests.catalog.retention.backtest.simulation import Happening, Rule, Simulated, State, simulate
from tests.soak import examples
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import (
    AudioAccessed,
    ClipMarked,
    ClipPinned,
    ClipRated,
    ClipRestored,
    ClipTagged,
    ClipUnmarked,
    ClipUnpinned,
    ClipUntagged,
    Fact,
    GenerationReused,
    HoldPlaced,
    HoldReleased,
    PurgeStarted,
    new_id,
)
from voxledger.catalog.retention.backtest import Asked, Backtest, Family, Outcome, backtest, replay, segments
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.policy.columns import columns
from voxledger.catalog.settings import Best, Budget, ExpireRule, KeepRule, Newest, Retention

START = datetime(2025, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
_QUICK = settings(
    max_examples=examples(30),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
_names = itertools.count()


def policy(*rules: ExpireRule, **section: Any) -> Policy:
    return Policy.of(Retention(**{"grace": 0.0, "minimum_age": 0.0, "rules": rules, **section}))


def every(days: float) -> ExpireRule:
    return ExpireRule(name="all", match="all", keep_for=days * 86400)


def on_trace(folder: Path, lines: list[tuple[str, int, int]], tried: Policy, **asked: Any) -> Backtest:
    """Lines are (id, hours since START, size)."""
    path = folder / f"trace-{next(_names)}.csv"
    told = "".join(f"{name},{(START + hours * HOUR).isoformat()},{size}\n" for name, hours, size in lines)
    path.write_text(f"id,time,size\n{told}")
    given = {"baselines": False, "worst": 1000, **asked}
    # A trace needs no log.
    return backtest(None, Asked(policies=(("tried", tried),), trace=path, **given))  # type: ignore[arg-type]


def same(outcome: Outcome, expected: Simulated) -> None:
    assert outcome.purges == len(expected.purges)
    assert outcome.clips == len({name for name, _ in expected.purges})
    assert sorted((regret.clip, regret.purged, regret.wanted) for regret in outcome.worst) == sorted(expected.regrets)
    assert outcome.regrets == len(expected.regrets)
    assert outcome.byte_days * 86400 == pytest.approx(expected.byte_seconds)


Keeps = tuple[tuple[KeepRule, ...], Callable[[State, datetime, dict[str, State]], bool]]
KEEPS: dict[str, Keeps] = {
    "nothing": ((), lambda clip, now, clips: False),
    "used within": (
        (KeepRule(name="k", played_within=4 * 86400.0),),
        lambda clip, now, clips: clip.plays > 0 and clip.used > now - 4 * DAY,
    ),
    "often used": ((KeepRule(name="k", match="plays >= 3"),), lambda clip, now, clips: clip.plays >= 3),
    "on some days": (
        (KeepRule(name="k", match="isodow(:now) = 3 AND bytes > 10"),),
        lambda clip, now, clips: now.isoweekday() == 3 and clip.bytes > 10,
    ),
    "newest": (
        (KeepRule(name="k", newest=Newest(n=2)),),
        lambda clip, now, clips: (
            sum((other.created, other.id) > (clip.created, clip.id) for other in clips.values()) < 2
        ),
    ),
    "best": (
        (KeepRule(name="k", match="bytes > 10", best=Best(n=1, by="plays DESC, bytes DESC")),),
        lambda clip, now, clips: (
            clip.bytes > 10
            and clip
            is max(
                (each for each in clips.values() if each.bytes > 10),
                key=lambda each: (each.plays, each.bytes, each.created, each.id),
            )
        ),
    ),
}


@_QUICK
@given(
    lines=st.lists(
        st.tuples(st.sampled_from("abcd"), st.integers(0, 30 * 24), st.sampled_from([5, 50, 500])),
        min_size=1,
        max_size=24,
    ),
    spans=st.tuples(st.sampled_from([0, 24, 72]), st.sampled_from([24, 49, 200])),
    grace=st.sampled_from([0, 36, 72]),
    minimum_age=st.sampled_from([0, 48, 144]),
    keep=st.sampled_from(sorted(KEEPS)),
)
def test_a_trace_is_replayed_as_night_by_night(
    tmp_path: Path, lines: list[tuple[str, int, int]], spans: tuple[int, int], grace: int, minimum_age: int, keep: str
) -> None:
    rules, keeps = KEEPS[keep]
    tried = policy(
        ExpireRule(name="small and new", match="bytes < 100 AND plays < 2", keep_for=spans[0] * 3600.0),
        ExpireRule(name="all", match="all", keep_for=spans[1] * 3600.0),
        keep=rules,
        grace=grace * 3600.0,
        minimum_age=minimum_age * 3600.0,
    )
    found = on_trace(tmp_path, lines, tried)
    sizes = {name: max(size for other, _, size in lines if other == name) for name, _, _ in lines}
    happenings: list[Happening] = []
    for name, hours, _ in sorted(lines, key=lambda line: line[1]):
        known = any(happening[2] == name for happening in happenings)
        happenings.append((START + hours * HOUR, "used" if known else "made", name, sizes[name]))
    small: Rule = (lambda clip, now: clip.bytes < 100 and clip.plays < 2, spans[0] * HOUR)
    expected = simulate(
        happenings, [small, (lambda clip, now: True, spans[1] * HOUR)], since=found.since, until=found.until, grace=grace * HOUR,
        minimum_age=minimum_age * HOUR, keeps=keeps,
    )  # fmt: skip
    same(found.policies[0], expected)
    assert found.uses == len(lines) - len(sizes)


def reused() -> GenerationReused:
    return GenerationReused(
        channel="api", features=(), engine="espeak", language="en", emotion="happy", text_length=5, duration_us=1,
        saved_us=1, actor_label="ann",
    )  # fmt: skip


def fact(kind: str, more: Any, time: datetime) -> Fact:
    """What is recorded for a happening of the simulation."""
    facts: dict[str, Callable[[], Fact]] = {
        "made": lambda: completed(bytes=more, voice_name="v"),
        "used": lambda: reused() if more else AudioAccessed(channel="python", purpose="play"),
        "link": lambda: AudioAccessed(channel="python", purpose="link", expires=more),
        "pinned": lambda: ClipPinned() if more else ClipUnpinned(),
        "pinned_until": lambda: ClipPinned(until=more),
        "tagged": lambda: ClipTagged(tag=more),
        "untagged": lambda: ClipUntagged(tag=more),
        "rating": lambda: ClipRated(rating=more),
        "held": lambda: (
            HoldPlaced(hold="h", kind="ordinary", until=None, review=None, reason="r")
            if more
            else HoldReleased(hold="h", kind="ordinary", reason=None)
        ),
        "held_until": lambda: HoldPlaced(hold="h", kind="ordinary", until=more, review=None, reason="r"),
        "purged": lambda: PurgeStarted(plan="p", rule="r", bucket="b"),
        "restored": lambda: ClipRestored(bucket="b", source="backup", plan=None, bytes=5, key="k"),
        "undone": lambda: ClipUnmarked(plan="p", reason="undone"),
    }
    return facts[kind]()


def recorded(parts: Parts, happenings: list[Happening]) -> list[Happening]:
    """Record them, each at its time. Gives the same with the ids of the clips."""
    ids: dict[str, str] = {}
    found = []
    for time, kind, name, more in happenings:
        clip = ids.setdefault(name, new_id())
        if kind == "undone":
            parts.record(ClipMarked(plan="p", rule="r", delete_after=time + DAY), clip, time=time)
        parts.record(fact(kind, more, time), clip, time=time)
        found.append((time, kind, clip, more))
    return found


_LATER = st.one_of(
    st.tuples(st.just("used"), st.booleans()),
    st.tuples(st.just("used"), st.booleans()),
    st.tuples(st.just("link"), st.integers(1, 5)),
    st.tuples(st.just("pinned"), st.booleans()),
    st.tuples(st.just("pinned_until"), st.integers(1, 9)),
    st.tuples(st.just("tagged"), st.sampled_from(["scratch", "final"])),
    st.tuples(st.just("untagged"), st.sampled_from(["scratch", "final"])),
    st.tuples(st.just("rating"), st.integers(1, 5)),
    st.tuples(st.just("held"), st.booleans()),
    st.tuples(st.just("held_until"), st.integers(1, 9)),
    st.tuples(st.just("purged"), st.none()),
    st.tuples(st.just("undone"), st.none()),
)


@_QUICK
@given(
    clips=st.lists(st.tuples(st.integers(0, 20 * 24), st.sampled_from([10, 1000])), min_size=1, max_size=4),
    later=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 25 * 24), _LATER), max_size=14),
    grace=st.sampled_from([0, 60]),
)
def test_the_log_is_replayed_as_night_by_night(
    tmp_path_factory: pytest.TempPathFactory,
    clips: list[tuple[int, int]],
    later: list[tuple[int, int, tuple[str, Any]]],
    grace: int,
) -> None:
    happenings: list[Happening] = [
        (START + hours * HOUR, "made", f"clip {place}", size) for place, (hours, size) in enumerate(clips)
    ]
    purged: set[str] = set()
    for number, (place, after, (kind, more)) in enumerate(sorted(later, key=lambda step: step[1])):
        if place >= len(clips):
            continue
        name, time = f"clip {place}", START + (clips[place][0] + after) * HOUR + number * timedelta(seconds=1)
        if name in purged and kind != "purged":
            continue  # what nobody has nobody uses
        if kind in ("link", "held_until", "pinned_until"):
            more = time + more * DAY
        if kind == "purged":
            # The second time is its return.
            kind = "restored" if name in purged else "purged"
            purged ^= {name}
        happenings.append((time, kind, name, more))
    happenings.sort(key=lambda happening: happening[0])
    parts = Parts(tmp_path_factory.mktemp("home") / "home")
    try:
        known = recorded(parts, happenings)
        tried = policy(
            ExpireRule(name="scratch", tag="scratch", keep_for=86400.0),
            ExpireRule(name="all", match="all", keep_for=5 * 86400.0),
            keep=(KeepRule(name="good", rated=4), KeepRule(name="often", match="plays + reuses >= 3")),
            grace=grace * 3600.0,
        )
        until = START + 60 * DAY
        asked = Asked(policies=(("tried", tried),), until=until, baselines=False, worst=1000)
        found = backtest(parts.keeper, asked)
    finally:
        parts.close()
    expected = simulate(
        known, [(lambda clip, now: "scratch" in clip.tags, DAY), (lambda clip, now: True, 5 * DAY)], since=found.since, until=until,
        grace=grace * HOUR, keeps=lambda clip, now, clips: clip.rating >= 4 or clip.plays >= 3,
    )  # fmt: skip
    same(found.policies[0], expected)


def test_the_best_of_each_group_stay_and_lose_their_place_to_better_ones(tmp_path: Path) -> None:
    # `b` is played more often from the tenth day on: until then `a` is the best.
    lines = [("a", 0, 1), ("a", 1, 1), ("b", 0, 1), *(("b", 240 + hour, 1) for hour in range(3)), ("z", 600, 1)]
    tried = policy(every(2), keep=(KeepRule(name="best", best=Best(n=1, by="plays DESC")),))
    found = on_trace(tmp_path, lines, tried)
    [regret] = found.policies[0].worst
    assert (regret.clip, regret.purged, regret.wanted, regret.uses) == ("b", START + 3 * DAY, START + 240 * HOUR, 3)
    assert found.policies[0].purges == 2  # and `a`, once it is no longer the best


def test_a_budget_lets_the_least_valuable_go_until_the_rest_fits(tmp_path: Path) -> None:
    lines = [("a", 0, 100), ("a", 1, 100), ("b", 2, 100), ("c", 3, 100), ("c", 4, 100), ("b", 240, 100)]
    tried = policy(budgets=(Budget(name="room", max_bytes=200, value="plays"),), grace=2 * 86400.0)
    outcome = on_trace(tmp_path, lines, tried).policies[0]
    # In the first night after they were made `b` is worth least; it goes when its grace is over.
    assert (outcome.purges, outcome.regrets, outcome.bytes) == (1, 1, 100)
    assert outcome.worst[0].purged == START + 3 * DAY


def test_a_budget_weighs_what_it_may_not_take(tmp_path: Path) -> None:
    lines = [("a", 0, 100), ("b", 2, 100), ("z", 240, 1)]
    keep = (KeepRule(name="b stays", match="id::VARCHAR = 'b'"),)
    tried = policy(budgets=(Budget(name="room", match="bytes > 1", max_bytes=150),), keep=keep)
    outcome = on_trace(tmp_path, lines, tried).policies[0]
    assert (outcome.purges, outcome.bytes) == (1, 100)


def test_a_budget_of_each_group_lets_go_in_the_groups_that_are_too_large_only(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "home")
    try:
        ann = [parts.clip(time=START + hour * HOUR, bytes=100) for hour in range(3)]
        for hour in range(2):
            parts.clip(actor="bob", time=START + hour * HOUR, bytes=100)
        for clip in ann:
            parts.record(AudioAccessed(channel="python", purpose="play"), clip, time=START + 20 * DAY)
        each = Budget(name="each", max_bytes=200, per=("actor",), value="epoch(created)")
        asked = Asked(policies=(("each", policy(budgets=(each,))),), until=START + 30 * DAY, baselines=False)
        outcome = backtest(parts.keeper, asked).policies[0]
    finally:
        parts.close()
    # All five weigh 500: a budget for all of them would take more, and the clips of bob too.
    assert [(regret.clip, regret.purged) for regret in outcome.worst] == [(ann[0], START + 2 * DAY)]
    assert {outcome.clips, outcome.bytes} == {1, 100}


def test_groups_of_a_trace_are_those_of_its_columns(tmp_path: Path) -> None:
    lines = [("a", 0, 100), ("b", 1, 100), ("c", 2, 50), ("z", 240, 1)]
    budget = Budget(name="each", max_bytes=100, per=("bytes",), value="epoch(created)")
    assert on_trace(tmp_path, lines, policy(budgets=(budget,))).policies[0].bytes == 100
    with pytest.raises(PolicyError, match="a trace has no voice"):
        on_trace(tmp_path, lines, policy(budgets=(replace(budget, per=("voice",)),)))


def test_the_suggestion_saves_most_with_the_regret_that_is_allowed(tmp_path: Path) -> None:
    lines = [
        (f"{number}", hours, 100) for number in range(20) for hours in (number, number + (5 if number % 2 else 12) * 24)
    ]
    family = Family.parse("keep_for=1d:30d:8")
    found = on_trace(tmp_path, [*lines, ("end", 60 * 24, 1)], policy(every(1)), family=family, max_regret=0.5)
    allowed = [outcome for outcome in found.policies if outcome.regret_share <= 0.5]
    assert found.suggested is not None
    assert found.suggested.byte_days == max(outcome.byte_days for outcome in allowed)
    strict = on_trace(tmp_path, [*lines, ("end", 60 * 24, 1)], policy(every(1)), max_regret=0.0)
    assert strict.suggested is None
    assert any("no policy deletes anything" in note for note in strict.notes)


def test_the_longer_a_family_keeps_the_less_it_saves_and_regrets(tmp_path: Path) -> None:
    lines = [(f"{number}", number + gap * gap * 8, 100) for number in range(15) for gap in range(8)]
    found = on_trace(tmp_path, lines, policy(every(1)), family=Family.parse("keep_for=1d:14d:6"))
    members = [outcome for outcome in found.policies if outcome.keep_for is not None]
    assert [outcome.byte_days for outcome in members] == sorted((each.byte_days for each in members), reverse=True)
    assert [outcome.regrets for outcome in members] == sorted((each.regrets for each in members), reverse=True)


def test_a_family_of_one_rule_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    tried = policy(ExpireRule(name="small", match="bytes < 10", keep_for=86400.0), every(5))
    lines = [("a", 0, 1), ("b", 0, 100), ("z", 2000, 100)]
    found = on_trace(tmp_path, lines, tried, family=Family.parse("keep_for=20d:40d:2", "all"))
    assert [(outcome.name, outcome.purges) for outcome in found.policies] == [
        ("tried", 2), ("all: keep_for 20d", 2), ("all: keep_for 40d", 2),
    ]  # fmt: skip
    with pytest.raises(PolicyError, match="no rule 'large'"):
        on_trace(tmp_path, lines, tried, family=Family.parse("keep_for=20d:40d", "large"))


@pytest.mark.parametrize(
    "text", ["keep_for=7d", "keep_for=9d:7d", "grace=1d:2d", "keep_for=1d:9d:1", "keep_for=0s:9d", "keep_for=x:y"]
)
def test_a_family_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="family"):
        Family.parse(text)


def test_what_the_past_does_not_tell_is_refused(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "home")
    try:
        tried = policy(every(1), keep=(KeepRule(name="k", match="held"),))
        with pytest.raises(PolicyError, match="nothing to replay"):
            backtest(parts.keeper, Asked(policies=(("tried", policy(every(1))),)))
        parts.clip()
        with pytest.raises(PolicyError, match="cannot look at held"):
            backtest(parts.keeper, Asked(policies=(("tried", tried),)))
        with pytest.raises(PolicyError, match="has no rules"):
            backtest(parts.keeper, Asked(policies=(("tried", policy()),)))
    finally:
        parts.close()


def test_every_other_column_that_a_policy_may_name_is_replayed(tmp_path: Path) -> None:
    named = sorted(
        columns().keys() - {"held", "holds", "legal_holds", "held_until", "changed", "path", "consent_withdrawn"}
    )
    match = " AND ".join(f"({name} IS NULL OR {name} IS NOT NULL)" for name in named)
    parts = Parts(tmp_path / "home")
    try:
        clip = parts.clip(time=START, tags=("draft",))
        parts.record(ClipRated(rating=4), clip, time=START + DAY)
        tried = policy(ExpireRule(name="all", match=match, keep_for=86400.0))
        asked = Asked(policies=(("tried", tried),), until=START + 9 * DAY, baselines=False)
        assert backtest(parts.keeper, asked).policies[0].purges == 1
    finally:
        parts.close()


def test_two_policies_are_told_apart_by_what_they_do(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "home")
    try:
        clip = parts.clip(time=START, bytes=1000)
        parts.record(AudioAccessed(channel="python", purpose="play"), clip, time=START + 40 * DAY)
        asked = Asked(policies=(("strict", policy(every(10))), ("mild", policy(every(50)))), until=START + 60 * DAY)
        strict, mild = backtest(parts.keeper, asked).policies
    finally:
        parts.close()
    # The mild one never comes to it: the use on the fortieth day is before its night.
    assert [(strict.name, strict.purges, strict.regrets), (mild.name, mild.purges, mild.regrets)] == [
        ("strict", 2, 1),
        ("mild", 0, 0),
    ]
    assert strict.worst[0].clip == clip
    assert strict.byte_days == pytest.approx(1000 * (29 + 9) / 1)


def test_where_every_night_is_too_much_the_same_is_found_at_fewer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [(f"{number}", number * 7 + gap * gap * 9, 50 + number) for number in range(12) for gap in range(8)]
    tried = policy(
        ExpireRule(name="soon", match="created < :now - to_days(9)", keep_for=86400.0),
        every(4),
        keep=(KeepRule(name="k", match="bytes < 60", played_within=3 * 86400.0),),
    )
    whole = on_trace(tmp_path, lines, tried).policies[0]
    monkeypatch.setattr(segments, "MOST", 1)
    halved = on_trace(tmp_path, lines, tried).policies[0]
    assert halved.notes
    assert replace(halved, notes=()) == whole
    # Ranks are looked for in some nights only, and budgets likewise: it says so.
    monkeypatch.setattr(replay, "_LOOKS", 1)
    coarse = policy(
        every(4),
        keep=(KeepRule(name="best", best=Best(n=1)),),
        budgets=(Budget(name="b", max_bytes=100, value="plays"),),
    )
    assert len(on_trace(tmp_path, lines, coarse).policies[0].notes) == 2
