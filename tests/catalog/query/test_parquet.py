"""The folder of Parquet files: the catalog row for row, by week, changed as a whole and only where something has changed."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from cyclopts import App

from tests.building import Parts, completed
from tests.catalog.query.test_pages import catalog_of
from voxledger.catalog import CatalogBusy, QueryError, VoxledgerError, platform, terminal
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.commands.export import Commands
from voxledger.catalog.errors import DiskFull
from voxledger.catalog.events import AudioAccessed, ClipTagged, new_id
from voxledger.catalog.query import parquet, parquet_folder
from voxledger.ledger import Ledger

_WEEK = timedelta(days=7)
_MONDAY = datetime(2025, 9, 8, 12, tzinfo=UTC)


@pytest.fixture
def full(parts: Parts) -> Parts:
    """Four weeks with ten clips each."""
    drafts = []
    for number in range(40):
        when, clip, name = _MONDAY + _WEEK * (number // 10), new_id(), "ann" if number % 2 else "bob"
        facts = (
            completed(name=f"it's {number}", actor_label=name, loudness_lufs=None),
            ClipTagged(tag="x"),
            AudioAccessed(channel="cli", purpose="play"),
        )
        actor = parts.vault.actor(name)
        drafts += [parts.recorder.draft(fact, subject=clip, actor=actor, time=when) for fact in facts]
    parts.journal.emit(*drafts)
    return parts


def catalog_in(parts: Parts, zone: str) -> Catalog:
    return Catalog(parts.home, parts.recorder, parts.keeper, lambda: 1 / 0, actor="ann", channel="cli", zone=zone)  # type: ignore[arg-type,return-value]


def files(folder: Path) -> dict[str, int]:
    """The files of the present state, with what tells whether they were written anew."""
    return {
        file.relative_to(folder).as_posix(): file.stat().st_ino
        for file in folder.rglob("*.parquet")
        if ".voxledger" not in file.parts
    }


def read(folder: Path, relation: str) -> list[str]:
    """Its rows as DuckDB reads them, in no order."""
    divided = any("week=" in str(file) for file in (folder / relation).iterdir())
    columns = "* EXCLUDE (week)" if divided else "*"
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        query = f"SELECT {columns} FROM read_parquet('{folder}/{relation}/**/*.parquet', hive_partitioning = true)"
        return sorted(map(repr, connection.sql(query).to_arrow_table().to_pylist()))


def stored(parts: Parts, relation: str) -> list[str]:
    return sorted(map(repr, parts.rows(f"FROM {relation}")))


@pytest.mark.parametrize("size", [3, 60_000])
def test_the_folder_holds_every_relation_row_for_row(
    full: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", size)
    heard: list[tuple[str, int, int | None]] = []
    made = catalog_of(full).export_parquet(tmp_path / "lake", progress=lambda *told: heard.append(told))
    assert {"clips", "generations", "plays", "events", "batches"} <= set(made.rows)
    assert (made.rows["clips"], made.rows["events"], made.position) == (40, 120, 120)
    for relation in made.rows:
        assert read(made.path, relation) == stored(full, relation), relation
    assert heard[-1] == ("writing rows", sum(made.rows.values()), sum(made.rows.values()))
    assert made.files == made.written == len(files(made.path))
    assert [path.name for path in (made.path / ".voxledger").iterdir()] == ["lock"]


def test_polars_and_pyarrow_read_it_by_week(full: Parts, tmp_path: Path) -> None:
    made = catalog_of(full).export_parquet(tmp_path / "lake")
    frame = pl.scan_parquet(made.path / "clips", hive_partitioning=True).filter(pl.col("week") == "2025-W38").collect()
    assert (frame.height, set(frame["name"])) == (10, {f"it's {number}" for number in range(10, 20)})
    table = ds.dataset(made.path / "clips", partitioning="hive").to_table(filter=ds.field("week") == "2025-W39")
    assert sorted(table["id"].to_pylist()) == sorted(
        row["id"] for row in full.rows("SELECT id FROM clips WHERE name[6:]::INTEGER BETWEEN 20 AND 29")
    )
    file = pq.ParquetFile(made.path / "clips/week=2025-W37/part-0.parquet")
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    schema = file.schema_arrow
    assert schema.field("sha256").metadata == {b"comment": b"SHA-256 of the file, hex."}
    assert schema.metadata[b"comment"] == b"One row a clip, in its present state."


@pytest.mark.parametrize(
    ("zone", "week"),
    [("UTC", "2020-W53"), ("Europe/Berlin", "2021-W01"), ("America/New_York", "2020-W53")],
)
def test_weeks_are_iso_weeks_of_the_time_zone(parts: Parts, tmp_path: Path, zone: str, week: str) -> None:
    parts.clip(time=datetime(2021, 1, 3, 23, 30, tzinfo=UTC))
    catalog_in(parts, zone).export_parquet(tmp_path / "lake", relations=["generations"])
    assert list(files(tmp_path / "lake")) == [f"generations/week={week}/part-0.parquet"]


def test_only_weeks_that_have_changed_are_written_again(full: Parts, tmp_path: Path) -> None:
    catalog = catalog_of(full)
    first = catalog.export_parquet(tmp_path / "lake")
    before = files(first.path)
    again = catalog.export_parquet(tmp_path / "lake")
    assert (again.written, again.rows, again.bytes, files(first.path)) == (0, first.rows, first.bytes, before)
    clip = str(full.rows("SELECT id FROM clips WHERE name = 'it''s 15'")[0]["id"])
    full.record(AudioAccessed(channel="cli", purpose="play"), clip, time=_MONDAY + _WEEK * 9)
    changed = catalog.export_parquet(tmp_path / "lake")
    after = files(first.path)
    assert {
        name for name in after if before.get(name) != after[name] and "week=" in name and "batches" not in name
    } == {
        "clips/week=2025-W38/part-0.parquet",
        "plays/week=2025-W46/part-0.parquet",
        "events/week=2025-W46/part-0.parquet",
        *(name for name in after if name.startswith("changes/") and before.get(name) != after[name]),
    }
    assert changed.written < changed.files / 2
    for relation in changed.rows:
        assert read(first.path, relation) == stored(full, relation), relation
    manifest = json.loads((first.path / "_voxledger.json").read_bytes())["relations"]["clips"]
    assert (manifest["2025-W38"]["position"], manifest["2025-W37"]["position"]) == (121, 120)


def test_a_file_that_was_harmed_is_written_again(full: Parts, tmp_path: Path) -> None:
    catalog = catalog_of(full)
    made = catalog.export_parquet(tmp_path / "lake")
    (made.path / "clips/week=2025-W38/part-0.parquet").write_bytes(b"PAR1")
    (made.path / "plays/week=2025-W38/part-0.parquet").unlink()
    assert catalog.export_parquet(tmp_path / "lake").written == 2
    assert read(made.path, "clips") == stored(full, "clips")
    assert catalog.export_parquet(tmp_path / "lake", force=True).written == made.files


def test_as_of_shows_it_as_it_stood_and_takes_weeks_away(full: Parts, tmp_path: Path) -> None:
    time.sleep(0.002)
    then = datetime.now(UTC)
    time.sleep(0.002)
    full.clip(time=_MONDAY + _WEEK * 20)
    catalog = catalog_of(full)
    assert catalog.export_parquet(tmp_path / "lake").rows["clips"] == 41
    past = catalog.export_parquet(tmp_path / "lake", as_of=then)
    assert (past.rows["clips"], past.position, past.removed >= 3) == (40, 120, True)
    assert not (tmp_path / "lake/clips/week=2026-W05").exists()


def test_one_relation_leaves_the_others_as_they_are(full: Parts, tmp_path: Path) -> None:
    catalog = catalog_of(full)
    catalog.export_parquet(tmp_path / "lake", relations=["plays"])
    assert {name.split("/")[0] for name in files(tmp_path / "lake")} == {"plays"}
    made = catalog.export_parquet(tmp_path / "lake", relations=["clips"])
    assert made.rows == {"clips": 40, "plays": 40}
    assert made.written == 4
    assert len(files(made.path)) == made.files == 8


def test_cut_off_it_leaves_the_folder_as_it_was_and_goes_on(full: Parts, tmp_path: Path) -> None:
    catalog = catalog_of(full)
    catalog.export_parquet(tmp_path / "lake", relations=["plays"])
    before = files(tmp_path / "lake")
    written = []

    def stop(step: str, done: int, total: int | None) -> None:
        if step == "writing rows":
            written.append(done)
            if done > 200:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        catalog.export_parquet(tmp_path / "lake", progress=stop)
    assert files(tmp_path / "lake") == before
    full.clip(time=_MONDAY)  # and what was written of that week is no longer right
    made = catalog.export_parquet(tmp_path / "lake")
    assert made.written < made.files - 8
    for relation in made.rows:
        assert read(made.path, relation) == stored(full, relation), relation


def test_cut_off_while_the_folder_changes_it_is_finished_by_the_next_one(
    full: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = catalog_of(full)
    catalog.export_parquet(tmp_path / "lake")
    full.clip(time=_MONDAY)
    replace, times = Path.replace, []

    def cut_off(self: Path, target: Path) -> Path:
        if self.suffix == ".parquet" and "lake/.voxledger" not in str(target):
            times.append(target)
            if len(times) == 2:
                raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", cut_off)
        catalog.export_parquet(tmp_path / "lake")
    made = catalog.export_parquet(tmp_path / "lake")
    assert made.written == 0
    for relation in made.rows:
        assert read(made.path, relation) == stored(full, relation), relation


def test_no_room_leaves_what_was_there(full: Parts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full_disk(file: Any) -> None:
        if str(file.name).endswith(".parquet.part"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(platform, "fsync_file", full_disk)
    with pytest.raises(DiskFull, match="the next export goes on from here"):
        catalog_of(full).export_parquet(tmp_path / "lake")
    assert files(tmp_path / "lake") == {}


def test_a_node_that_serves_makes_no_difference(full: Parts, tmp_path: Path) -> None:
    asker = Parts(full.home.path)
    with full.keeper.serving():
        made = catalog_of(asker).export_parquet(tmp_path / "lake")
        assert read(made.path, "clips") == stored(full, "clips")
    asker.close()
    assert catalog_of(full).export_parquet(tmp_path / "lake", relations=["clips", "generations"]).written == 0


def test_what_others_have_put_there_stays(full: Parts, tmp_path: Path) -> None:
    catalog = catalog_of(full)
    made = catalog.export_parquet(tmp_path / "lake", relations=["plays"])
    (made.path / "notes.md").write_text("mine")
    (made.path / "plays/week=2025-W37/mine.txt").write_text("mine")
    made = catalog.export_parquet(tmp_path / "lake", relations=["plays"], as_of=datetime(2026, 1, 1, tzinfo=UTC))
    assert (made.rows["plays"], made.removed) == (0, 4)
    assert (made.path / "notes.md").exists()
    assert [file.name for file in (made.path / "plays/week=2025-W37").iterdir()] == ["mine.txt"]


def test_one_export_at_a_time_writes_to_a_folder(full: Parts, tmp_path: Path) -> None:
    with (
        parquet_folder.opened(tmp_path / "lake", "n", force=False),
        pytest.raises(CatalogBusy, match="another export is writing to"),
    ):
        catalog_of(full).export_parquet(tmp_path / "lake")


def test_the_folder_of_another_node_is_taken_over_only_by_force(full: Parts, tmp_path: Path) -> None:
    other = Parts(tmp_path / "other")
    other.clip(time=_MONDAY - _WEEK * 40)
    catalog_of(other).export_parquet(tmp_path / "lake")
    other.close()
    with pytest.raises(VoxledgerError, match="holds the export of another node"):
        catalog_of(full).export_parquet(tmp_path / "lake", relations=["clips"])
    made = catalog_of(full).export_parquet(tmp_path / "lake", relations=["clips"], force=True)
    assert made.rows == {"clips": 40}
    assert len(files(made.path)) == 4


@pytest.mark.parametrize(
    ("target", "options", "kind", "message"),
    [
        ("home/lake", {}, VoxledgerError, "lies in this HOME"),
        ("home", {"force": True}, VoxledgerError, "lies in this HOME"),
        ("no/such/folder", {}, VoxledgerError, "does not exist; make it first"),
        ("file", {}, VoxledgerError, "is a file; name a folder"),
        ("thesis", {"force": True}, VoxledgerError, "is not empty, and was not made by"),
        ("forged", {"force": True}, VoxledgerError, "cannot be read, or was written by a newer"),
        ("lake", {"relations": ["clip"]}, QueryError, "there is no relation 'clip'; did you mean clips?"),
        ("lake", {"relations": ["zzz"]}, QueryError, "there are batches, changes, clips"),
        ("lake", {"as_of": datetime(2026, 1, 1)}, QueryError, "has no time zone"),  # noqa: DTZ001
    ],
)
def test_where_it_cannot_go_nothing_is_touched(
    parts: Parts, tmp_path: Path, target: str, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter.md").write_text("years of work")
    (tmp_path / "forged").mkdir()
    entry = {"rows": 1, "bytes": 1, "content": "x", "position": 1}
    forged = {"node": "n", "position": 1, "as_of": None, "time_zone": "UTC", "whole": True}
    (tmp_path / "forged/_voxledger.json").write_text(json.dumps({**forged, "relations": {"../thesis": {"": entry}}}))
    with pytest.raises(kind, match=message):
        catalog_of(parts).export_parquet(tmp_path / target, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "forged", "home", "thesis"]
    assert [path.name for path in (tmp_path / "thesis").iterdir()] == ["chapter.md"]


@pytest.fixture
def line(full: Parts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.setattr(terminal.console, "_width", 160)
    app = App(result_action="return_value")
    Commands(lambda **options: Ledger(full.home.path, overrides=options)).add_to(app)

    def run(*arguments: str) -> str:
        app(["export", "parquet", *arguments])
        return capsys.readouterr().out

    return run


def test_the_command_says_what_it_wrote(line: Callable[..., str], full: Parts, tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    told = json.loads(line(str(lake), "--relation", "clips", "--relation", "plays", "--json"))
    assert (told["rows"], told["files"], told["written"]) == ({"clips": 40, "plays": 40}, 8, 8)
    said = line(str(lake))
    assert "generations           40" in said
    assert f"{lake}: " in said
    assert (
        line(str(lake), "--as-of", "2020-01-01", "--relation", "clips")
        .splitlines()[-1]
        .endswith("1 written, 4 removed")
    )
    assert read(lake, "plays") == stored(full, "plays")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--relation", "playz"), "did you mean plays"),
        (("--as-of", "soon"), "--as-of 'soon' is no moment"),
    ],
)
def test_a_mistake_is_one_clear_error(
    line: Callable[..., str], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    with pytest.raises(VoxledgerError, match=message):
        line(str(tmp_path / "lake"), *arguments)
    assert not (tmp_path / "lake").exists()
