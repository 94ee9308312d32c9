"""A HOME of a newer Voxledger: one clear error where it must not be touched, and what is disposable heals itself."""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from pathlib import Path

import duckdb
import pytest

import voxledger
from tests.building import NOBODY, Parts
from tests.catalog.durability.judging import check_same, fingerprint
from voxledger.catalog import HomeError, JournalError
from voxledger.catalog.events import ClipTagged


def _content(home: Path) -> dict[str, bytes]:
    return {str(path.relative_to(home)): path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}


def _of_version(content: bytes, version: int) -> bytes:
    """A DuckDB file that says it is of another storage version, its header's checksum as DuckDB reckons it."""
    header = bytearray(content[8:4096])
    assert header[:4] == b"DUCK"
    header[4:12] = struct.pack("<Q", version)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", header):
        checksum ^= word * 0xBF58476D1CE4E5B9 % 2**64
    return struct.pack("<Q", checksum) + bytes(header) + content[4096:]


def _lived(home: Path) -> dict[str, str]:
    parts = Parts(home)
    clips = [parts.clip(name=f"tide {number}") for number in range(4)]
    parts.record(ClipTagged(tag="a"), clips[0])
    found = fingerprint(parts.keeper)
    parts.close()
    return found


def test_a_newer_journal_is_left_alone(tmp_path: Path) -> None:
    _lived(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "journal.sqlite")) as journal:
        journal.execute("UPDATE meta SET value = '5' WHERE key = 'schema'")
        journal.commit()
    before = _content(tmp_path)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"has schema 5, .* knows 4; upgrade Voxledger. Nothing was changed"):
            voxledger.open(tmp_path, store_endpoint=NOBODY)
        left = {name: content for name, content in _content(tmp_path).items() if not name.endswith(("-wal", "-shm"))}
        assert left == before


@pytest.mark.parametrize("name", ["log.duckdb", "catalog.duckdb"])
def test_a_file_of_a_newer_duckdb_is_left_alone(tmp_path: Path, name: str) -> None:
    meant = _lived(tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes(_of_version(whole, 9999))
    parts = Parts(tmp_path)
    parts.clip()
    before = path.read_bytes()
    with pytest.raises(HomeError, match=r"was written by a newer DuckDB; upgrade Voxledger\. Nothing was changed"):
        parts.keeper.drain()
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.damaged-*"))
    path.write_bytes(whole)
    assert fingerprint(parts.keeper)["clips"] != meant["clips"], "what waited meanwhile arrives"
    parts.close()


@pytest.mark.parametrize("version", [0, 1, 10_000])
def test_tables_of_another_version_are_folded_anew(tmp_path: Path, version: int) -> None:
    meant = _lived(tmp_path)
    with duckdb.connect(str(tmp_path / "catalog.duckdb")) as connection:
        connection.execute("UPDATE projections SET version = ?", [version])
        connection.execute("DELETE FROM folded.clips")
    parts = Parts(tmp_path)
    parts.keeper.drain()
    check_same(fingerprint(parts.keeper), meant, "the tables are not what the log says")
    parts.close()
