"""Epochs: a journal that was restored, cut, cloned or made anew goes on under another name, and positions stay final.

Every event's `source` names the node and the epoch. Positions are given once for ever; only where an epoch begins may
there be a gap before the first one, and the epoch says which positions are missing there.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from voxledger.catalog.errors import JournalError
from voxledger.catalog.events import new_id, now
from voxledger.catalog.journal.mark import Mark
from voxledger.catalog.journal.records import Epoch, Reason
from voxledger.catalog.queries import load

_SQL = load("journal.sql", "voxledger.catalog.journal")


class End(NamedTuple):
    """Where a journal ends: the newest position (or the base), the time nothing may be earlier than, the epoch that is now."""

    position: int
    recorded: int
    epoch: str
    first: int

    @property
    def free(self) -> int:
        """The position of the next event."""
        return max(self.position + 1, self.first)


class Beginning(NamedTuple):
    """That an epoch must begin, at which position and why; `lost` are the first and last position that are missing."""

    reason: Reason
    first: int
    lost: tuple[int, int] | None = None


def first_epoch(mark: Mark | None, base: int) -> Beginning:
    """How a journal starts that holds nothing yet. `base` is the last position that the log knows."""
    if mark is None:
        return Beginning("recreated" if base else "created", base + 1)
    # Beyond the log's end there were acknowledged events, and they were in the journal that is gone.
    lost = (base + 1, mark.position) if mark.position > base else None
    return Beginning("recreated", max(base, mark.position) + 1, lost)


def next_epoch(
    mark: Mark | None, *, path: Path, node: str, free: int, epochs: Collection[str], moved: bool
) -> Beginning | None:
    """Whether a journal may go on as it is. `free` is the position it would give next, `moved` whether it lies elsewhere.

    Raises JournalError when it is not the journal that the mark was made beside.
    """
    if mark is not None:
        if mark.node != node:
            raise JournalError(
                f"{path} belongs to node {node}, but {path.parent} is the HOME of node {mark.node}. Nothing was changed;"
                f" put this HOME's own {path.name} back, or delete {path.with_suffix('.mark').name} if the journal"
                " is the right one"
            )
        known = mark.epoch in epochs
        if not known and mark.first <= mark.position and free > mark.first:
            raise JournalError(
                f"{path} and this HOME have both given position {mark.first}: the journal does not know epoch {mark.epoch},"
                f" which gave {mark.first} to {mark.position} here. Nothing was changed; put this HOME's own {path.name} back"
            )
        if mark.position >= free:
            reason: Reason = "restored" if moved or not known else "truncated"
            return Beginning(reason, mark.position + 1, (free, mark.position))
        if not known:
            return Beginning("restored", free)
    return Beginning("cloned", free) if moved else None


def told(beginning: Beginning, path: Path, epoch: str) -> str:
    """One line for the operator: what was found, which positions are concerned, what follows."""
    found = {
        "created": f"{path} is new",
        "restored": f"{path} is an older copy",
        "truncated": f"{path} has lost its end",
        "recreated": f"{path} was missing and is made anew",
        "cloned": f"{path} was copied or moved here",
    }[beginning.reason]
    if beginning.lost:
        first, last = beginning.lost
        found += (
            f": the acknowledged positions {first} to {last} are not in it;"
            " what log and segments hold of them comes back from there"
        )
    return f"{found}; new events go on from position {beginning.first} in epoch {epoch}"


def begin(connection: sqlite3.Connection, beginning: Beginning, *, after: int = 0) -> str:
    """Enter a new epoch and give its name. Nothing in it is recorded earlier than `after` (µs since 1970)."""
    epoch = new_id()[-12:]
    since = max(int(now().timestamp() * 1e6), after)
    first, last = beginning.lost or (None, None)
    connection.execute(_SQL["begin_epoch"], (epoch, beginning.first, since, beginning.reason, first, last))
    if beginning.reason != "created":
        connection.execute(_SQL["voices_doubted"])
    return epoch


def end(connection: sqlite3.Connection, base: int) -> End:
    """Where the journal ends. Read anew in each transaction: another process may have begun an epoch."""
    epoch, first, since, position, recorded = connection.execute(_SQL["end"]).fetchone()
    return End(base, since, epoch, first) if position is None else End(position, max(recorded, since), epoch, first)


def all_epochs(rows: list[tuple[str, int, int, Reason, int | None, int | None]]) -> list[Epoch]:
    """Rows of the table as records."""
    return [
        Epoch(
            epoch=epoch,
            first=first,
            since=datetime.fromtimestamp(since / 1e6, UTC),
            reason=reason,
            lost_first=lost_first,
            lost_last=lost_last,
        )
        for epoch, first, since, reason, lost_first, lost_last in rows
    ]


def place(path: Path) -> str:
    """Where a journal lies: machine, file system, and the file itself. A copy lies elsewhere, whatever its name is."""
    found = path.stat()
    volume = os.statvfs(path).f_fsid if hasattr(os, "statvfs") else found.st_dev
    return f"{_machine()}/{volume}/{found.st_ino}"


def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        # A container has no machine id and another host name at every start: there, the file alone must do.
        return "" if sys.platform == "linux" else socket.gethostname()
