"""Warnings: what a person should look at before a plan is applied, and what is in the way of applying it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

import polars as pl

from voxledger.catalog.log import Reading
from voxledger.catalog.retention.planning.amounts import FINISH
from voxledger.catalog.retention.planning.deciding import SQL
from voxledger.catalog.retention.policy import Budget, KeepRule, Policy, Rule
from voxledger.catalog.retention.policy.policy import EVERY_CLIP

EMPTY = "there are no rules: nothing can expire; write [[retention.rules]] into the policy"


def warned(reading: Reading, policy: Policy, sums: pl.DataFrame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Problems and warnings. A word that no clip ever had is a problem, unless the rule says `allow_unseen = true`; a bucket is one
    of few that somebody set up, and may be empty.

    restic once kept nothing because of a tag that was misspelt: a keep rule that protects nothing must not go unnoticed.
    """
    if policy.empty:
        return (EMPTY,), ()
    unseen = list(_unseen(reading, policy))
    problems = tuple(said for column, said in unseen if column != "bucket")
    warnings = [said for column, said in unseen if column == "bucket"]
    live = sums.filter(pl.col("decision") != FINISH)["clips"].sum()
    for number, rule in enumerate(policy.rules):
        if live and rule.words != EVERY_CLIP and sums.filter(pl.col("rule") == number)["clips"].sum() == live:
            warnings.append(f"{rule.title} matches every clip that there is")
    warnings += _hidden(policy)
    for number, keep in enumerate(policy.keep):
        if keep.bare:
            warnings.append(
                f"{keep.title} has no condition and keeps every clip, so that no rule and no budget lets one go;"
                ' if that is meant, write match = "all"'
            )
        elif not sums.filter(pl.col("keeper") == number)["clips"].sum():
            warnings.append(f"{keep.title} keeps nothing at present that no keep rule before it keeps")
    if policy.withdrawn == "keep":
        clips = reading.tuples(SQL["withdrawn"])[0][0]
        if clips:
            warnings.append(
                f'{clips:,} clips speak with a voice whose consent was withdrawn; retention.withdrawn = "delete" lets them go'
            )
    return problems, tuple(warnings)


def _hidden(policy: Policy) -> Iterator[str]:
    """The first rule that matches decides: none that stands behind one for every clip ever does."""
    above = None
    for rule in policy.rules:
        if above is not None:
            yield f"rule {rule.name!r} never decides: rule {above!r} before it matches every clip; put {above!r} behind it"
        elif rule.words == EVERY_CLIP:
            above = rule.name


def _unseen(reading: Reading, policy: Policy) -> Iterator[tuple[str, str]]:
    parts: list[Rule | KeepRule | Budget] = [*policy.rules, *policy.keep, *policy.budgets]
    asked: dict[str, set[str]] = {}
    for part in parts:
        for column, word in part.condition.words:
            if not part.allow_unseen:
                asked.setdefault(column, set()).add(word)
    seen = {column: _seen(reading, column, words) for column, words in asked.items()}
    for part in parts:
        if part.allow_unseen:
            continue
        kind = "rule" if isinstance(part, Rule) else "keep rule" if isinstance(part, KeepRule) else "budget"
        for column, word in part.condition.words:
            if word not in seen[column]:
                what = column.removesuffix("s") if column == "tags" else column
                near = get_close_matches(word, _all(reading, column), n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                yield (
                    column,
                    f"{kind} {part.name!r} names {what} {word!r}, which no clip ever had{hint} (or say allow_unseen = true)",
                )


def _seen(reading: Reading, column: str, words: set[str]) -> set[str]:
    # A tag that was taken off is no mistake either.
    once = "UNION ALL SELECT tag AS word FROM changes WHERE tag IS NOT NULL" if column == "tags" else ""
    query = SQL["used_words"].replace("{words}", _words(column)).replace("{once}", once)
    return {word for (word,) in reading.tuples(query, {"words": sorted(words)})}


def _all(reading: Reading, column: str) -> list[str]:
    return [word for (word,) in reading.tuples(SQL["all_words"].replace("{words}", _words(column)))]


def _words(column: str) -> str:
    return "unnest(tags)" if column == "tags" else column
