"""An empty HOME gets its catalog back from the bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.catalog.reconcile.test_orphans import forget
from tests.catalog.reconcile.worlds import World, sound
from voxledger.catalog.errors import HomeError, StoreError
from voxledger.catalog.reconcile import rebuild_from_store

SAME = (
    "id", "created", "actor", "session", "name", "text", "text_hash", "engine", "emotion", "emotion_effective", "language", "format",
    "sample_rate", "duration_us", "bytes", "sha256", "bucket", "key", "state", "loudness_lufs", "adopted",
)  # fmt: skip
OPEN = (
    "id",
    "engine",
    "emotion",
    "language",
    "format",
    "sample_rate",
    "duration_us",
    "bytes",
    "sha256",
    "bucket",
    "key",
    "state",
)


def told(world: World, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    return world.parts.rows(f"SELECT {', '.join(columns)} FROM clips ORDER BY id")


def test_with_records_and_vault_clips_come_back_as_they_were(plain: World, tmp_path: Path) -> None:
    plain.make(3)
    plain.stored(2, actor="bob", seed=10)
    before = told(plain, SAME)
    generations = plain.parts.rows("SELECT count(*) AS n FROM generations")
    other = forget(plain, tmp_path / "other", node=False)
    found = rebuild_from_store(other.around)
    assert (found.whole, found.open, found.unknown) == (5, 0, 0)
    assert told(other, SAME) == before
    assert other.parts.rows("SELECT count(*) AS n FROM generations") == generations
    assert other.reconcile().open == 0
    other.close()


def test_without_the_vault_they_come_back_with_what_is_known_in_the_open(world: World, tmp_path: Path) -> None:
    clips = world.stored(4)
    before = told(world, OPEN)
    other = forget(world, tmp_path / "other", vault=False, node=False)
    found = rebuild_from_store(other.around)
    assert (found.whole, found.open) == (0, 4)
    assert told(other, OPEN) == before
    row = other.clip(clips[0])
    # Who and what it is called stand in the key.
    assert (row["actor"], row["session"], row["name"], row["text"], row["adopted"]) == (
        "ann",
        "demo",
        "tide",
        None,
        "store",
    )
    assert abs((row["created"] - world_created(clips[0])).total_seconds()) < 5
    assert other.reconcile().open == 0
    other.close()


def world_created(clip: str) -> Any:
    from datetime import UTC, datetime
    from uuid import UUID

    return datetime.fromtimestamp((UUID(clip).int >> 80) / 1000, UTC)


def test_a_second_run_brings_back_only_what_is_new(world: World, tmp_path: Path) -> None:
    world.stored(2)
    other = forget(world, tmp_path / "other", node=False)
    rebuild_from_store(other.around)
    before = other.parts.journal.head()
    found = rebuild_from_store(other.around)
    assert (found.known, found.whole, found.open) == (2, 0, 0)
    assert other.parts.journal.head() == before
    other.close()


def test_objects_that_say_nothing_are_counted_and_left(plain: World, tmp_path: Path) -> None:
    plain.stored()
    plain.store.put(plain.bucket, "x/y.wav", sound(3))
    other = forget(plain, tmp_path / "other", node=False)
    found = rebuild_from_store(other.around)
    assert (found.objects, found.whole, found.unknown) == (2, 1, 1)
    other.close()


def test_a_home_with_a_log_of_its_own_is_refused(plain: World) -> None:
    plain.stored()
    head = plain.parts.journal.head()
    with pytest.raises(HomeError, match="has a log of its own"):
        rebuild_from_store(plain.around)
    assert plain.parts.journal.head() == head


def test_an_empty_bucket_is_refused_and_changes_nothing(plain: World) -> None:
    with pytest.raises(StoreError, match="lists nothing"):
        rebuild_from_store(plain.around)
    assert plain.parts.journal.cursors() == []


def test_an_erased_person_does_not_come_back(plain: World, tmp_path: Path) -> None:
    plain.stored(2)
    plain.stored(1, actor="bob", seed=10)
    actor = plain.parts.vault.actor("ann").id
    plain.parts.vault._connection.execute("UPDATE actors SET key = NULL, label = NULL WHERE id = ?", (actor,))
    plain.parts.vault._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other = forget(plain, tmp_path / "other", node=False)
    found = rebuild_from_store(other.around)
    assert (found.whole, found.open, found.unknown) == (1, 0, 2)
    assert other.parts.rows("SELECT actor FROM clips") == [{"actor": "bob"}]
    other.close()
