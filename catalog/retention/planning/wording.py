"""Wording: decisions about clips in sentences, for many of them at once."""

from __future__ import annotations

from datetime import datetime

import polars as pl

from voxledger.catalog.retention.planning.amounts import FINISH, PURGE, UNMARK, WAIT
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.settings import format_span

_NEVER = ("legal hold", "held", "pinned", "protected", "no rule", "unknown")
"""Causes for which nobody can say when a clip goes."""


def explained(decided: pl.DataFrame, policy: Policy, now: datetime) -> pl.DataFrame:
    """What people and programs see of decided clips: id, decision, rule, all that matches, reason, when it can go, bytes, length.

    `matches` names all that asks for the clip to go, whatever wins: the expire rules that match, in their order, the budget that it
    is too much for, the withdrawal of its voice's consent.
    `goes` is the earliest time of the purge if nothing happens to the clip until then; NULL when nothing is due.
    """
    present = pl.lit(now, pl.Datetime("us", "UTC"))
    grace = pl.lit(policy.grace, pl.Duration("us"))
    goes = (
        pl.when(pl.col("decision").is_in([WAIT, PURGE])).then(pl.col("delete_after"))
        .when(pl.col("decision") == FINISH).then(present)
        .when(pl.col("cause").is_in(_NEVER)).then(None)
        .when(pl.col("cause").is_in(["over budget", "withdrawn"])).then(present + grace)
        .otherwise(pl.max_horizontal("expires", "mature", "linked_until", present) + grace)
    )  # fmt: skip
    return decided.select(
        "id",
        pl.col("decision").cast(pl.String),
        rule=pl.col("by"),
        matches=_matches(policy),
        reason=_reason(policy, present),
        goes=goes,
        bytes=pl.col("bytes"),
        duration_us=pl.col("duration_us"),
    )


def _matches(policy: Policy) -> pl.Expr:
    asking = [
        pl.when(pl.col("matched").cast(pl.UInt64) & (1 << number) != 0).then(pl.lit(rule.name))
        for number, rule in enumerate(policy.rules)
    ]
    asking.append(pl.when(pl.col("cause").is_in(["over budget", "withdrawn"])).then(pl.col("by")))
    return pl.concat_list(asking).list.drop_nulls()


def _reason(policy: Policy, present: pl.Expr) -> pl.Expr:
    name = _chosen("rule", [rule.title for rule in policy.rules])
    keeps = _chosen("rule", [format_span(rule.keep_for.total_seconds()) for rule in policy.rules])
    keeper = _chosen("keeper", [rule.title for rule in policy.keep])
    budget = _chosen("budget", [budget.title for budget in policy.budgets])
    over = pl.format("{} kept it for {}, which is over", name, keeps)
    pinned = pl.concat_str(pl.lit("pinned"), (": " + pl.col("pin_reason")).fill_null(""))
    kept = pl.format("{} keeps it for {}: {} left", name, keeps, left(pl.col("expires") - present))
    minimum = format_span(policy.minimum_age.total_seconds())
    linked = pl.format("{}, but a link to it works: {} left", over, left(pl.col("linked_until") - present))
    young = pl.format(
        "{}, but no clip younger than {} is marked: {} left", over, pl.lit(minimum), left(pl.col("mature") - present)
    )
    condemned = (
        pl.when(pl.col("cause") == "withdrawn").then(pl.lit("the consent of its voice was withdrawn"))
        .when(pl.col("cause") == "over budget").then(pl.format("{} is exceeded, and it is worth the least", budget))
        .otherwise(over)
    )  # fmt: skip
    marked = (
        pl.when(pl.col("mark_rule") != pl.col("by")).then(pl.format("marked by rule '{}'", "mark_rule"))
        .otherwise(pl.lit("marked"))
    )  # fmt: skip
    grace = pl.format("{}, {} of its grace left", marked, left(pl.col("delete_after") - present))
    clause = (
        pl.when(pl.col("cause") == "purging").then(pl.lit("its deletion has begun and was not finished"))
        .when(pl.col("cause") == "legal hold").then(pl.lit("a legal hold keeps it"))
        .when(pl.col("cause") == "held").then(pl.lit("a hold keeps it"))
        .when(pl.col("cause") == "pinned").then(pinned)
        .when(pl.col("cause") == "used").then(pl.lit("used since it was marked"))
        .when(pl.col("cause") == "protected").then(pl.format("{} keeps it", keeper))
        .when(pl.col("cause") == "no rule").then(pl.lit("no rule matches"))
        .when(pl.col("cause") == "kept").then(kept)
        .when(pl.col("cause") == "linked").then(linked)
        .when(pl.col("cause") == "minimum age").then(young)
        .when(pl.col("cause") == "unknown").then(pl.lit("nobody knows whether it was used lately"))
        .when(pl.col("decision") == WAIT).then(pl.format("{}; {}", condemned, grace))
        .when((pl.col("decision") == PURGE) & (pl.col("cause") == "expired")).then(pl.format("{}; so is its grace", condemned))
        .when(pl.col("decision") == PURGE).then(pl.format("{}; its grace is over", condemned))
        .otherwise(condemned)
    )  # fmt: skip
    return pl.concat_str(
        pl.when(pl.col("decision") == UNMARK).then(pl.lit("mark taken back: ")).otherwise(pl.lit("")), clause
    )


def _chosen(column: str, texts: list[str]) -> pl.Expr:
    """A text for the number in a column."""
    return pl.col(column).replace_strict(list(range(len(texts))), texts, default=None, return_dtype=pl.String)


def left(span: pl.Expr) -> pl.Expr:
    """A remaining time in its two largest units, never less than a minute: `1d 4h`, `3h 20min`, `5min`."""
    minutes = pl.max_horizontal(span.dt.total_minutes(), pl.lit(1))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return (
        pl.when(days > 0).then(pl.format("{}d {}h", days, hours))
        .when(hours > 0).then(pl.format("{}h {}min", hours, rest))
        .otherwise(pl.format("{}min", rest))
    )  # fmt: skip
