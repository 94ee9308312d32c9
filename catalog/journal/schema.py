"""The journal's tables: made, checked, and brought up to date in place."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from pathlib import Path

from voxledger.catalog.errors import JournalError
from voxledger.catalog.queries import load

SCHEMA = 4
_SQL = load("journal.sql", "voxledger.catalog.journal")
_KNOWN = frozenset(str(number) for number in range(1, SCHEMA + 1))
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def key(identity: str) -> bytes:
    """An event's id as it is stored and looked up: the 16 bytes of a UUID, a hash of 32 of anything else."""
    if _UUID.fullmatch(identity):
        return bytes.fromhex(identity.replace("-", ""))
    return hashlib.sha256(identity.encode(errors="surrogatepass")).digest()


def bring_up(connection: sqlite3.Connection, path: Path) -> tuple[dict[str, str], bool]:
    """The tables as this version knows them, within the transaction that is open; gives `meta`, and whether they moved.

    `meta` is empty when the journal is new. Raises JournalError for a file that is no journal, or a newer one.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        _run(connection, "schema")
        _run(connection, "voices")
        _run(connection, "tokens")
        return {}, False
    if "meta" not in tables:
        raise JournalError(f"{path} is a database, but no journal; move it aside")
    meta = _meta(connection)
    found = meta.get("schema", str(SCHEMA))
    if found not in _KNOWN:
        raise JournalError(
            f"{path} has schema {found}, this version of Voxledger knows {SCHEMA}; upgrade Voxledger. Nothing was changed"
        )
    if found == "1":
        _run(connection, "from_1")
    if found in ("1", "2"):
        _run(connection, "voices")
        _run(connection, "from_2")
    if found in ("1", "2", "3"):
        _run(connection, "tokens")
        _run(connection, "from_3")
    return _meta(connection), found != str(SCHEMA)


def _meta(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _run(connection: sqlite3.Connection, name: str) -> None:
    connection.create_function("event_key", 1, key, deterministic=True)
    for statement in _SQL[name].split(";\n"):
        connection.execute(statement)
