"""What must be true of a HOME, whatever happened to the processes that used it."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path

import duckdb

from tests.building import Parts
from tests.soak import FULL
from voxledger.catalog import projections
from voxledger.catalog.log import Keeper, verify
from voxledger.catalog.log.segments import Segments

TABLES = tuple(name for name in projections.RELATIONS if name not in {"projections", "batches"})
"""What people see, but for how far it goes, and for how the events happened to arrive in batches."""


def identity(life: int, number: int) -> str:
    """The id of the n-th event of a life: who reads it knows where it came from."""
    return f"{life:08x}-0000-7000-8000-{number:012x}"


def fingerprint(keeper: Keeper) -> dict[str, str]:
    """A hash of each relation's rows, in an order of their own. Every relation is read, also those that do not count."""
    found = {}
    with keeper.reading() as reading:
        for name in projections.RELATIONS:
            rows = reading.tuples(f"FROM {name} ORDER BY ALL")
            found[name] = f"{len(rows)} rows, {hashlib.sha256(repr(rows).encode()).hexdigest()[:16]}"
    return {name: found[name] for name in TABLES}


def check_same(found: dict[str, str], meant: dict[str, str], otherwise: str) -> None:
    """The relations of two fingerprints are equal; names those that are not."""
    differ = {name: (found.get(name), meant[name]) for name in meant if found.get(name) != meant[name]}
    assert not differ, otherwise


def check_pruning(path: Path) -> int:
    """Before anybody opens HOME again: what has left the journal is in a segment, and in the log's file itself, even if
    its write-ahead log were lost. Gives how many positions are gone from the journal.
    """
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for file in path.glob("journal.sqlite*"):
            shutil.copy(file, copy)
        with contextlib.closing(sqlite3.connect(copy / "journal.sqlite")) as journal:
            if not journal.execute("SELECT count(*) FROM sqlite_master WHERE name = 'events'").fetchone()[0]:
                return 0  # killed while it was made
            (oldest,) = journal.execute("SELECT min(position) FROM events").fetchone()
        gone = (oldest or 1) - 1
        if not gone:
            return 0
        shutil.copy(path / "log.duckdb", copy)
        with duckdb.connect(str(copy / "log.duckdb"), read_only=True) as log:
            held, last = log.execute("SELECT count(*), max(position) FROM events").fetchall()[0]
        assert held == last, "the file itself has a gap"
        assert last >= gone, "pruned from the journal before the log's file had it"
    sealed = {position for segment in Segments(path / "segments").all() for position, _ in segment.read()}
    assert sealed >= set(range(1, gone + 1)), "pruned from the journal before it was in a segment"
    return gone


def check_told(parts: Parts, said: Iterable[list[str]]) -> int:
    """Every event that was acknowledged is in the log, once and where it was told to be; of a call that was not, all of
    its events or none. Gives how many events there are that nobody was told of.
    """
    told: dict[str, int] = {}
    tried: dict[int, int] = {}
    for word, *values in said:
        if word == "tried":
            tried[int(values[0])] = int(values[1])
        elif word == "told":
            told[values[2]] = int(values[1])
    with parts.keeper.reading() as reading:
        rows = reading.tuples("SELECT position, id::VARCHAR FROM events ORDER BY position")
    assert [position for position, _ in rows] == list(range(1, len(rows) + 1)), "positions have a gap or a double"
    found = {event: position for position, event in rows}
    assert len(found) == len(rows), "an event is there twice"
    assert {event: found.get(event) for event in told} == told, "an acknowledged event is lost or has moved"
    lives: dict[int, list[int]] = {life: [] for life in tried}
    for event in found:
        lives[int(event[:8], 16)].append(int(event[-12:], 16))
    for life, numbers in lives.items():
        assert numbers == list(range(1, len(numbers) + 1)), "the events of one process are out of order"
        heard = sum(identity(life, number) in told for number in numbers)
        assert len(numbers) in (heard, tried[life]), "half of a call was recorded"
    return len(found) - len(told)


def check_whole(parts: Parts) -> int:
    """The chain is intact, the tables are what folding the log anew gives, and both come back from journal and segments
    alone. Gives how many events there are.
    """
    found = fingerprint(parts.keeper)
    verdict = verify.verify(parts.keeper)
    assert verdict.intact, verdict.findings
    assert (verdict.told, verdict.waiting) == ((), 0)
    assert verdict.position == verdict.events == parts.journal.head()
    assert [epoch.reason for epoch in parts.journal.epochs()] == ["created"]
    if FULL:  # what follows folds everything anew as well
        parts.keeper.rebuild()
        check_same(fingerprint(parts.keeper), found, "the tables are not what a rebuild gives")
    for file in parts.home.path.glob("*.duckdb*"):
        file.unlink()
    parts.keeper = Keeper(parts.home, parts.recorder)
    check_same(fingerprint(parts.keeper), found, "journal and segments do not hold everything")
    return verdict.events
