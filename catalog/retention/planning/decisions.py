"""Decisions: what a plan decides about each clip, held small. A plan may condemn millions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import polars as pl

from voxledger.catalog.retention.planning.amounts import CONDEMNED, DECISIONS, WAIT
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.policy.policy import WITHDRAWN

_ID = ("high", "low")
_BY_ID = ("decision", *_ID)
_HALF = 1 << 64


class Decisions:
    """Clips with what was decided about them: those condemned anew, of which little is known, and all others.

    An id is held as its two halves, `high` and `low`: 16 bytes, of which millions are put in order quickly. As text it would be
    52 bytes, and takes as long again to write. The names of rules are put in only for whoever asks.
    """

    def __init__(self, policy: Policy, anew: pl.DataFrame, others: pl.DataFrame) -> None:
        self._policy = policy
        self._parts = (anew, others)

    @property
    def parts(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Both, as they are held; what stands in one alone is null in the other."""
        return self._parts

    @property
    def by(self) -> pl.Expr:
        """The name of what decides about a clip."""
        return by(self._policy)

    @property
    def height(self) -> int:
        """How many clips there are."""
        return sum(part.height for part in self._parts)

    @property
    def size(self) -> int:
        """Bytes of memory that they take up, about."""
        return sum(int(part.estimated_size()) for part in self._parts)

    def frame(
        self,
        *decisions: str,
        limit: int | None = None,
        ids: Sequence[str] | None = None,
        after: tuple[str, str] | None = None,
    ) -> pl.DataFrame:
        """The clips with these decisions, all when none is named, by urgency of the decision and then by id; the first `limit`,
        those of `ids`, those that follow a decision and an id. Each has its `id` as text, and in `by` the name of what decides.
        """
        named = None if ids is None else _halves(ids)
        chosen = []
        for part in self._parts:
            found = part.filter(pl.col("decision").is_in(decisions or DECISIONS))
            if after is not None:
                found = found.filter(_follows(*after))
            if named is not None:
                found = found.join(named, on=_ID, how="semi")
            if limit is not None and found.height > limit:
                found = _first(found, limit)
            chosen.append(found)
        rows = pl.concat(chosen, how="diagonal_relaxed").sort(_BY_ID)
        return self.named(rows if limit is None else rows.head(limit))

    def most(self, column: str, count: int, *decisions: str) -> pl.DataFrame:
        """The clips with these decisions that have the most of a column; of equals those with the smaller id."""
        chosen = []
        for part in self._parts:
            found = part.filter(pl.col("decision").is_in(decisions))
            # Few values are put in order, and not millions of clips.
            chosen.append(found.filter(pl.col(column) >= pl.col(column).top_k(count).min()))
        rows = pl.concat(chosen, how="diagonal_relaxed").sort([column, *_ID], descending=[True, False, False])
        return self.named(rows.head(count))

    def grace_ends(self) -> tuple[datetime, datetime] | None:
        """The first and the last end of grace of those that wait in it."""
        ends = self._parts[1].filter(pl.col("decision") == WAIT)["delete_after"]
        first, last = ends.min(), ends.max()
        return (first, last) if isinstance(first, datetime) and isinstance(last, datetime) else None

    def digest(self) -> str:
        """16 hex digits that name the condemned clips, what condemns them, and the policy."""
        condemned = pl.concat(
            [part.filter(pl.col("decision").is_in(CONDEMNED)).select(*_ID, by=_number()) for part in self._parts]
        ).sort(_ID)
        digest = hashlib.sha256(f"{self._policy.hash} {condemned.height}\n".encode())
        for column in condemned:
            digest.update(_raw(column))
        return digest.hexdigest()[:16]

    def named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of `parts` with their `id` as text, and in `by` the name of what decides."""
        return rows.select(_text(rows), pl.exclude(_ID), by=by(self._policy))


def _follows(decision: str, clip: str) -> pl.Expr:
    """Whether a clip comes after this one in the order of `frame`."""
    high, low = divmod(UUID(clip).int, _HALF)
    later = DECISIONS[DECISIONS.index(decision) + 1 :]
    behind = (pl.col("high") > high) | ((pl.col("high") == high) & (pl.col("low") > low))
    return pl.col("decision").is_in(later) | ((pl.col("decision") == decision) & behind)


def _first(rows: pl.DataFrame, limit: int) -> pl.DataFrame:
    """The first so many in the order of `frame`, found without putting millions in order."""
    chosen, lacking = [], limit
    for decision in DECISIONS:
        found = rows.filter(pl.col("decision") == decision)
        if found.height > lacking:
            found = found.filter(pl.col("high") <= found["high"].bottom_k(lacking).max())
        chosen.append(found.sort(_BY_ID).head(lacking))
        lacking -= chosen[-1].height
        if not lacking:
            break
    return pl.concat(chosen)


def by(policy: Policy) -> pl.Expr:
    """The name of what decides about a clip: a keep rule, a budget, the withdrawal, or the first expire rule that matches."""
    names = [[rule.name for rule in part] for part in (policy.keep, policy.budgets, policy.rules)]
    keeper, budget, rule = (
        pl.col(column).replace_strict(list(range(len(texts))), texts, default=None, return_dtype=pl.String)
        for column, texts in zip(("keeper", "budget", "rule"), names, strict=True)
    )
    return (
        pl.when(pl.col("cause") == "protected").then(keeper)
        .when(pl.col("cause") == "over budget").then(budget)
        .when(pl.col("cause") == "withdrawn").then(pl.lit(WITHDRAWN))
        .otherwise(rule)
    )  # fmt: skip


def _number() -> pl.Expr:
    """What condemns a clip, as a number; the policy's hash says what the numbers mean."""
    return (
        pl.when(pl.col("cause") == "over budget").then(pl.col("budget").cast(pl.UInt16) + 256)
        .when(pl.col("cause") == "withdrawn").then(pl.lit(512, pl.UInt16))
        .otherwise(pl.col("rule").cast(pl.UInt16))
    )  # fmt: skip


def _raw(column: pl.Series) -> memoryview:
    """The numbers of a column as they lie in memory."""
    array = column.rechunk().to_arrow()
    width = array.type.bit_width // 8
    return memoryview(array.buffers()[1])[array.offset * width : (array.offset + len(array)) * width]


def _text(rows: pl.DataFrame) -> pl.Series:
    """Ids as people write them."""
    return pl.Series("id", [str(UUID(int=high * _HALF + low)) for high, low in rows.select(_ID).iter_rows()], pl.String)


def _halves(ids: Sequence[str]) -> pl.DataFrame:
    numbers = [divmod(UUID(text).int, _HALF) for text in ids]
    return pl.DataFrame(numbers, schema=dict.fromkeys(_ID, pl.UInt64), orient="row")
