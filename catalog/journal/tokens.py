"""The journal's tables of tokens: who may come in, and what they have used, as every process sees it right now.

A token changes in the transaction that records the event. What is used is written now and then: a kill loses seconds of it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from voxledger.catalog.errors import JournalError
from voxledger.catalog.journal.journal import Journal
from voxledger.catalog.journal.transaction import Transaction
from voxledger.catalog.queries import load

_SQL = load("tokens.sql", "voxledger.catalog.journal")


class TokenRow(NamedTuple):
    """One token. Times are µs since 1970, no limit is None; `rate` requests are allowed in `rate_s` seconds."""

    id: str
    hash: bytes
    role: str
    scope: str
    actor: str
    issued: int
    expires: int | None
    revoked: int | None
    used: int | None
    rate: int | None
    rate_s: float | None
    requests: int | None
    audio_us: int | None
    bytes: int | None


class UsageRow(NamedTuple):
    """What a token has used on a day (days since 1970)."""

    token: str
    day: int
    requests: int
    audio_us: int
    bytes: int


class TokenTables:
    """Questions about tokens, and the changes that belong into the transaction of their event."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def one(self, token: str) -> TokenRow | None:
        """The token with this id."""
        rows = self._journal.rows(_SQL["one"], (token,))
        return TokenRow._make(rows[0]) if rows else None

    def all(self) -> list[TokenRow]:
        """Every token that was ever made here, the oldest first."""
        return [TokenRow._make(row) for row in self._journal.rows(_SQL["all"])]

    def open_of(self, actor: str) -> dict[str, str]:
        """The roles of those that act as somebody (an opaque id) and were not revoked, by their ids."""
        return dict(self._journal.rows(_SQL["open_of"], (actor,)))

    def count(self) -> int:
        """How many these are."""
        return int(self._journal.rows(_SQL["count"])[0][0])

    def usage(self, day: int) -> dict[str, UsageRow]:
        """What each token has used on a day."""
        rows = self._journal.rows(_SQL["usage_of_day"], (day,))
        return {token: UsageRow(token, day, *used) for token, *used in rows}

    def issue(self, write: Transaction, row: TokenRow) -> None:
        """A token was made."""
        write.connection.execute(_SQL["issue"], row)

    def revoke(self, write: Transaction, token: str, *, at: int) -> bool:
        """A token opens nothing any more. False when somebody else has revoked it before."""
        return write.connection.execute(_SQL["revoke"], (at, token)).rowcount == 1

    def add_usage(self, used: Iterable[UsageRow], last: Iterable[tuple[int, str]], *, oldest: int) -> None:
        """Add what was used, and when each token was used last (µs, id); days before `oldest` are forgotten."""
        with self._journal.transaction() as write:
            write.connection.executemany(_SQL["add_usage"], used)
            write.connection.executemany(_SQL["note_use"], last)
            write.connection.execute(_SQL["forget_usage"], (oldest,))


class TokenReader:
    """The same questions over a connection of its own, so that whoever comes in never waits for somebody who writes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._seen = -1
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                check_same_thread=False,
                isolation_level=None,
                timeout=5,
            )
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def close(self) -> None:
        """Idempotent."""
        with self._lock:
            self._connection.close()

    def changed(self) -> bool:
        """Whether anybody has changed the journal since this was asked last."""
        seen = int(self._rows("PRAGMA data_version")[0][0])
        changed, self._seen = seen != self._seen, seen
        return changed

    def one(self, token: str) -> TokenRow | None:
        """The token with this id."""
        rows = self._rows(_SQL["one"], token)
        return TokenRow._make(rows[0]) if rows else None

    def usage(self, token: str, day: int) -> UsageRow:
        """What a token had used on a day when that was written last."""
        rows = self._rows(_SQL["usage"], token, day)
        return UsageRow(token, day, *(rows[0] if rows else (0, 0, 0)))

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise self._translated(error) from error

    def _translated(self, error: sqlite3.Error) -> JournalError:
        return JournalError(f"nobody can be let in, because {self._path} cannot be read: {error}")
