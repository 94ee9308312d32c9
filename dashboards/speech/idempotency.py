"""Idempotency: what a request with an `Idempotency-Key` led to, so that the same request asked again leads to the same clip.

Only what was made is remembered. A request that failed, or was killed with its node, leaves its key free. Keys and requests are
kept as keyed hashes: nothing here names anybody or holds a text.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from voxledger.catalog.errors import HomeError
from voxledger.catalog.sqlite_files import write_ahead
from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from voxledger.catalog.vault import Vault

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
FILE_NAME = "idempotency.sqlite"
LONGEST = 255
MOST = 200_000
"""Answers that are remembered; the oldest are forgotten first."""
_SWEPT = 100
"""Expired answers that are forgotten each time one is remembered."""
_PURPOSE = "idempotency"
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS answers (
        key TEXT PRIMARY KEY, request TEXT NOT NULL, clip TEXT NOT NULL, expires REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS answers_by_end ON answers (expires);
"""


class Asking:
    """A request with a key while it is worked on. `clip` is what it led to before, if it was asked before."""

    def __init__(self, key: str, request: str, clip: str | None) -> None:
        self.key = key
        self.request = request
        self.clip = clip


class Idempotency:
    """The answers of one node, in a file of its own, which only the node opens. Safe from many threads."""

    def __init__(self, folder: Path, vault: Vault, life: float) -> None:
        """`life`: seconds that an answer is remembered."""
        self._path = folder / FILE_NAME
        self._vault = vault
        self._life = life
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._count = 0
        self._under_way: dict[str, str] = {}

    @contextmanager
    def asking(self, principal: str, key: str, request: bytes) -> Iterator[Asking]:
        """While a request with this key is worked on; others with it are told to wait.

        Raises Refused: 400 for what is no key, 409 while it is being worked on, 422 when it was another request.
        """
        if not 0 < len(key) <= LONGEST or not key.isascii() or not key.isprintable():
            raise _refused(f"an {HEADER} has 1 to {LONGEST} printable ASCII characters", 400)
        hashed = self._vault.keyed_hash(f"{principal}\n{key}".encode(), purpose=_PURPOSE)
        asked = self._vault.keyed_hash(request, purpose=_PURPOSE)
        with self._lock:
            other = self._under_way.get(hashed)
            if other is None:
                found = self._find(hashed)
                if found is not None and found[0] != asked:
                    other = found[0]
            if other is not None and other != asked:
                raise _refused(f"this {HEADER} was used for another request", 422)
            if other is not None:
                raise _in_flight()
            self._under_way[hashed] = asked
        try:
            yield Asking(hashed, asked, found[1] if found else None)
        finally:
            with self._lock:
                del self._under_way[hashed]

    def remember(self, asking: Asking, clip: str) -> None:
        """What a request led to. Raises HomeError."""
        now = time.time()
        with self._lock, self._failing():
            answers = self._opened()
            with answers:
                gone = answers.execute(
                    "DELETE FROM answers WHERE key IN (SELECT key FROM answers WHERE expires < ? ORDER BY expires LIMIT ?)",
                    (now, _SWEPT),
                ).rowcount
                if self._count - gone >= MOST:
                    gone += answers.execute(
                        "DELETE FROM answers WHERE key IN (SELECT key FROM answers ORDER BY expires LIMIT ?)", (_SWEPT,)
                    ).rowcount
                gone += answers.execute("DELETE FROM answers WHERE key = ?", (asking.key,)).rowcount
                answers.execute(
                    "INSERT INTO answers VALUES (?, ?, ?, ?)", (asking.key, asking.request, clip, now + self._life)
                )
            self._count += 1 - gone

    def close(self) -> None:
        """Let go of the file. Idempotent; it is opened again when it is needed."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _find(self, key: str) -> tuple[str, str] | None:
        with self._failing():
            found: tuple[str, str] | None = (
                self._opened()
                .execute("SELECT request, clip FROM answers WHERE key = ? AND expires >= ?", (key, time.time()))
                .fetchone()
            )
        return found

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise HomeError(
                f"{self._path} cannot be used ({error}); it may be deleted while the node is stopped, and is made anew"
            ) from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            made = sqlite3.connect(self._path, check_same_thread=False, isolation_level="IMMEDIATE")
            try:
                self._path.chmod(0o600)
                write_ahead(made)
                made.execute("PRAGMA synchronous = NORMAL")  # whoever pulls the plug may lose the last ones
                made.executescript(_SCHEMA)
                (self._count,) = made.execute("SELECT count(*) FROM answers").fetchone()
            except BaseException:
                made.close()
                raise
            self._connection = made
        return self._connection


def _refused(message: str, status: int) -> Refused:
    return Refused(
        message, status=status, code="idempotency", remedy="Send each request with a key of its own.", param=HEADER
    )


def _in_flight() -> Refused:
    return Refused(
        f"the request with this {HEADER} is still being worked on",
        status=409,
        code="in_flight",
        remedy="Ask again in a moment.",
        param=HEADER,
        headers={"Retry-After": "1"},
    )
