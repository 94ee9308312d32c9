"""The log keeper: what reaches the journal reaches the log and the tables, once, whatever happens on the way."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import forking
from tests.building import Parts
from tests.soak import FULL, rounds
from voxledger.catalog import CatalogBusy, DiskFull, JournalError, LogCorrupt, projections
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    AudioUploadFailed,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipTagged,
    ClipUnmarked,
    ClipUnpinned,
    ClipUntagged,
    GenerationFailed,
    GenerationReused,
    PurgeStarted,
    digest,
    new_id,
    now,
)
from voxledger.catalog.log import Keeper, sealing, writer

_TABLES = ("clips", "generations", "plays")


def _stored() -> AudioStored:
    return AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")


def _clip(parts: Parts, clip: str) -> dict[str, Any]:
    return parts.rows(f"SELECT * FROM clips WHERE id = '{clip}'")[0]


def _fingerprint_of_tables(parts: Parts) -> str:
    """A hash over all rows of all tables in an order of their own."""
    sums = hashlib.sha256()
    for table in _TABLES:
        for row in parts.rows(f"SELECT * FROM {table} ORDER BY ALL"):
            sums.update(repr(row).encode())
    return sums.hexdigest()


def _busy_life(parts: Parts, seed: int, steps: int) -> None:
    """Random events about a few clips, in any order that can happen."""
    draw = random.Random(seed)
    clips = [parts.clip(name="first")]
    for _ in range(steps):
        clip = draw.choice(clips)
        fact = draw.choice([
            ClipTagged(tag=draw.choice("abc")),
            ClipUntagged(tag=draw.choice("abc")),
            ClipPinned(reason=draw.choice([None, "good"])),
            ClipUnpinned(),
            _stored(),
            AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=3, key="k"),
            AudioAccessed(channel="cli", purpose="play"),
            ClipMarked(plan="p", rule="r", delete_after=now()),
            ClipUnmarked(plan="p", reason="used"),
            GenerationReused(channel="cli", features=(), engine="espeak", language="en", emotion="happy", text_length=3,
                             duration_us=5, saved_us=7, actor_label="ann"),
            GenerationFailed(channel="cli", engine="espeak", language=None, failure="timeout", stage="engine", emotion="sad",
                             text_length=3, elapsed_us=9, actor_label="bob"),
            None,
        ])  # fmt: skip
        if fact is None:
            clips.append(parts.clip(actor=draw.choice(["ann", "bob"]), tags=("a",)))
        else:
            parts.record(fact, clip)
        if draw.random() < 0.2:
            parts.keeper.drain()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A HOME after a busy life, some of it sealed, and the fingerprint of its tables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sealing, "SEAL", 10)
        parts = Parts(tmp_path_factory.mktemp("lived") / "home")
        _busy_life(parts, 6, 40)
        before = _fingerprint_of_tables(parts)
        parts.close()
    return parts.home.path, before


@pytest.fixture
def busy(lived: tuple[Path, str], tmp_path: Path) -> Iterator[tuple[Parts, str]]:
    """A copy of it."""
    shutil.copytree(lived[0], tmp_path / "busy")
    parts = Parts(tmp_path / "busy")
    yield parts, lived[1]
    parts.close()


def test_a_clip_is_found_as_it_was_recorded(parts: Parts) -> None:
    clip = parts.clip(tags=("b", "a", "b"), name="Gezeiten", dropped=("speaker_clip",))
    row = _clip(parts, clip)
    assert (row["short"], row["name"], row["text"], row["actor"]) == (
        clip[-8:],
        "Gezeiten",
        "The tide is turning.",
        "ann",
    )
    assert row["tags"] == ["a", "b"]
    assert row["dropped"] == ["speaker_clip"]
    assert (row["duration_s"], row["state"], row["plays"]) == (1.5, "local", 0)
    assert row["emotion_effective"][0] == pytest.approx(0.8)


def test_every_attempt_is_one_row(parts: Parts) -> None:
    clip = parts.clip()
    reused = GenerationReused(
        channel="cli", features=("emotion",), engine="espeak", language="en", emotion="happy", text_length=20,
        duration_us=1_500_000, saved_us=20_000, actor_label="bob",
    )  # fmt: skip
    failed = GenerationFailed(
        channel="batch", engine="espeak", language="en", failure="engine_failed", stage="engine", emotion="sad",
        text_length=9, elapsed_us=100, actor_label="ann",
    )  # fmt: skip
    parts.record(reused, clip, actor="bob")
    parts.record(failed, new_id())
    rows = parts.rows("SELECT outcome, actor, saved_us, failure, duration_s FROM generations ORDER BY position")
    assert [row["outcome"] for row in rows] == ["completed", "reused", "failed"]
    assert (rows[1]["actor"], rows[1]["saved_us"], rows[1]["duration_s"]) == ("bob", 20_000, 1.5)
    assert rows[2]["failure"] == "engine_failed"
    assert _clip(parts, clip)["reuses"] == 1


def test_the_last_word_counts(parts: Parts) -> None:
    clip = parts.clip(tags=("x",))
    for fact in (
        ClipTagged(tag="y"),
        ClipUntagged(tag="x"),
        ClipTagged(tag="x"),
        ClipUntagged(tag="y"),
        ClipPinned(reason="why"),
    ):
        parts.record(fact, clip)
    row = _clip(parts, clip)
    assert (row["tags"], row["pinned"], row["pin_reason"]) == (["x"], True, "why")
    parts.record(ClipUnpinned(), clip)
    assert (_clip(parts, clip)["pinned"], _clip(parts, clip)["pin_reason"]) == (False, None)


def test_states_follow_a_clip_through_its_life(parts: Parts) -> None:
    clip = parts.clip()
    states = []
    for fact in (
        AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=8, key="k"),
        _stored(),
        ClipMarked(plan="p", rule="scratch", delete_after=now()),
        ClipUnmarked(plan="p", reason="used"),
        ClipMarked(plan="q", rule="scratch", delete_after=now()),
        PurgeStarted(plan="q", rule="scratch", bucket="b"),
        ClipPurged(plan="q", rule="scratch", bucket="b", bytes=1),
    ):
        parts.record(fact, clip)
        states.append(_clip(parts, clip)["state"])
    assert states == ["upload failed", "stored", "marked", "stored", "marked", "purging", "purged"]
    assert _clip(parts, clip)["path"] is None


@pytest.mark.parametrize("seed", rounds(30))
def test_tables_equal_a_rebuild_row_for_row(parts: Parts, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _busy_life(parts, seed, 80 if FULL else 50)
    before = _fingerprint_of_tables(parts)
    monkeypatch.setattr(writer, "BATCH", 7)
    parts.keeper.rebuild()
    assert _fingerprint_of_tables(parts) == before
    monkeypatch.setattr(writer, "BATCH", 10_000)
    parts.keeper.rebuild()
    assert _fingerprint_of_tables(parts) == before


def test_draining_twice_changes_nothing(busy: tuple[Parts, str]) -> None:
    parts, before = busy
    fresh = Keeper(parts.home, parts.recorder)
    assert fresh.drain() == parts.journal.head()
    assert _fingerprint_of_tables(parts) == before


def test_the_log_holds_the_digest_of_the_acknowledged_bytes(parts: Parts) -> None:
    parts.clip()
    parts.clip()
    bodies = parts.journal.read(0, 10)
    assert [row["digest"] for row in parts.rows("SELECT digest FROM events ORDER BY position")] == [
        digest(body) for _, body in bodies
    ]
    batch = parts.rows("SELECT * FROM batches")[0]
    assert (batch["first"], batch["last"], batch["previous"]) == (1, 2, bytes(32))
    first = hashlib.sha256(bytes(32) + digest(bodies[0][1])).digest()
    assert batch["digest"] == hashlib.sha256(first + digest(bodies[1][1])).digest()


def test_sealed_events_leave_the_journal_and_heal_the_log(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL", 10)
    clips = [parts.clip() for _ in range(25)]
    parts.keeper.drain()
    assert [(segment.first, segment.last) for segment in parts.keeper.segments.all()] == [(1, 10), (11, 20)]
    assert parts.journal.oldest() == 21
    parts.home.log.unlink()
    parts.home.catalog.unlink()
    assert Keeper(parts.home, parts.recorder).drain() == 25
    assert {str(row["id"]) for row in parts.rows("SELECT id FROM clips")} == set(clips)


def test_a_missing_segment_is_named_and_nothing_is_made_up(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL", 10)
    for _ in range(12):
        parts.clip()
    parts.keeper.drain()
    parts.home.log.unlink()
    parts.keeper.segments.all()[0].path.unlink()
    with pytest.raises(LogCorrupt, match="position 1 is neither in the journal nor in a segment") as caught:
        Keeper(parts.home, parts.recorder).drain()
    assert caught.value.position == 1


def test_a_damaged_segment_is_named(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL", 10)
    for _ in range(12):
        parts.clip()
    parts.keeper.drain()
    path = parts.keeper.segments.all()[0].path
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    parts.home.log.unlink()
    with pytest.raises(LogCorrupt, match="cannot be read"):
        Keeper(parts.home, parts.recorder).drain()


def test_a_journal_of_another_home_is_refused(parts: Parts, tmp_path: Path) -> None:
    for _ in range(3):
        parts.clip()
    parts.keeper.drain()
    stranger = Parts(tmp_path / "other")
    for _ in range(3):
        stranger.clip()
    for part in (parts, stranger):
        part.close()
    parts.home.journal.write_bytes(stranger.home.journal.read_bytes())
    for suffix in ("-wal", "-shm"):
        parts.home.journal.with_name(parts.home.journal.name + suffix).unlink(missing_ok=True)
    with pytest.raises(JournalError, match="belongs to node"):
        Parts(parts.home.path)
    parts.home.journal.with_suffix(".mark").unlink()
    swapped = Parts(parts.home.path)
    with pytest.raises(LogCorrupt, match="position 3 in the journal is not the event that the log holds"):
        swapped.keeper.drain()
    swapped.close()


def test_a_missing_catalog_is_rebuilt(busy: tuple[Parts, str]) -> None:
    parts, before = busy
    parts.home.catalog.unlink()
    assert _fingerprint_of_tables(parts) == before


def test_a_journal_lost_with_undrained_events_stops_nobody_from_reading(
    parts: Parts, caplog: pytest.LogCaptureFixture
) -> None:
    clips = {parts.clip() for _ in range(3)}
    parts.keeper.drain()
    parts.clip()
    parts.close()
    for file in parts.home.path.glob("journal.sqlite*"):
        file.unlink()
    again = Parts(parts.home.path)
    assert "was missing and is made anew" in caplog.text
    assert {str(row["id"]) for row in again.rows("SELECT id FROM clips")} == clips
    clips.add(again.clip())
    assert {str(row["id"]) for row in again.rows("SELECT id FROM clips")} == clips
    assert again.rows("SELECT lost_first, lost_last FROM epochs WHERE lost_first IS NOT NULL") == [
        {"lost_first": 4, "lost_last": 4}
    ]
    again.close()


def test_a_catalog_that_another_process_has_begun_anew_is_filled_before_it_answers(parts: Parts) -> None:
    clips = {parts.clip() for _ in range(5)}
    assert len(parts.rows("SELECT id FROM clips")) == 5
    parts.home.catalog.unlink()
    begun = Parts(parts.home.path)  # stands for a process that is killed right after it has made the tables
    with begun.keeper._files.writing(5.0) as connection:
        projections.create(connection, begun=5)
    begun.close()
    assert {str(row["id"]) for row in parts.rows("SELECT id FROM clips")} == clips


def test_a_catalog_of_another_version_is_rebuilt(busy: tuple[Parts, str]) -> None:
    parts, before = busy
    with duckdb.connect(str(parts.home.catalog)) as connection:
        connection.execute("UPDATE projections SET version = 0")
        connection.execute("DELETE FROM folded.clips")
    parts.record(ClipUnpinned(), new_id())
    assert _fingerprint_of_tables(parts) == before


def test_readers_cannot_write(parts: Parts) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        for statement in (
            "DELETE FROM clips",
            "CREATE TABLE log.x (a INT)",
            "COPY (SELECT 1) TO '/tmp/x.csv'",
            "SET threads = 1",
        ):
            with pytest.raises(duckdb.Error):
                reading.table(statement)
        with pytest.raises(duckdb.Error):
            reading.table("SELECT * FROM read_text('/etc/hostname')")


def test_who_holds_the_log_is_named(parts: Parts) -> None:
    parts.clip()
    parts.keeper.drain()
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(parts.home.log)!r}); print('held', flush=True); sys.stdin.read()"
    )
    holder = forking.spawn(["-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    parts.clip()
    with pytest.raises(CatalogBusy, match=f"process {holder.pid}"):
        parts.keeper.drain(patience=0.2)
    holder.communicate("")
    assert parts.keeper.drain() == 2


def test_two_processes_drain_and_agree(parts: Parts) -> None:
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[2])!r}]; from pathlib import Path; from tests.building import Parts\n"
        f"parts = Parts(Path({str(parts.home.path)!r}))\n"
        "for _ in range(15):\n"
        "    parts.clip(); parts.keeper.drain()\n"
    )
    processes = [forking.spawn(["-c", code]) for _ in range(2)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    assert parts.rows("SELECT count(*) AS n, count(DISTINCT id) AS ids FROM clips") == [{"n": 30, "ids": 30}]
    assert parts.rows("SELECT max(position) AS last, count(*) AS n FROM events") == [{"last": 30, "n": 30}]


def test_an_erased_actor_leaves_the_numbers_and_takes_the_words(parts: Parts) -> None:
    clip = parts.clip(actor="ann")
    parts.vault._connection.execute("UPDATE actors SET key = NULL, label = NULL")
    parts.vault._by_id.clear()
    parts.keeper.drain()
    row = _clip(parts, clip)
    assert (row["duration_s"], row["emotion"]) == (1.5, "happy")
    assert (row["text"], row["actor"], row["name"], row["key"]) == (None, None, None, None)


def test_every_relation_and_column_has_a_comment(parts: Parts) -> None:
    parts.clip()
    parts.keeper.drain()
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{parts.home.catalog}' AS catalog (READ_ONLY)")
        connection.execute(f"ATTACH '{parts.home.log}' AS log (READ_ONLY)")
        where = "database_name IN ('catalog', 'log') AND schema_name = 'main' AND comment IS NULL"
        bare = connection.execute(f"SELECT table_name FROM duckdb_tables() WHERE {where}").fetchall()
        bare += connection.execute(f"SELECT table_name, column_name FROM duckdb_columns() WHERE {where}").fetchall()
    assert bare == []


@pytest.mark.parametrize("name", ["log.duckdb", "catalog.duckdb"])
@pytest.mark.parametrize("damage", ["cut", "garbage", "flip"])
def test_a_damaged_file_is_moved_aside_and_filled_again(
    busy: tuple[Parts, str], name: str, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealing, "SEAL", 10)
    parts, before = busy
    path = parts.home.path / name
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 3]
    elif damage == "garbage":
        content[:] = b"no database at all. " * 1000
    else:
        content[4096 + 17] ^= 0xFF
        content[8192 + 17] ^= 0xFF
        content[17] ^= 0xFF
    path.write_bytes(content)
    fresh = Keeper(parts.home, parts.recorder)
    parts.keeper = fresh
    with contextlib.suppress(LogCorrupt):  # damage that only reading finds is told once
        parts.rows("SELECT * FROM clips")
        parts.rows("SELECT * FROM events")
    assert _fingerprint_of_tables(parts) == before
    aside = list(parts.home.path.glob(f"{name}.damaged-*"))
    assert [found.read_bytes() for found in aside] == [bytes(content)]


def test_a_full_disk_while_draining_loses_nothing(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(small)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        parts = Parts(small / "home")
        clips = [parts.clip() for _ in range(20)]
        filler = small / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        with pytest.raises(DiskFull, match=r"safe in the journal|nothing was recorded"):
            parts.keeper.drain()
        filler.unlink()
        assert {str(row["id"]) for row in parts.rows("SELECT id FROM clips")} == set(clips)
        parts.close()
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
