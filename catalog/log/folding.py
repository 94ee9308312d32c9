"""Folding: events of the log into the tables of a catalog, their personal fields opened and old versions lifted."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import duckdb
import msgspec
import pyarrow as pa

from voxledger.catalog import projections
from voxledger.catalog.errors import LogCorrupt, VaultError
from voxledger.catalog.events import outdated, unpacked, upcast
from voxledger.catalog.forgetting import blanked
from voxledger.catalog.journal import MOST_BYTES
from voxledger.catalog.log import writer
from voxledger.catalog.queries import load
from voxledger.catalog.vault import ActorKey, Vault

_log = logging.getLogger(__name__)
_SQL = load("log.sql", "voxledger.catalog.log")


class Folder:
    """Opens what is personal and folds. Events reach a table in pieces of whole batches, so that memory stays flat."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._outdated = outdated()

    def pieces(self, connection: duckdb.DuckDBPyConnection, start: int, last: int) -> Iterator[tuple[pa.Table, int]]:
        """What the log holds after `start`, ready to be folded, each piece with the position that it reaches."""
        while start < last:
            end = self._reach(connection, start)
            yield self.opened(connection.sql(_SQL["after"], params=(start, end)).to_arrow_table()), end
            start = end

    def opened(self, events: pa.Table) -> pa.Table:
        """Log rows as folds read them."""
        personal = self._unsealed(events)
        kinds, versions = events.column("type").to_pylist(), events.column("version").to_pylist()
        if forgotten := self._vault.forgotten_voices():
            told = (events.column(name).to_pylist() for name in ("subject", "data", "position"))
            personal = [
                blanked(kind, subject, data, position, words, forgotten)
                for kind, words, subject, data, position in zip(kinds, personal, *told, strict=True)
            ]
        old = self._outdated and [
            row for row, kind in enumerate(zip(kinds, versions, strict=True)) if kind in self._outdated
        ]
        if old:
            data = events.column("data").to_pylist()
            for row in old:
                data[row], personal[row] = _lifted(kinds[row], versions[row], data[row], personal[row])
            events = events.set_column(events.schema.get_field_index("data"), "data", pa.array(data, pa.string()))
        return events.append_column("personal", pa.array(personal, pa.binary()).cast(pa.string())).select(
            projections.SCHEMA.names
        )

    def _unsealed(self, events: pa.Table) -> list[bytes | None]:
        keys: dict[str, ActorKey | None] = {}
        found: list[bytes | None] = []
        for identity, actor, sealed in zip(
            events.column("id").to_pylist(),
            events.column("actor").to_pylist(),
            events.column("sealed").to_pylist(),
            strict=True,
        ):
            if sealed is None:
                found.append(None)
                continue
            if actor not in keys:
                keys[actor] = self._vault.key(actor)
            found.append(self._open(keys[actor], sealed, identity))
        return found

    def _open(self, key: ActorKey | None, sealed: bytes, identity: str) -> bytes | None:
        """What is sealed; None when the key was destroyed, or is not the one it was sealed with: then words are missing, and
        everything else is there.
        """
        if key is None:
            return None
        try:
            return unpacked(key.open(sealed, about=identity))
        except (VaultError, ValueError) as error:
            _log.warning("%s; the tables go without its personal fields", error)
            return None

    def _reach(self, connection: duckdb.DuckDBPyConnection, start: int) -> int:
        """The end of what is folded next: whole batches, as many as have BATCH events or MOST_BYTES together."""
        size, end = 0, start
        for last, count in connection.execute(_SQL["next_batches"], (start,)).fetchall():
            size, end = size + int(count), int(last)
            if end - start >= writer.BATCH or size >= MOST_BYTES:
                break
        if end == start:
            raise LogCorrupt(f"the log holds events after position {start} that belong to no batch", position=start + 1)
        return end


def _lifted(kind: str, version: int, data: str, personal: bytes | None) -> tuple[str, bytes | None]:
    """The fields of an old event as its type's present version has them."""
    lifted, private = upcast(
        kind, version, msgspec.json.decode(data), None if personal is None else msgspec.json.decode(personal)
    )
    return msgspec.json.encode(lifted).decode(), None if private is None else msgspec.json.encode(private)
