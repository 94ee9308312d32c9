"""A catalog in memory that tests fold events into, without journal, vault and log."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from tests import templates
from voxledger.catalog import projections
from voxledger.catalog.events import Fact, new_id
from voxledger.catalog.events.parts import split

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
Row = tuple[Any, ...]


class History:
    """Events in order, as folds read them, a second apart. The words of `erased` actors are gone."""

    def __init__(self, *, erased: Iterable[str] = ()) -> None:
        self.rows: list[Row] = []
        self.erased = frozenset(erased)

    def add(self, fact: Fact, subject: str, *, actor: str = "ann", hours: float = 0) -> int:
        """One more event; gives its position."""
        data, personal = split(fact)
        return self.raw(
            type(fact).__name__,
            subject,
            data.decode(),
            personal.decode() if personal and actor not in self.erased else None,
            version=type(fact).version,
            actor=actor,
            hours=hours,
        )

    def raw(
        self,
        kind: str,
        subject: str,
        data: str,
        personal: str | None = None,
        *,
        version: int = 1,
        actor: str = "ann",
        hours: float = 0,
    ) -> int:
        """One more event of any kind."""
        position = len(self.rows) + 1
        recorded = START + timedelta(seconds=position)
        time = recorded + timedelta(hours=hours)
        self.rows.append((position, new_id(), kind, version, subject, time, recorded, actor, data, personal))
        return position

    def table(self, first: int = 1, last: int | None = None) -> pa.Table:
        """The events of these positions."""
        chosen = self.rows[first - 1 : last]
        columns = list(zip(*chosen, strict=True)) if chosen else [()] * len(projections.SCHEMA)
        return pa.table([list(column) for column in columns], schema=projections.SCHEMA)


class Folded:
    """The tables, and a log with nothing but positions and their times."""

    def __init__(self, history: History, *, sizes: Sequence[int] = (10_000,), through: int | None = None) -> None:
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone = 'UTC'; ATTACH ':memory:' AS catalog; ATTACH ':memory:' AS log")
        self.connection.execute("CREATE TABLE log.events (position BIGINT, recorded TIMESTAMPTZ)")
        self.connection.execute("CREATE TABLE log.batches (first BIGINT, last BIGINT)")
        self.connection.execute("CREATE TABLE log.epochs (epoch VARCHAR, first BIGINT)")
        templates.create(self.connection)
        self.history = history
        self.position = 0
        self.fold(sizes, through)
        self.connection.execute("SET search_path = 'catalog,log'")

    def fold(self, sizes: Sequence[int] = (10_000,), through: int | None = None) -> None:
        """Fold what is new in pieces of these sizes, over and over."""
        end = len(self.history.rows) if through is None else through
        turn = 0
        while self.position < end:
            last = min(self.position + sizes[turn % len(sizes)], end)
            table = self.history.table(self.position + 1, last)
            self.connection.register("logged", table)
            self.connection.execute("INSERT INTO log.events SELECT position, recorded FROM logged")
            self.connection.execute("INSERT INTO log.batches VALUES (?, ?)", (self.position + 1, last))
            projections.fold(self.connection, table, last)
            self.position, turn = last, turn + 1

    def as_of(self, position: int) -> None:
        """From here on, the relations are those of this position."""
        projections.as_of(self.connection, position)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The answer, one dictionary a row."""
        found: list[dict[str, Any]] = self.connection.sql(query).to_arrow_table().to_pylist()
        return found

    def row(self, query: str) -> dict[str, Any]:
        """The only row of the answer."""
        (found,) = self.rows(query)
        return found

    def clip(self, clip: str) -> dict[str, Any]:
        """One clip."""
        return self.row(f"SELECT * FROM clips WHERE id = '{clip}'")

    def everything(
        self, *, but: Iterable[str] = ("events", "batches", "epochs", "projections")
    ) -> dict[str, list[str]]:
        """All rows of all relations, in an order of their own."""
        return {
            name: [repr(row) for row in self.rows(f"FROM {name} ORDER BY ALL")]
            for name in projections.RELATIONS
            if name not in but
        }


def shuffled_sizes(draw: random.Random) -> tuple[int, ...]:
    """Sizes of pieces, some of one event and some of many."""
    return tuple(draw.choice((1, 2, 7, 40)) for _ in range(9))
