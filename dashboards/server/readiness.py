"""Readiness: whether the node can do its work, and in words without names what keeps it from it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog import platform
from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_AGAIN = 1.0
"""Seconds for which an answer holds: anybody may ask, and a look costs a durable write."""
_log = logging.getLogger(__name__)


class Obstacle(NamedTuple):
    """What keeps the node from its work: a code, and a sentence."""

    code: str
    reason: str


class Readiness:
    """Looks at the disk, the journal and the log, at most once a second. Safe from many threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._found: tuple[Obstacle, ...] = ()

    def obstacles(self) -> tuple[Obstacle, ...]:
        """All there are; none = ready."""
        with self._lock:
            if time.monotonic() - self._looked >= _AGAIN:
                found = tuple(self._look())
                if [each.code for each in found] != [each.code for each in self._found]:
                    _log.warning("%s", "; ".join(each.reason for each in found) or "ready again")
                self._found, self._looked = found, time.monotonic()
            return self._found

    def _look(self) -> Iterator[Obstacle]:
        door = self._site.door
        try:
            if platform.free_disk(door.home.path) < door.settings.general.min_free_disk:
                yield Obstacle("disk", "the disk has less room than general.min_free_disk: nothing is spoken")
        except OSError:
            yield Obstacle("disk", "the folder of this node cannot be looked at")
        try:
            door.journal.probe()
        except VoxledgerError:
            yield Obstacle("journal", "the journal cannot be written: nothing can be recorded")
        if self._site.trouble("drain") is not None:
            yield Obstacle("log", "the journal cannot be drained into the log: the catalog falls behind")
