"""The planner against a plain reading of the policy, clip by clip, as docs/retention.md tells it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.catalog_tables import DAY, NOW, Tables, id_of
from tests.soak import examples
from voxledger.catalog.retention import Policy
from voxledger.catalog.retention.planning.amounts import DECISIONS
from voxledger.catalog.retention.planning.planner import make
from voxledger.catalog.settings import Budget, ExpireRule, KeepRule, Newest
from voxledger.catalog.settings import Retention as Section

TABLES = Tables()
MINIMUM = 2 * DAY
AGES = st.integers(0, 40).map(lambda days: NOW - days * DAY)
CLIPS = st.lists(
    st.fixed_dictionaries({
        "created": AGES, "used": AGES, "tags": st.sampled_from([[], ["scratch"], ["master"], ["scratch", "master"]]),
        "actor": st.sampled_from(["ann", "bob", None]), "rating": st.sampled_from([None, 2, 5]), "plays": st.integers(0, 3),
        "bytes": st.integers(1, 9), "pinned": st.booleans(), "holds": st.sampled_from([0, 0, 0, 1]),
        "legal_holds": st.sampled_from([0, 0, 0, 1]), "missing": st.sampled_from([None, None, NOW]),
        "mark": st.sampled_from([None, NOW - DAY, NOW + DAY]), "used_since_mark": st.booleans(),
        "linked": st.sampled_from([None, NOW + DAY]),
        "undone": st.sampled_from([None, None, NOW - DAY, NOW - 20 * DAY]),
    }),
    min_size=1, max_size=10,
)  # fmt: skip
RULES = st.lists(
    st.builds(
        dict,
        tag=st.sampled_from(["", "scratch", "master"]),
        actor=st.sampled_from(["", "ann"]),
        days=st.integers(0, 35),
    ),
    max_size=3,
)
KEEP = st.lists(st.builds(dict, rated=st.sampled_from([0, 4]), n=st.integers(1, 2), per=st.booleans()), max_size=2)
LIMITS = st.lists(st.tuples(st.sampled_from(["", "ann"]), st.integers(1, 30), st.booleans()), max_size=2)


def fits(clip: dict[str, Any], rule: dict[str, Any]) -> bool:
    return (not rule["tag"] or rule["tag"] in clip["tags"]) and (not rule["actor"] or rule["actor"] == clip["actor"])


def protected(clips: list[dict[str, Any]], keep: list[dict[str, Any]]) -> set[str]:
    """The newest of each group, of those that match and that are not lost."""
    found: set[str] = set()
    for rule in keep:
        groups: dict[Any, list[dict[str, Any]]] = {}
        for clip in clips:
            if clip["missing"] is None and (clip["rating"] or 0) >= rule["rated"]:
                groups.setdefault(clip["actor"] if rule["per"] else 0, []).append(clip)
        for members in groups.values():
            newest = sorted(members, key=lambda clip: (clip["created"], clip["id"]), reverse=True)
            found |= {clip["id"] for clip in newest[: rule["n"]]}
    return found


def read(
    clips: list[dict[str, Any]], rules: list[Any], keep: list[Any], limits: list[Any]
) -> dict[str, tuple[str, list[str]]]:
    """What becomes of each clip, and all that asks for it: the rules that match it, and the budget that it goes for."""
    safe, condemned, movable, evicted = protected(clips, keep), set(), [], {}
    for clip in clips:
        last = max(clip["used"], clip["created"], clip["undone"] or clip["created"])
        speaks = clip["legal_holds"] or clip["holds"] or clip["pinned"] or (clip["mark"] and clip["used_since_mark"])
        rule = next((rule for rule in rules if fits(clip, rule)), None)
        over = rule is not None and last + rule["days"] * DAY <= NOW
        young = clip["created"] + MINIMUM > NOW
        if speaks or clip["id"] in safe:
            continue
        if over and not clip["linked"] and not young:
            condemned.add(clip["id"])
        elif not over and not clip["linked"] and not young and not (clip["undone"] and clip["undone"] + MINIMUM > NOW):
            movable.append(clip)
    for number, (actor, limit, per) in enumerate(limits):
        scope = [clip for clip in clips if not actor or clip["actor"] == actor]
        for group in {clip["actor"] if per else 0 for clip in scope}:
            members = [clip for clip in scope if not per or clip["actor"] == group]
            excess = sum(clip["bytes"] for clip in members if clip["id"] not in condemned) - limit
            for clip in sorted(
                (clip for clip in members if clip in movable), key=lambda clip: (clip["plays"], clip["place"])
            ):
                if excess > 0 and clip["id"] not in condemned:
                    condemned.add(clip["id"])
                    evicted[clip["id"]] = f"b{number}"
                    excess -= clip["bytes"]
    said = {}
    for clip in clips:
        asking = [f"r{number}" for number, rule in enumerate(rules) if fits(clip, rule)]
        asking += [evicted[clip["id"]]] if clip["id"] in evicted else []
        if clip["id"] in condemned:
            decision = "mark" if clip["mark"] is None else "wait" if clip["mark"] > NOW else "purge"
        else:
            decision = "keep" if clip["mark"] is None else "unmark"
        said[clip["id"]] = (decision, asking)
    return said


@settings(max_examples=examples(60), deadline=None)
@given(clips=CLIPS, rules=RULES, keep=KEEP, limits=LIMITS)
def test_the_plan_is_what_a_plain_reading_of_the_policy_says(
    clips: list[dict[str, Any]], rules: list[Any], keep: list[Any], limits: list[Any]
) -> None:
    TABLES.clear()
    for place, clip in enumerate(clips):
        clip |= {"id": id_of(f"c{place:02}"), "place": place}  # the reading wants them, too
        TABLES.add(
            f"c{place:02}", created=clip["created"], last_used=max(clip["used"], clip["created"]), tags=clip["tags"],
            actor=clip["actor"], rating=clip["rating"], plays=clip["plays"], bytes=clip["bytes"], pinned=clip["pinned"],
            holds=clip["holds"] + clip["legal_holds"], legal_holds=clip["legal_holds"], missing=clip["missing"],
            delete_after=clip["mark"], mark_rule="r0" if clip["mark"] else None, used_since_mark=clip["used_since_mark"],
            linked_until=clip["linked"], undone=clip["undone"],
        )  # fmt: skip
    section = Section(
        rules=tuple(
            ExpireRule(
                name=f"r{number}", keep_for=rule["days"] * 86400.0, tag=rule["tag"], actor=rule["actor"], allow_unseen=True,
                match="" if rule["tag"] or rule["actor"] else "all",
            )
            for number, rule in enumerate(rules)
        ),
        keep=tuple(
            KeepRule(name=f"k{number}", rated=rule["rated"], newest=Newest(n=rule["n"], per=("actor",) if rule["per"] else ()))
            for number, rule in enumerate(keep)
        ),
        budgets=tuple(
            Budget(
                name=f"b{number}", actor=actor, match="" if actor else "all", max_bytes=limit, per=("actor",) if per else (),
                value="plays", allow_unseen=True,
            )
            for number, (actor, limit, per) in enumerate(limits)
        ),
        minimum_age=MINIMUM / timedelta(seconds=1),
    )  # fmt: skip
    made = make(TABLES.reading, Policy.of(section), NOW, every=True)
    found = made.rows(*DECISIONS).to_dicts()
    assert {row["id"]: (row["decision"], row["matches"]) for row in found} == read(clips, rules, keep, limits)
