"""Budgets: how far each one has to go, and how it stands then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from voxledger.catalog.log import Reading
from voxledger.catalog.retention.planning.amounts import BudgetSummary
from voxledger.catalog.retention.planning.deciding import Cuts, Deciding
from voxledger.catalog.retention.policy import Policy


@dataclass(frozen=True, kw_only=True)
class Lack:
    """In how many groups a budget was exceeded, and what is too much in the end."""

    groups: int = 0
    bytes: int = 0


def cut(reading: Reading, deciding: Deciding, policy: Policy) -> dict[int, Lack]:
    """Find out for each budget in its turn how far down the list of worth it has to go, and tell `deciding`.

    Gives what the budgets that are above their limits lack in the end, by number.
    """
    if not policy.budgets:
        return {}
    bounds = reading.tuples(deciding.bounds(), {"now": deciding.parameters["now"]})[0]
    lacks = {}
    for number, budget in enumerate(policy.budgets):
        if bounds[number] <= budget.max_bytes:
            continue
        # What budgets before this one have condemned is told by their cuts.
        exceeded = reading.frame(deciding.exceeded(number), deciding.values(limit=budget.max_bytes))
        groups = exceeded.select("member", excess=pl.col("stands") - budget.max_bytes)
        movable = exceeded.select("member", "clips").drop_nulls().explode("clips").unnest("clips")
        ends = _ends(movable, groups)
        left = groups.join(ends, on="member", how="left").select(pl.col("excess") - pl.col("freed").fill_null(0))
        lacks[number] = Lack(groups=groups.height, bytes=int(left["excess"].clip(lower_bound=0).sum()))
        if not ends.is_empty():
            deciding.cuts[number] = Cuts(
                groups=ends["member"].to_list(), worths=ends["value"].to_list(), positions=ends["position"].to_list()
            )
    return lacks


def _ends(movable: pl.DataFrame, groups: pl.DataFrame) -> pl.DataFrame:
    """The last clip of each group that has to go, by `value` and `position`, and what is `freed` with it.

    Sums over coarse steps of value tell in which step that clip lies: only what is in there is put in order.
    """
    stepped = movable.with_columns(step=_step(pl.col("value")))
    sums = (
        stepped.group_by("member", "step").agg(pl.col("bytes").sum()).join(groups, on="member").sort("member", "step")
    )
    reached = sums.select(
        "member", "step", "excess", before=pl.col("bytes").cum_sum().over("member") - pl.col("bytes")
    ).filter(pl.col("before") < pl.col("excess"))
    last = reached.group_by("member").agg(pl.all().last())
    goes = (
        stepped.join(last, on=["member", "step"])
        .sort("member", "value", "position")
        .with_columns(upto=pl.col("before") + pl.col("bytes").cum_sum().over("member"))
        .filter(pl.col("upto") - pl.col("bytes") < pl.col("excess"))
    )
    return goes.group_by("member").agg(pl.col("value", "position").last(), freed=pl.col("upto").last()).sort("member")


def _step(value: pl.Expr) -> pl.Expr:
    """Numbers that rise with a value, 4096 while it doubles: the upper bits of a float are in order, below zero in reverse."""
    bits = value.reinterpret(dtype=pl.Int64)
    return pl.when(bits >= 0).then(bits).otherwise(-(bits & 0x7FFF_FFFF_FFFF_FFFF)) // 2**40


def standing(policy: Policy, sums: pl.DataFrame, lacks: Mapping[int, Lack]) -> tuple[BudgetSummary, ...]:
    """How each budget stands once everything before it has gone."""
    found = []
    for number, budget in enumerate(policy.budgets):
        mine = sums.filter((pl.col("cause") == "over budget") & (pl.col("budget") == number))
        before = pl.col("cause").is_in(["purging", "withdrawn", "expired"]) | (
            (pl.col("cause") == "over budget") & (pl.col("budget") < number)
        )
        stands = sums.filter(~before.fill_null(value=False))[f"scoped_{number}"].sum()
        lack = lacks.get(number, Lack())
        found.append(
            BudgetSummary(
                name=budget.name,
                limit=budget.max_bytes,
                stands=int(stands),
                goes=int(mine[f"scoped_{number}"].sum()),
                lacks=lack.bytes,
                groups=lack.groups if budget.per else None,
            )
        )
    return tuple(found)
