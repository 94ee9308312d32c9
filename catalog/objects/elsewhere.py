"""Elsewhere: whether another HOME goes on under this node's name, as the segments and heads in the store tell.

A HOME that was restored or copied begins an epoch of its own, and nobody tells the one it came from. While both go on, both
give the same positions to different events.
"""

from __future__ import annotations

import contextlib
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.events import now
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Epoch, Journal
from voxledger.catalog.log.heads import named

if TYPE_CHECKING:
    from voxledger.catalog.objects.object_info import ObjectInfo
    from voxledger.catalog.objects.store import Store

_SEGMENT = re.compile(r"(?P<epoch>[^/]+)/(?P<first>\d{12})-(?P<last>\d{12})\.jsonl\.zst")
_FILE = "elsewhere.json"
_RECENT = timedelta(days=7)


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What another HOME has put into the store as this node: up to which position, in which epoch (None where only heads tell
    it, which name none), and when the last of it came there.
    """

    position: int
    epoch: str | None
    seen: datetime

    @property
    def is_recent(self) -> bool:
        """Whether the other HOME may go on still; what it has put into the store stays there when it is given up."""
        return now() - self.seen < _RECENT

    def __str__(self) -> str:
        where = f", in epoch {self.epoch}" if self.epoch else ""
        return (
            f"another HOME goes on as this node: it has given position {self.position:,}{where}, and was seen in the store at"
            f" {self.seen:%Y-%m-%d %H:%M} UTC. Let only one of the two go on: both give the same positions to different events"
        )


def elsewhere(store: Store, bucket: str, journal: Journal, segments: Path) -> Elsewhere | None:
    """What lies in the bucket of events under this node's name and cannot be of this HOME, whose `segments` these are.

    What was given before the present epoch began is history: a restore asks for it, and gives those positions not again. Heads
    that are behind this HOME's own tell nothing, so of two HOMEs at least the one that is behind notices. Raises StoreError.
    """
    listed = list(store.list(bucket, f"{journal.node}/"))
    # After the listing: what other processes of this HOME have put there, its journal knows by now.
    epoch, head = journal.epochs()[-1], journal.head()
    found = [other for info in listed if (other := _of_another(info, epoch, head, segments))]
    if not found:
        return None
    return Elsewhere(
        position=max(other.position for other in found),
        epoch=max(((other.position, other.epoch) for other in found if other.epoch), default=(0, None))[1],
        seen=max(other.seen for other in found),
    )


def _of_another(info: ObjectInfo, epoch: Epoch, head: int, segments: Path) -> Elsewhere | None:
    path = info.key.partition("/")[2]
    segment = _SEGMENT.fullmatch(path)
    if segment is not None:
        last = int(segment["last"])
        if segment["epoch"] == epoch.epoch or last < epoch.first:
            return None
        return Elsewhere(position=last, epoch=segment["epoch"], seen=info.modified)
    name = path.removeprefix("heads/")
    other = named(name, node="", origin="")
    if other is None or other.position < epoch.first:
        return None
    contradicts = not (segments / name).exists() and any(segments.glob(f"{other.position:012d}-*.json"))
    if other.position <= head and not contradicts:
        return None
    return Elsewhere(position=other.position, epoch=None, seen=info.modified)


def note(home: Home, found: Elsewhere | None) -> None:
    """Write down what was found, for `noted`; None takes the note away. Raises OSError."""
    path = home.path / _FILE
    if found is None:
        path.unlink(missing_ok=True)
    else:
        platform.write_atomic(path, msgspec.json.encode(found), mode=0o600)


def noted(home: Home) -> Elsewhere | None:
    """What was found when somebody last looked."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((home.path / _FILE).read_bytes(), type=Elsewhere)
    return None
