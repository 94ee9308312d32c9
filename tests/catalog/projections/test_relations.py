"""Every relation is documented, and its columns do not depend on the moment that is asked about."""

from __future__ import annotations

import pytest

from tests.building import Parts
from tests.catalog.projections.folded import Folded, History
from voxledger.catalog import projections
from voxledger.catalog.projections import RELATIONS

_OURS = tuple(name for name in RELATIONS if name not in ("events", "batches", "epochs"))


@pytest.fixture
def empty() -> Folded:
    return Folded(History())


def test_every_relation_and_column_has_a_comment(empty: Folded) -> None:
    comments = dict(
        empty.connection.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE database_name = 'catalog'"
            " UNION ALL SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'catalog' AND schema_name = 'main'"
        ).fetchall()
    )
    assert sorted(comments) == sorted(_OURS)
    assert all(comments.values())
    bare = empty.connection.execute(
        "SELECT table_name, column_name FROM duckdb_columns()"
        " WHERE database_name = 'catalog' AND schema_name = 'main' AND comment IS NULL"
    ).fetchall()
    assert bare == []


@pytest.mark.parametrize("name", [name for name in _OURS if name != "projections"])
def test_a_relation_has_the_same_columns_at_any_moment(empty: Folded, name: str) -> None:
    def shape(relation: str) -> list[tuple[str, str]]:
        found = empty.connection.execute(f"DESCRIBE FROM {relation}").fetchall()
        return [(row[0], row[1]) for row in found]

    assert shape(name) == shape(f"{name}_at(0)")


def test_relations_of_the_log_are_those_that_are_there(parts: Parts) -> None:
    parts.clip()
    assert {name for name in RELATIONS if parts.rows(f"FROM {name} LIMIT 1")} >= {
        "clips",
        "generations",
        "events",
        "batches",
        "epochs",
    }


def test_temporary_views_hide_every_relation(empty: Folded) -> None:
    projections.as_of(empty.connection, 0)
    found = empty.connection.execute("SELECT view_name FROM duckdb_views() WHERE database_name = 'temp'").fetchall()
    assert sorted(row[0] for row in found) == sorted(RELATIONS)
    assert all(empty.rows(f"FROM {name}") == [] for name in RELATIONS if name != "projections")
