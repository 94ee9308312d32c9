"""Acting: the same ledger in somebody else's name, for a node that many people ask."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from voxledger.catalog.events import Channel

if TYPE_CHECKING:
    from voxledger.dashboards.door import Door

_IN_A_NAME = frozenset({"catalog", "models", "retention", "reports", "tokens", "voices"})
"""What acts in somebody's name. The rest is shared; the studio takes the name with each call."""


class Acting:
    """A view of a ledger: what is recorded through it is done by `actor`, through `channel`. Closing it does nothing."""

    def __init__(self, whole: Door, *, actor: str, channel: Channel) -> None:
        self.actor = actor
        self.channel: Channel = channel
        self._whole = whole
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        if name not in _IN_A_NAME:
            return getattr(self._whole, name)
        with self._lock:
            if name not in self.__dict__:
                self.__dict__[name] = getattr(type(self._whole), name).func(self)
            return self.__dict__[name]

    def close(self, *, wait: float | None = None) -> None:
        """Nothing: the whole ledger is closed by whoever opened it."""
