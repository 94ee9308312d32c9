"""Comparing: what this HOME has against what a file of Mixpanel has, by day and by event, and why they differ.

Days are in UTC, like those of the raw export. Where the file has our ids every event is looked for by its id; without them only
the counts can be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from voxledger.analytics.errors import ExportUnreadable
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.exports import rows
from voxledger.analytics.mixpanel.names import NAME
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    import polars as pl

    from voxledger.catalog.log import Keeper

_SQL = load("compare.sql", "voxledger.analytics.mixpanel")
_PIECE = 100_000
REASONS = ("waiting", "quarantined", "silent", "late")
"""Why Mixpanel may lack an event, the first that holds: it was not sent yet; it was refused; nothing is told about its actor;
it was recorded after the file was written."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One event name of one day. `local` and `theirs` are counts; `missing` nobody can explain, `foreign` is not known here."""

    day: date
    name: str
    local: int
    theirs: int
    waiting: int
    quarantined: int
    silent: int
    late: int
    missing: int
    foreign: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of comparing. `repeats` are events that the file has more than once: the raw export does not drop repeats."""

    first: date
    last: date
    by_id: bool
    local: int
    theirs: int
    repeats: int
    missing: int
    foreign: int
    rows: Sequence[Difference]

    @property
    def differing(self) -> Sequence[Difference]:
        """Where the counts are not the same, or events are."""
        return [row for row in self.rows if row.local != row.theirs or row.missing or row.foreign]


def compare(
    keeper: Keeper, audience: Audience, file: Path, *, first: date | None = None, last: date | None = None
) -> Comparison:
    """Compare a file with the record, from its first day to its last unless others are given. Raises ExportUnreadable."""
    import polars as pl

    theirs, repeats = _theirs(file)
    begin, end = first or theirs["day"].min(), last or theirs["day"].max()
    if not isinstance(begin, date) or not isinstance(end, date):
        raise ExportUnreadable(
            f"{file} has no event in it, so nobody knows which days it is about; give --first and --last"
        )
    theirs = theirs.filter(pl.col("day").is_between(begin, end))
    by_id = theirs.is_empty() or bool((theirs["id"] != "").all())
    local = _local(keeper, audience, begin, end, file.stat().st_mtime)
    found = _joined(local, theirs) if by_id else _counted(local, theirs)
    table = found.sort("day", "name")
    return Comparison(
        first=begin, last=end, by_id=by_id, repeats=repeats, rows=[Difference(**row) for row in table.iter_rows(named=True)],
        **{name: int(table[name].sum()) for name in ("local", "theirs", "missing", "foreign")},
    )  # fmt: skip


def _theirs(file: Path) -> tuple[pl.DataFrame, int]:
    """The file's events, each once, and how many repeats it had."""
    import polars as pl

    schema = {"name": pl.Categorical, "seconds": pl.Float64, "id": pl.String, "number": pl.Int64}
    pieces: list[pl.DataFrame] = [pl.DataFrame(schema=schema)]
    piece = []
    for row in rows(file):
        piece.append(row)
        if len(piece) == _PIECE:
            pieces.append(pl.DataFrame(piece, schema=schema, orient="row"))
            piece = []
    pieces.append(pl.DataFrame(piece, schema=schema, orient="row"))
    found = pl.concat(pieces).with_columns(
        day=pl.from_epoch((pl.col("seconds") * 1e6).cast(pl.Int64), time_unit="us").dt.date(),
        name=pl.col("name").cast(pl.String),
    )
    unique = pl.concat([found.filter(pl.col("id") == ""), found.filter(pl.col("id") != "").unique(["name", "id"])])
    return unique.select("name", "day", "id", "number"), len(found) - len(unique)


def _local(keeper: Keeper, audience: Audience, first: date, last: date, written: float) -> pl.DataFrame:
    """What Mixpanel should have, each event with the reason why it may not."""
    import polars as pl

    variants = {kind: entry.variant_of for kind, entry in VOCABULARY.items() if entry.variant_of}
    cases = " ".join(f"WHEN '{kind}' THEN data ->> '$.{field}'" for kind, field in variants.items())
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    stop = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
    values = {
        "name": NAME, "cursor": keeper.journal.cursor(NAME), "written": written, "types": sorted(VOCABULARY),
        "first": start.isoformat(), "stop": stop.isoformat(),
    }  # fmt: skip
    with keeper.reading() as reading:
        found = reading.frame(_SQL["local"].replace("{variant}", f"CASE type {cases} END"), values)
    plain = pl.DataFrame(
        [(kind, entry.name) for kind, entry in VOCABULARY.items()], schema=["type", "plain"], orient="row"
    )
    others = pl.DataFrame(
        [(kind, value, shown.name) for kind, entry in VOCABULARY.items() for value, shown in entry.variants.items()],
        schema=["type", "variant", "other"],
        orient="row",
    )
    silent = [actor for actor in found["actor"].unique() if audience.silence(actor)]
    return (
        found.join(others, on=["type", "variant"], how="left")
        .join(plain, on="type", how="left")
        .with_columns(name=pl.coalesce("other", "plain"), silent=pl.col("actor").is_in(silent))
        .select("id", "name", "day", *REASONS)
    )


def _joined(local: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Each event looked for by its id. One that Mixpanel has needs no reason; what it has under an id that is not ours is foreign."""
    import polars as pl

    seen = local.join(theirs.select("id", there=pl.lit(True)), on="id", how="left")
    lacking = pl.col("there").is_null()
    reason = pl.coalesce(*(pl.when(pl.col(name)).then(pl.lit(name)) for name in REASONS), pl.lit("missing"))
    ours = seen.with_columns(why=pl.when(lacking).then(reason)).group_by("day", "name").agg(
        pl.len().alias("local"), *((pl.col("why") == name).sum().alias(name) for name in (*REASONS, "missing"))
    )  # fmt: skip
    others = theirs.join(local.select("id", known=pl.lit(True)), on="id", how="left").group_by("day", "name").agg(
        pl.col("number").sum().alias("theirs"), pl.col("known").is_null().sum().alias("foreign")
    )  # fmt: skip
    return _together(ours, others)


def _counted(local: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    """Counts only: what is lacking beyond what has a reason is missing, what is too much is foreign."""
    import polars as pl

    reason = pl.coalesce(*(pl.when(pl.col(name)).then(pl.lit(name)) for name in REASONS))
    ours = local.with_columns(why=reason).group_by("day", "name").agg(
        pl.len().alias("local"), *((pl.col("why") == name).sum().alias(name) for name in REASONS)
    )  # fmt: skip
    others = theirs.group_by("day", "name").agg(pl.col("number").sum().alias("theirs"))
    table = _together(ours.with_columns(missing=0), others.with_columns(foreign=0))
    lacking = pl.col("local") - pl.col("theirs")
    explained = pl.sum_horizontal(REASONS)
    return table.with_columns(missing=(lacking - explained).clip(lower_bound=0), foreign=(-lacking).clip(lower_bound=0))


def _together(ours: pl.DataFrame, theirs: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    columns = ["day", "name", "local", "theirs", *REASONS, "missing", "foreign"]
    return (
        ours.join(theirs, on=["day", "name"], how="full", coalesce=True)
        .select(columns)
        .with_columns(pl.col(columns[2:]).fill_null(0).cast(pl.Int64))
    )
