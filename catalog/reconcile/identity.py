"""Ids of adopted clips: the same audio always gets the same one, so that adopting again, or at the same time, changes nothing."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from voxledger.catalog.events.envelope import EARLIEST, now
from voxledger.catalog.vault import Vault


def clip_id(vault: Vault, made: datetime, *what: str) -> str:
    """A UUIDv7 of a clip that was made then and is told from others by `what`. It says nothing about either outside this node."""
    return _uuid7(vault, made, "\0".join(("clip", *what)))


def event_id(vault: Vault, time: datetime, kind: str, clip: str) -> str:
    """The id of the one event of a kind that adopting a clip records."""
    return _uuid7(vault, time, "\0".join(("event", kind, clip)))


def plausible(made: datetime) -> datetime:
    """A file's time, where it can be one: within what the log takes."""
    return min(max(made, EARLIEST), now())


def _uuid7(vault: Vault, time: datetime, what: str) -> str:
    chance = int(vault.keyed_hash(what.encode(), purpose="adopted"), 16)
    milliseconds = int(time.timestamp() * 1000) & (1 << 48) - 1
    return str(
        UUID(int=milliseconds << 80 | 0x7 << 76 | (chance >> 64 & 0xFFF) << 64 | 0b10 << 62 | chance & (1 << 62) - 1)
    )
