"""Slots: how much is under way at the same time, so that memory does not grow with what is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Literal, Protocol, TypeAlias

Refusal: TypeAlias = Literal["busy", "stopping", "too_large", "too_slow", "host", "origin", "bodies", "connections"]
"""Why a request was refused before it came to its route."""

_LEAST_EACH = 4


class Arriving(Protocol):
    """A body that has not come to its end."""

    def hurry(self) -> None:
        """Give it a moment, and no more."""


class Slots:
    """Counts requests under way, the bytes of bodies that they have sent, and what was refused. Changed in the event loop only."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self.most = most
        """Requests that may be under way at a time."""
        self.most_bytes = most_bytes
        """Bytes of bodies that they may have sent in all."""
        self.most_each = max(_LEAST_EACH, most // 2)
        """Of these, how many one principal may have."""
        self.most_strangers = max(_LEAST_EACH, most // 8)
        """And how many one address, as long as nobody knows who it is."""
        self.taken = 0
        self.bytes = 0
        self.connections = 0
        self._held: Counter[str] = Counter()
        self._arriving: set[Arriving] = set()
        self.refused: Counter[Refusal] = Counter()
        self.idle = asyncio.Event()
        """Set while nothing is under way."""
        self.idle.set()

    def take(self, who: str, *, known: bool) -> bool:
        """Take a slot for a principal's id or, not `known`, an address; False when there is none for them."""
        if self.taken >= self.most or self._held[who] >= (self.most_each if known else self.most_strangers):
            return False
        self.taken += 1
        self._held[who] += 1
        self.idle.clear()
        return True

    def give(self, who: str) -> None:
        """Give a slot back."""
        self.taken -= 1
        self._held[who] -= 1
        if not self._held[who]:
            del self._held[who]
        if not self.taken:
            self.idle.set()

    def arrives(self, body: Arriving) -> None:
        """A body is on its way."""
        self._arriving.add(body)

    def arrived(self, body: Arriving) -> None:
        """It is there, or given up."""
        self._arriving.discard(body)

    def hurry(self) -> None:
        """The node stops: it waits for no body that does not come at once."""
        for body in tuple(self._arriving):
            body.hurry()

    def hold(self, size: int) -> bool:
        """Count bytes of a body; False, and nothing counted, when there would be too many."""
        if self.bytes + size > self.most_bytes:
            return False
        self.bytes += size
        return True

    def let_go(self, size: int) -> None:
        """These bytes are no longer held."""
        self.bytes -= size
