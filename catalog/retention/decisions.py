"""Decisions: what is to become of each clip, and why. Pure and set-based: clips, policy and time in, columns out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import polars as pl

from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention.policy import CONDITIONS, Policy, title, words
from voxledger.catalog.settings import ExpireRule, format_span

KEEP: Final = "keep"
MARK: Final = "mark"
WAIT: Final = "wait"
UNMARK: Final = "unmark"
PURGE: Final = "purge"
FINISH: Final = "finish"
DECISIONS = (FINISH, PURGE, MARK, WAIT, UNMARK, KEEP)
"""`finish` takes up a purge that was interrupted; `wait` is marked, with its grace still running."""
CAUSES = ("purging", "pinned", "used", "no rule", "minimum age", "kept", "linked", "expired")
_DECISION = pl.Enum(DECISIONS)
_CAUSE = pl.Enum(CAUSES)


def aware(now: datetime) -> datetime:
    """The time in UTC. Raises PolicyError for one without a time zone."""
    if now.tzinfo is None:
        raise PolicyError(f"the time {now.isoformat()} has no time zone; use UTC")
    return now.astimezone(UTC)


def matches(rule: ExpireRule) -> pl.Expr:
    """Whether a clip fulfils all conditions of a rule; what was erased fulfils none."""
    asked = [pl.lit(value=True)]
    for name in CONDITIONS:
        value = getattr(rule, name)
        if value:
            fits = pl.col("tags").list.contains(value) if name == "tag" else pl.col(name) == value
            asked.append(fits.fill_null(value=False))
    return pl.all_horizontal(asked)


def decide(clips: pl.DataFrame, policy: Policy, now: datetime) -> pl.DataFrame:
    """A frame of clips (snapshot.COLUMNS) with `rule`, `expires`, `mature`, `cause` and `decision`, in the same order.

    `rule` is the winning rule's place in `policy.by_urgency`, `expires` when it lets the clip go: `keep_for` after the
    clip was last made, played or reused; but never while a link to it works. `mature` is when it is as old as `minimum_age`.
    """
    rules = policy.by_urgency
    present = pl.lit(aware(now), pl.Datetime("us", "UTC"))
    winner: list[pl.Expr] = [pl.when(matches(rule)).then(pl.lit(place, pl.UInt16)) for place, rule in enumerate(rules)]
    span = [pl.when(pl.col("rule") == place).then(_span(rule.keep_for)) for place, rule in enumerate(rules)]
    marked = pl.col("delete_after").is_not_null()
    return (
        clips.lazy()
        .with_columns(rule=pl.coalesce(*winner, pl.lit(None, pl.UInt16)))
        .with_columns(
            expires=pl.col("last_used") + pl.coalesce(*span, pl.lit(None, pl.Duration("us"))),
            mature=pl.col("created") + pl.lit(policy.minimum_age, pl.Duration("us")),
        )
        .with_columns(
            cause=pl.when(pl.col("purging")).then(pl.lit("purging", _CAUSE))
            .when(pl.col("pinned")).then(pl.lit("pinned", _CAUSE))
            .when(marked & pl.col("used_since_mark")).then(pl.lit("used", _CAUSE))
            .when(pl.col("rule").is_null()).then(pl.lit("no rule", _CAUSE))
            .when(pl.col("expires") > present).then(pl.lit("kept", _CAUSE))
            .when(pl.col("linked_until") > present).then(pl.lit("linked", _CAUSE))
            .when(pl.col("mature") > present).then(pl.lit("minimum age", _CAUSE))
            .otherwise(pl.lit("expired", _CAUSE))
        )
        .with_columns(
            decision=pl.when(pl.col("cause") == "purging").then(pl.lit(FINISH, _DECISION))
            .when((pl.col("cause") != "expired") & marked).then(pl.lit(UNMARK, _DECISION))
            .when(pl.col("cause") != "expired").then(pl.lit(KEEP, _DECISION))
            .when(~marked).then(pl.lit(MARK, _DECISION))
            .when(pl.col("delete_after") > present).then(pl.lit(WAIT, _DECISION))
            .otherwise(pl.lit(PURGE, _DECISION))
        )
        .collect()
    )  # fmt: skip


def explained(decided: pl.DataFrame, policy: Policy, now: datetime) -> pl.DataFrame:
    """What people and programs see of decided clips: id, decision, rule, reason, when it can go, bytes, length.

    `goes` is the earliest time of the purge if nothing happens to the clip until then; NULL when nothing is due.
    """
    present = pl.lit(aware(now), pl.Datetime("us", "UTC"))
    rules = policy.by_urgency
    goes = (
        pl.when(pl.col("decision").is_in([WAIT, PURGE])).then(pl.col("delete_after"))
        .when(pl.col("decision") == FINISH).then(present)
        .when(pl.col("cause").is_in(["pinned", "no rule"])).then(None)
        .otherwise(pl.max_horizontal("expires", "mature", "linked_until", present) + pl.lit(policy.grace, pl.Duration("us")))
    )  # fmt: skip
    return decided.select(
        "id",
        pl.col("decision").cast(pl.String),
        rule=_by_rule([rule.name for rule in rules]),
        reason=_reason(policy, present),
        goes=goes,
        bytes=pl.col("bytes"),
        duration_us=pl.col("duration_us"),
    )


def _reason(policy: Policy, present: pl.Expr) -> pl.Expr:
    rules = policy.by_urgency
    name = _by_rule([title(rule) for rule in rules])
    keeps = _by_rule([format_span(rule.keep_for) for rule in rules])
    over = pl.format("{} kept it for {}, which is over", name, keeps)
    pinned = pl.concat_str(pl.lit("pinned"), (": " + pl.col("pin_reason")).fill_null(""))
    kept = pl.format("{} keeps it for {}: {} left", name, keeps, _left(pl.col("expires") - present))
    minimum = pl.format("but no clip younger than {} is marked", pl.lit(words(policy.minimum_age)))
    linked = pl.format("{}, but a link to it works: {} left", over, _left(pl.col("linked_until") - present))
    young = pl.format("{}, {}: {} left", over, minimum, _left(pl.col("mature") - present))
    other = pl.col("mark_rule") != _by_rule([rule.name for rule in rules])
    marked = pl.when(other).then(pl.format("marked by rule '{}'", "mark_rule")).otherwise(pl.lit("marked"))
    grace = pl.format("{}, {} of its grace left", marked, _left(pl.col("delete_after") - present))
    clause = (
        pl.when(pl.col("cause") == "purging").then(pl.lit("its deletion has begun and was not finished"))
        .when(pl.col("cause") == "pinned").then(pinned)
        .when(pl.col("cause") == "used").then(pl.lit("used since it was marked"))
        .when(pl.col("cause") == "no rule").then(pl.lit("no rule matches"))
        .when(pl.col("cause") == "kept").then(kept)
        .when(pl.col("cause") == "linked").then(linked)
        .when(pl.col("cause") == "minimum age").then(young)
        .when(pl.col("decision") == WAIT).then(pl.format("{}; {}", over, grace))
        .when(pl.col("decision") == PURGE).then(pl.format("{}; so is its grace", over))
        .otherwise(over)
    )  # fmt: skip
    return pl.concat_str(
        pl.when(pl.col("decision") == UNMARK).then(pl.lit("mark taken back: ")).otherwise(pl.lit("")), clause
    )


def _by_rule(texts: list[str]) -> pl.Expr:
    """A text for the winning rule of each clip."""
    places = list(range(len(texts)))
    return pl.col("rule").replace_strict(places, texts, default=None, return_dtype=pl.String)


def _span(seconds: float) -> pl.Expr:
    return pl.lit(round(seconds * 1e6), pl.Int64).cast(pl.Duration("us"))


def _left(span: pl.Expr) -> pl.Expr:
    """A remaining time in its two largest units, never less than a minute: `1d 4h`, `3h 20min`, `5min`."""
    minutes = pl.max_horizontal(span.dt.total_minutes(), pl.lit(1))
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    return (
        pl.when(days > 0).then(pl.format("{}d {}h", days, hours))
        .when(hours > 0).then(pl.format("{}h {}min", hours, rest))
        .otherwise(pl.format("{}min", rest))
    )  # fmt: skip
