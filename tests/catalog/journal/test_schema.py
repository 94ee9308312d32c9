"""Schemas: a journal of an older version is brought up in place, one of a newer version is left alone."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.catalog.journal.emitting import draft, numbered, recorded
from voxledger.catalog import JournalError
from voxledger.catalog.events import Event, encode, now
from voxledger.catalog.journal import Journal
from voxledger.catalog.journal.tokens import TokenTables

_SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, recorded INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, actor TEXT NOT NULL, payload BLOB NOT NULL,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'leased', 'parked')), created REAL NOT NULL, due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, error TEXT, owner TEXT, lease_until REAL
) STRICT;
CREATE INDEX tasks_by_due ON tasks (kind, state, due);
CREATE INDEX tasks_by_subject ON tasks (subject);
CREATE TABLE fingerprints (fingerprint TEXT PRIMARY KEY, clip TEXT NOT NULL, actor TEXT NOT NULL, owner TEXT, answer BLOB) STRICT;
CREATE INDEX fingerprints_by_clip ON fingerprints (clip);
CREATE TABLE cursors (name TEXT PRIMARY KEY, position INTEGER NOT NULL, updated REAL NOT NULL, note TEXT) STRICT;
INSERT INTO meta VALUES ('schema', '1'), ('node', '01a21455-6865-7708-ba7a-99e6e1b085bb'), ('epoch', '99e6e1b085bb'), ('base', '2');
INSERT INTO tasks (kind, subject, actor, payload, created, due) VALUES ('upload', 's', 'a', x'00', 1.0, 1.0);
INSERT INTO fingerprints VALUES ('f', 'c', 'a', '1:0.00:12345678', NULL);
INSERT INTO cursors VALUES ('mixpanel', 4, 1.0, NULL);
"""
"""What the first version made, with some things in it; its positions 3 and 4 are pruned."""


@pytest.fixture
def first(tmp_path: Path) -> Path:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_SCHEMA_1)
    for position in (5, 6, 7):
        made = draft(numbered(position))
        event = Event(
            id=made.id,
            source="voxledger:01a21455-6865-7708-ba7a-99e6e1b085bb/99e6e1b085bb",
            type=made.type,
            subject=made.subject,
            time=made.time,
            position=position,
            recorded=now(),
            actor=made.actor,
            version=1,
            data=made.data,  # type: ignore[arg-type]  # set below
        )
        body = encode(event).replace(b'"data":"e30="', b'"data":{}')
        connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", (position, made.id, 1_700_000_000_000_000, body))
    connection.commit()
    connection.close()
    return path


def test_a_journal_of_schema_1_is_brought_up_in_place(first: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(first)
    assert recorded(journal) == {position: numbered(position) for position in (5, 6, 7)}
    assert journal.node == "01a21455-6865-7708-ba7a-99e6e1b085bb"
    assert [(epoch.epoch, epoch.first, epoch.reason) for epoch in journal.epochs()] == [("99e6e1b085bb", 3, "created")]
    assert journal.emit(draft(numbered(6)))[0].position == 6
    new = journal.emit(draft(numbered(8)))[0]
    assert new.position == 8
    assert new.source == "voxledger:01a21455-6865-7708-ba7a-99e6e1b085bb/99e6e1b085bb"
    assert journal.cursor("mixpanel") == 4
    assert len(journal.lease("upload", limit=9, seconds=60)) == 1
    found = journal.fingerprint("f")
    assert found is not None
    assert found.abandoned
    assert journal._connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    journal.close()
    Journal(first).close()
    assert "WARNING" not in caplog.text


def test_a_journal_of_schema_3_learns_tokens_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)
    journal.emit(draft(numbered(1)))
    journal.close()
    connection = sqlite3.connect(path)
    for table in ("tokens", "token_usage"):
        connection.execute(f"DROP TABLE {table}")
    connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    journal = Journal(path)
    assert recorded(journal) == {1: numbered(1)}
    assert TokenTables(journal).count() == 0
    assert journal.rows("SELECT value FROM meta WHERE key = 'schema'") == [("4",)]
    journal.close()
    Journal(path).close()


def test_an_older_program_that_has_it_open_records_nothing_wrong(first: Path) -> None:
    older = sqlite3.connect(first, isolation_level=None)
    older.execute("SELECT count(*) FROM events").fetchone()
    journal = Journal(first)
    with pytest.raises(sqlite3.IntegrityError, match="cannot store TEXT"):
        older.execute("INSERT INTO events VALUES (8, 'text', 0, x'00')")
    older.close()
    assert journal.emit(draft())[0].position == 8
    journal.close()


@pytest.mark.parametrize("schema", ["5", "99", "x"])
def test_a_journal_of_a_newer_version_is_left_alone(tmp_path: Path, schema: str) -> None:
    path = tmp_path / "journal.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT, surprise TEXT)")
    connection.execute("INSERT INTO meta VALUES ('schema', ?, 'new')", (schema,))
    connection.commit()
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(
        JournalError, match=rf"has schema {schema}, this version of Voxledger knows 4; upgrade Voxledger"
    ):
        Journal(path)
    assert path.read_bytes() == before
