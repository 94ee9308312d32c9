"""What a metric is."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Unit: TypeAlias = Literal["count", "us", "bytes", "share", "ratio", "micro"]
"""`us` = microseconds, `share` = 0..1, `ratio` = a quotient without a unit, `micro` = millionths of `prices.currency`."""
Source: TypeAlias = Literal[
    "generations", "users", "adopters", "reuses", "clips", "plays", "uploads", "storage", "present", "costs"
]  # fmt: skip
"""Which rows are counted: a named query of `metrics.sql`."""
WHOLE_ONLY: frozenset[Source] = frozenset({"present", "adopters", "costs"})
"""Sources that tell of a period as a whole, not day by day."""
Better: TypeAlias = Literal["more", "less", "neither"]


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number about the use of a catalog: an SQL aggregate over the rows of a source, in one unit.

    `additive`: groups add up to the whole. `empty`: what it is where there is nothing, 0 for what is counted, else None.
    A metric with `of` is the share of a group: its aggregate over that of the metric `of` for all rows.
    """

    name: str
    title: str
    unit: Unit
    definition: str
    source: Source
    aggregate: str = ""
    better: Better = "neither"
    additive: bool = False
    empty: Literal[0] | None = None
    of: str | None = None


def counted(
    name: str, title: str, definition: str, source: Source, aggregate: str, better: Better = "neither"
) -> Metric:
    """A number of rows; groups add up."""
    return Metric(
        name=name, title=title, definition=definition, source=source, aggregate=aggregate, better=better, unit="count",
        additive=True, empty=0,
    )  # fmt: skip


def summed(
    name: str, title: str, definition: str, source: Source, unit: Unit, aggregate: str, better: Better = "neither"
) -> Metric:
    """A sum, whole; groups add up."""
    return Metric(
        name=name, title=title, definition=definition, source=source, aggregate=f"coalesce({aggregate}, 0)::BIGINT",
        better=better, unit=unit, additive=True, empty=0,
    )  # fmt: skip


def distinct(
    name: str, title: str, definition: str, source: Source, aggregate: str, better: Better = "neither"
) -> Metric:
    """A number of different things; one may be in several groups."""
    return Metric(
        name=name, title=title, definition=definition, source=source, aggregate=aggregate, better=better, unit="count",
        empty=0,
    )  # fmt: skip


def rate(
    name: str, title: str, definition: str, source: Source, part: str, whole: str, better: Better = "neither"
) -> Metric:
    """A part of a whole, both SQL; None where the whole is nothing."""
    return Metric(
        name=name, title=title, definition=definition, source=source, aggregate=f"{part} / nullif({whole}, 0)", better=better,
        unit="share",
    )  # fmt: skip


def share(name: str, title: str, definition: str, of: Metric) -> Metric:
    """What a group has of all."""
    return Metric(
        name=name, title=title, definition=definition, source=of.source, of=of.name, unit="share", additive=of.additive
    )
