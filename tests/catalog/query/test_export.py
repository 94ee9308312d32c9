"""The detached copy: everything documented, in a file that other tools open."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.building import Parts
from tests.catalog.query.test_pages import catalog_of
from voxledger.catalog import VoxledgerError
from voxledger.catalog.events import AudioAccessed, ClipTagged
from voxledger.catalog.query import export


def _rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [tuple(row.values()) for row in connection.sql(query).to_arrow_table().to_pylist()]


@pytest.fixture
def full(parts: Parts) -> Parts:
    for number in range(40):
        clip = parts.clip(name=f"it's {number}", actor="ann" if number % 2 else "bob", loudness_lufs=None)
        parts.record(ClipTagged(tag="x"), clip)
        parts.record(AudioAccessed(channel="cli", purpose="play"), clip)
    return parts


@pytest.mark.parametrize("size", [7, 200_000])
def test_the_copy_holds_every_relation_row_for_row(
    full: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(export, "_SLICE", size)
    told: list[tuple[int, int]] = []
    made = catalog_of(full).export(tmp_path / "copy.duckdb", progress=lambda done, total: told.append((done, total)))
    assert {"clips", "generations", "plays", "events", "batches"} <= set(made.rows)
    assert made.rows["clips"] == 40
    assert told[-1] == (sum(made.rows.values()), sum(made.rows.values()))
    for relation in made.rows:
        query = f"FROM {relation} ORDER BY ALL"
        assert _rows(made.path, query) == [tuple(row.values()) for row in full.rows(query)]
    assert [path.name for path in tmp_path.iterdir() if "copy" in path.name] == ["copy.duckdb"]
    assert made.bytes == made.path.stat().st_size


def test_comments_and_types_travel_with_the_copy(full: Parts, tmp_path: Path) -> None:
    made = catalog_of(full).export(tmp_path / "copy.duckdb")
    query = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal AND schema_name = 'main'"
    copied = {row[:2]: row[2:] for row in _rows(made.path, query)}
    there = {
        tuple(row.values())[:2]: tuple(row.values())[2:]
        for row in full.rows(query + " AND database_name IN ('catalog', 'log')")
    }
    assert copied == there
    bare = "SELECT table_name FROM duckdb_tables() WHERE comment IS NULL"
    assert _rows(made.path, bare) == []


@pytest.mark.parametrize("version", [None, "v1.0.0", "v1.5.0"])
def test_the_copy_has_the_storage_version_that_was_asked_for(full: Parts, tmp_path: Path, version: str | None) -> None:
    made = catalog_of(full).export(tmp_path / "copy.duckdb", storage_version=version)
    found = _rows(made.path, "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'copy'")
    assert found == [((version or export.STORAGE_VERSION) + "+",)]
    assert made.storage_version == (version or export.STORAGE_VERSION)


def test_a_file_that_is_there_stays_unless_forced(full: Parts, tmp_path: Path) -> None:
    path = tmp_path / "thesis.duckdb"
    path.write_text("years of work")
    with pytest.raises(VoxledgerError, match="is there already"):
        catalog_of(full).export(path)
    assert path.read_text() == "years of work"
    catalog_of(full).export(path, force=True)
    assert _rows(path, "SELECT count(*) FROM clips") == [(40,)]


def test_what_goes_wrong_on_the_way_leaves_nothing(
    full: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt):
        catalog_of(full).export(folder / "copy.duckdb", progress=stop)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "options", "message"),
    [
        ("home/log.duckdb", {"force": True}, "among the files of this HOME"),
        ("home/../home/journal.sqlite", {"force": True}, "among the files of this HOME"),
        ("no/such/folder.duckdb", {}, "does not exist"),
        ("", {"force": True}, "is no file"),
        ("x.duckdb", {"storage_version": "1.5"}, "no storage version"),
        ("x.duckdb", {"storage_version": "v1.5.0'); --"}, "no storage version"),
        ("x.duckdb", {"storage_version": "v9.9.9"}, "cannot write the storage version"),
    ],
)
def test_where_it_cannot_go_is_said_before_anything_is_read(
    parts: Parts, tmp_path: Path, target: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(VoxledgerError, match=message):
        catalog_of(parts).export(tmp_path / target, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
