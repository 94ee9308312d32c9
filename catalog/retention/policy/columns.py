"""Columns: what a policy may speak of. The columns of `clips`, and a few that only retention knows."""

from __future__ import annotations

import functools
from collections.abc import Mapping

import duckdb

from voxledger.catalog import projections

ADDED: Mapping[str, str] = {
    "consent_scope": "VARCHAR",
    "consent_withdrawn": "BOOLEAN",
    "quality": "DOUBLE",
}
"""Columns beyond those of `clips`, with their types (docs/retention.md says what they hold)."""
QUALITY = """(1 - CASE WHEN len(clips.suspect) > 0 THEN 0.4 ELSE 0 END - 0.3 * least(1, coalesce(clips.clipped_samples, 0) / 100)
    - 0.3 * least(1, coalesce(abs(clips.loudness_lufs - clips.target_lufs), 0) / 6))"""
"""From 0 to 1: less for what is suspect, clipped, or not as loud as it was meant to be."""


@functools.cache
def columns() -> Mapping[str, str]:
    """Every column that an expression may name, with its DuckDB type, as the tables of this version have them."""
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        connection.execute("ATTACH ':memory:' AS catalog")
        projections.create(connection)
        found = connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'clips' AND schema_name = 'main'"
        ).fetchall()
    return dict(found) | dict(ADDED)
