"""The journal's tables of voices: which recordings may be spoken with, as every process sees it right now.

They change in the transaction that records the event. An event that somebody else recorded (an import, an erasure), and
a journal that was restored or made anew, make them doubtful: then they must be filled from the log before they are
believed. What names somebody is sealed or a keyed hash.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from voxledger.catalog.journal.journal import Journal
from voxledger.catalog.journal.transaction import Transaction
from voxledger.catalog.queries import load

_SQL = load("voices.sql", "voxledger.catalog.journal")


class VoiceRow(NamedTuple):
    """One recording by its newest registration. Times are µs since 1970; `facts` is sealed about `event` by `actor`'s key,
    None once it was erased.
    """

    sha256: str
    position: int
    actor: str
    event: str
    registered: int
    expires: int | None
    ended: int | None
    erased: int
    facts: bytes | None


class NameRow(NamedTuple):
    """Which recording has a name now: the name's keyed hash, and the name itself, sealed about `event` by `actor`'s key."""

    hash: str
    sha256: str
    position: int
    actor: str
    event: str
    name: bytes


class Looked(NamedTuple):
    """What a look-up found. Without `current` it says nothing: the tables must be filled first.

    `name` holds the registered spelling, sealed, with the actor and the event that it is sealed for.
    """

    current: bool
    rows: tuple[VoiceRow, ...]
    name: tuple[str, str, bytes] | None = None


class VoiceTables:
    """Questions about voices, and the changes that belong into the transaction of their event."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def named(self, name_hash: str) -> Looked:
        """The recording that has a name."""
        return _looked(self._journal.rows(_SQL["by_name"], (name_hash,)))

    def with_sha256(self, prefix: str) -> Looked:
        """The recordings whose SHA-256 begins with these hex digits, two at most."""
        return _looked(self._journal.rows(_SQL["by_sha256"], (prefix, prefix + "g")))

    def all(self) -> list[VoiceRow]:
        """Every recording that was ever registered here, in the order of registration."""
        return [VoiceRow._make(row) for row in self._journal.rows(_SQL["all"])]

    def names(self) -> list[NameRow]:
        """All names that lead somewhere."""
        return [NameRow._make(row) for row in self._journal.rows(_SQL["names"])]

    def wanted(self) -> int:
        """The position of the newest event about voices."""
        return int(self._journal.rows(_SQL["state"])[0][0])

    def is_current(self) -> bool:
        """Whether the tables account for every event about voices."""
        wanted, filled = self._journal.rows(_SQL["state"])[0]
        return bool(filled >= wanted)

    def register(self, write: Transaction, voice: VoiceRow, name: NameRow) -> None:
        """A registration: the newest one of a recording counts, and so does the newest one of a name."""
        write.connection.execute(_SQL["put"], voice)
        write.connection.execute(_SQL["put_name"], name)
        write.connection.execute(_SQL["fill"], (voice.position,))

    def end(self, write: Transaction, sha256: str, *, ended: int, position: int) -> None:
        """Consent has ended, by the event at `position`."""
        write.connection.execute(_SQL["end"], (ended, sha256))
        write.connection.execute(_SQL["fill"], (position,))

    def replace(
        self, write: Transaction, voices: Iterable[VoiceRow], names: Iterable[NameRow], *, through: int
    ) -> None:
        """Fill both tables anew with what the log says up to a position."""
        write.connection.execute(_SQL["clear"])
        write.connection.execute(_SQL["clear_names"])
        write.connection.executemany(_SQL["put"], voices)
        write.connection.executemany(_SQL["put_name"], names)
        write.connection.execute(_SQL["fill"], (through,))


def _looked(rows: list[tuple[object, ...]]) -> Looked:
    found = tuple(VoiceRow._make(row[4:]) for row in rows if row[4] is not None)
    name = rows[0][1:4] if found and rows[0][3] is not None else None
    return Looked(bool(rows[0][0]), found, name)  # type: ignore[arg-type]  # three columns of one row
