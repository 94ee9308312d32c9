"""Copies of the tables: each is of one position, whole, whatever goes on while it is made; and nobody loses a lock by it."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests import forking
from tests.building import Parts
from tests.soak import FULL, count, told_of_soak
from voxledger.catalog import CatalogBusy
from voxledger.catalog.events import ClipTagged

_PATIENCE = 60.0
_SUMS = (
    "SELECT count(*), bit_xor(hash(id, tags, text, emotion, plays)) FROM {clips}",
    "SELECT count(*), bit_xor(hash(position, clip, outcome)) FROM {generations}",
)


@contextmanager
def _going_on(*works: Callable[[], Any]) -> Iterator[None]:
    """Each of these again and again, in a thread of its own, until the block ends."""
    stop, failures = threading.Event(), list[BaseException]()

    def again(work: Callable[[], Any]) -> None:
        try:
            while not stop.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  # told in the main thread
            failures.append(error)

    threads = [threading.Thread(target=again, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []


def _sums(path: Path) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return [
            connection.execute(query.format(clips="clips", generations="generations")).fetchall()[0] for query in _SUMS
        ]


def _sums_at(parts: Parts, position: int) -> list[tuple[Any, ...]]:
    at = {name: f"{name}_at({position})" for name in ("clips", "generations")}
    with parts.keeper.reading(fresh=False) as reading:
        return [reading.tuples(query.format(**at))[0] for query in _SUMS]


def test_a_copy_is_of_one_position_while_others_write_drain_and_read(parts: Parts, tmp_path: Path) -> None:
    clips = [parts.clip()]

    def write() -> None:
        clips.extend(parts.clip(name=f"clip {len(clips)}") for _ in range(random.randint(1, 30)))
        for number in range(random.randint(0, 5)):
            parts.record(ClipTagged(tag=f"tag {number}"), random.choice(clips))
        parts.keeper.drain()

    def read() -> None:
        with parts.keeper.reading(fresh=False) as reading:
            for _ in range(random.randint(1, 20)):
                reading.tuples("SELECT count(*), max(text) FROM clips")

    rounds, copy = 200 if FULL else 8, tmp_path / "copy.duckdb"
    with parts.keeper.serving(), _going_on(write, read):
        for _ in range(rounds):
            position = parts.keeper.copying().run(copy, patience=_PATIENCE)
            assert _sums(copy) == _sums_at(parts, position)
            assert [path.name for path in tmp_path.glob("copy*")] == ["copy.duckdb"]
            copy.unlink()
    told_of_soak("copies of the tables", copies=rounds, clips=len(clips))


def test_what_an_old_reader_keeps_out_of_the_file_is_in_the_copy(parts: Parts, tmp_path: Path) -> None:
    """It prevents a checkpoint: then the copy takes what the write-ahead log holds."""
    clip = parts.clip()
    with parts.keeper.serving(), parts.keeper.reading() as reading:
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]
        parts.record(ClipTagged(tag="new"), clip)
        parts.clip()
        parts.keeper.drain()
        assert parts.keeper.copying().run(tmp_path / "copy.duckdb", patience=_PATIENCE) == 3
        assert _sums(tmp_path / "copy.duckdb") == _sums_at(parts, 3)
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]


def test_the_node_keeps_its_lock(parts: Parts, tmp_path: Path) -> None:
    """A process that closes any handle on a file loses its locks on it: another one could write the tables then."""
    parts.clip()
    program = f"import duckdb; duckdb.connect({str(parts.home.catalog)!r})"
    with parts.keeper.serving():
        parts.keeper.copying().run(tmp_path / "copy.duckdb", patience=_PATIENCE)
        other = forking.run(["-c", program])
        assert other.returncode != 0
        assert "lock" in other.stderr


def test_no_copy_comes_after_the_tables_were_written_anew(parts: Parts, tmp_path: Path) -> None:
    """Who was erased is not in tables written anew, and a copy of those before must not appear then."""
    for _ in range(20):
        parts.clip()
    made: list[int] = []
    with parts.keeper.serving(), _going_on(lambda: parts.keeper.rebuild()):
        for number in range(count(30)):
            copy = tmp_path / f"{number}.duckdb"
            try:
                position = parts.keeper.copying().run(copy, patience=_PATIENCE)
            except CatalogBusy:  # each try met a rebuild
                assert not copy.exists()
                continue
            made.append(position)
            assert _sums(copy)[0][0] == 20
    assert set(made) <= {20}


def test_a_copy_that_is_stopped_leaves_nothing(parts: Parts, tmp_path: Path) -> None:
    parts.clip()
    with parts.keeper.serving():
        copying = parts.keeper.copying()
        copying.stop()
        with pytest.raises(CatalogBusy):
            copying.run(tmp_path / "copy.duckdb", patience=_PATIENCE)
    assert list(tmp_path.glob("copy*")) == []
