"""The site: what all routes of a node share."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from voxledger.catalog.access import Principal

if TYPE_CHECKING:
    from voxledger.catalog.events import Channel
    from voxledger.dashboards.door import Door

_VIEWS = 1000
"""Names whose views of the ledger are kept; one costs a few objects, and finds its clips' files without asking the catalog."""


class Site:
    """One ledger, and everything that is there once for all who ask."""

    def __init__(self, door: Door, *, version: str, loopback: bool) -> None:
        """`loopback`: whether only this machine can reach us."""
        self.door = door
        self.settings = door.settings
        self.version = version
        self.loopback = loopback
        self.secret = ""
        """What the owner of HOME proves to be that with; it stands in `node.json`."""
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._views: OrderedDict[tuple[str, Channel], Door] = OrderedDict()

    def ledger(self, principal: Principal, channel: Channel = "api") -> Door:
        """The ledger in the name of whoever asks."""
        key = (principal.name, channel)
        with self._lock:
            found = self._views.pop(key, None) or self.door.acting(*key)
            self._views[key] = found
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
            return found
