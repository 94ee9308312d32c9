"""Looking: the clips of a plan as somebody goes through them, in an order of their own, of one rule, among some; and two plans compared."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args
from uuid import UUID

import msgspec
import polars as pl

from voxledger.catalog.retention.planning.amounts import CONDEMNED, DECISIONS, KEEP, Amount
from voxledger.catalog.retention.planning.plan import Plan
from voxledger.catalog.retention.planning.wording import explained

Order: TypeAlias = Literal["urgency", "bytes", "duration", "uses", "oldest", "newest"]
"""Most urgent first, the largest, the longest, the most used, the oldest, the newest; of equals the older one."""
ORDERS: tuple[Order, ...] = get_args(Order)
_COLUMNS = {"bytes": "bytes", "duration": "duration_us", "uses": "uses"}
_HALF = 1 << 64
_ID = ("high", "low")


class After(msgspec.Struct, frozen=True, kw_only=True):
    """Where a page ended: the value that its last clip has in the order (a decision, a number, None), and its id."""

    value: str | int | None
    id: str


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """Which clips of a plan, and in which order. Without decisions all that something happens to; `rule` is the name of what decides."""

    order: Order = "urgency"
    decisions: tuple[str, ...] = ()
    rule: str | None = None


class Condemned(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule condemns: how much, and when the oldest of its clips was made."""

    rule: str
    amount: Amount
    oldest: datetime | None


def page(
    plan: Plan, look: Look, *, limit: int, after: After | None = None, among: Sequence[pl.Series] | None = None
) -> tuple[pl.DataFrame, After | None]:
    """The first `limit` clips behind `after` as `Plan.rows` has them, with `uses`, and where they ended if there are more.

    `among` are the places of clips, as `places` gives them: only these. Nothing but the page is put in order or into words.
    """
    chosen = [_first(_behind(part, look.order, after), look.order, limit + 1) for part in _fitting(plan, look, among)]
    # A half that holds nothing is left out: its columns of nulls would have no type.
    rows = _sorted(pl.concat(chosen, how="diagonal_relaxed"), look.order).head(limit + 1)
    more = rows.height > limit
    rows = rows.head(limit)
    named = plan.decisions.named(rows)
    told = explained(named, plan.policy, plan.now).with_columns(uses=named["uses"])
    if not more:
        return told, None
    last = rows.tail(1)
    column = _COLUMNS.get(look.order)
    value = last["decision"][0] if look.order == "urgency" else last[column][0] if column else None
    return told, After(value=value, id=told["id"][-1])


def amount(plan: Plan, look: Look, among: Sequence[pl.Series] | None = None) -> Amount:
    """How much it is that a look shows."""
    return sum((_amount(part) for part in _fitting(plan, look, among)), Amount())


def places(plan: Plan, ids: pl.DataFrame) -> list[pl.Series]:
    """Where in each part of a plan these clips are; `ids` holds the halves of their ids, `high` and `low`."""
    return [
        part.select(_ID).with_row_index().join(ids, on=_ID, how="semi").get_column("index")
        for part in plan.decisions.parts
    ]


def condemned(plan: Plan) -> list[Condemned]:
    """Everything that condemns a clip, with what goes because of it, the most bytes first."""
    found = pl.concat(
        [
            part.filter(pl.col("decision").is_in(CONDEMNED)).select("cause", "rule", "keeper", "budget", "high", "bytes", "duration_us")
            for part in plan.decisions.parts
        ],
        how="diagonal_relaxed",
    )  # fmt: skip
    grouped = found.group_by("cause", "rule", "keeper", "budget").agg(
        pl.len().alias("clips"), pl.col("bytes").sum(), pl.col("duration_us").sum(), pl.col("high").min()
    )
    rules: dict[str, list[Condemned]] = {}
    for row in grouped.with_columns(by=plan.decisions.by).iter_rows(named=True):
        each = Condemned(
            rule=row["by"],
            amount=Amount(clips=row["clips"], bytes=int(row["bytes"] or 0), duration_us=int(row["duration_us"] or 0)),
            oldest=made(row["high"]),
        )
        rules.setdefault(each.rule, []).append(each)
    merged = [
        Condemned(
            rule=name,
            amount=sum((each.amount for each in parts), Amount()),
            oldest=min((each.oldest for each in parts if each.oldest), default=None),
        )
        for name, parts in rules.items()
    ]
    return sorted(merged, key=lambda each: (-each.amount.bytes, each.rule))


def made(high: int | None) -> datetime | None:
    """When a clip was made, by the first half of its id, a UUID of version 7 (RFC 9562); None for one that tells no time."""
    if high is None or high >> 12 & 0xF != 7:
        return None
    return datetime.fromtimestamp((high >> 16) / 1000, UTC)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What another plan condemned otherwise: the clips that are condemned now and were not, and those that were and are not any more."""

    more: Amount
    less: Amount


def change(plan: Plan, before: Plan) -> Change:
    """How a plan differs from one that was made before it."""
    now, then = _guilty(plan), _guilty(before)
    return Change(
        more=_amount(now.join(then, on=_ID, how="anti")),
        less=_amount(then.join(now, on=_ID, how="anti")),
    )


def newcomers(plan: Plan, before: Plan) -> pl.DataFrame:
    """The halves of the ids of those that are condemned now and were not."""
    return _guilty(plan).join(_guilty(before), on=_ID, how="anti").select(_ID)


def _guilty(plan: Plan) -> pl.DataFrame:
    return pl.concat(
        [
            part.filter(pl.col("decision").is_in(CONDEMNED)).select(*_ID, "bytes", "duration_us")
            for part in plan.decisions.parts
        ],
        how="diagonal_relaxed",
    )


def _amount(rows: pl.DataFrame) -> Amount:
    size, length = rows.select(pl.col("bytes").sum(), pl.col("duration_us").sum()).row(0)
    return Amount(clips=rows.height, bytes=int(size or 0), duration_us=int(length or 0))


def _fitting(plan: Plan, look: Look, among: Sequence[pl.Series] | None) -> list[pl.DataFrame]:
    wanted = pl.col("decision").is_in(look.decisions or tuple(name for name in DECISIONS if name != KEEP))
    ruled = wanted if look.rule is None else wanted & (plan.decisions.by == look.rule)
    parts = plan.decisions.parts
    chosen = parts if among is None else [part[where] for part, where in zip(parts, among, strict=True)]
    return [part.filter(ruled) for part in chosen]


def _behind(rows: pl.DataFrame, order: Order, after: After | None) -> pl.DataFrame:
    if after is None:
        return rows
    high, low = divmod(UUID(after.id).int, _HALF)
    later = (pl.col("high") > high) | ((pl.col("high") == high) & (pl.col("low") > low))
    if order == "oldest":
        return rows.filter(later)
    if order == "newest":
        return rows.filter((pl.col("high") < high) | ((pl.col("high") == high) & (pl.col("low") < low)))
    if order == "urgency":
        following = DECISIONS[DECISIONS.index(str(after.value)) + 1 :]
        return rows.filter(pl.col("decision").is_in(following) | ((pl.col("decision") == after.value) & later))
    column = pl.col(_COLUMNS[order]).fill_null(-1)
    value = -1 if after.value is None else int(after.value)
    return rows.filter((column < value) | ((column == value) & later))


def _first(rows: pl.DataFrame, order: Order, limit: int) -> pl.DataFrame:
    """The first so many, found without putting millions in order."""
    if rows.height <= limit:
        return rows
    if order == "urgency":
        chosen, lacking = [], limit
        for decision in DECISIONS:
            found = rows.filter(pl.col("decision") == decision)
            if found.height > lacking:
                found = found.filter(pl.col("high") <= found["high"].bottom_k(lacking).max())
            chosen.append(_sorted(found, "oldest").head(lacking))
            lacking -= chosen[-1].height
            if not lacking:
                break
        return pl.concat(chosen)
    if order in ("oldest", "newest"):
        edge = rows["high"].bottom_k(limit).max() if order == "oldest" else rows["high"].top_k(limit).min()
        near = rows.filter(pl.col("high") <= edge if order == "oldest" else pl.col("high") >= edge)
    else:
        column = pl.col(_COLUMNS[order]).fill_null(-1)
        edge = rows.select(column.top_k(limit).min()).item()
        # Many may have the value at the edge, 0 uses say: of those the oldest will do.
        above = rows.filter(column > edge)
        level = _first(rows.filter(column == edge), "oldest", limit - above.height)
        near = pl.concat([above, level])
    return _sorted(near, order).head(limit)


def _sorted(rows: pl.DataFrame, order: Order) -> pl.DataFrame:
    if order == "urgency":
        return rows.sort("decision", *_ID)
    if order in ("oldest", "newest"):
        return rows.sort(_ID, descending=order == "newest")
    return rows.sort(pl.col(_COLUMNS[order]).fill_null(-1), *_ID, descending=[True, False, False])
