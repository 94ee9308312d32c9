"""Slots: how much is under way at the same time, so that memory does not grow with what is asked."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Literal, TypeAlias

Refusal: TypeAlias = Literal["busy", "stopping", "too_large", "too_slow", "host", "origin", "bodies", "connections"]
"""Why a request was refused before it came to its route."""


class Slots:
    """Counts requests under way, the bytes of bodies that they have sent, and what was refused. Changed in the event loop only."""

    def __init__(self, *, most: int, most_bytes: int) -> None:
        self.most = most
        """Requests that may be under way at a time."""
        self.most_bytes = most_bytes
        """Bytes of bodies that they may have sent in all."""
        self.taken = 0
        self.bytes = 0
        self.connections = 0
        self.refused: Counter[Refusal] = Counter()
        self.idle = asyncio.Event()
        """Set while nothing is under way."""
        self.idle.set()

    def take(self) -> bool:
        """Take a slot; False when there is none."""
        if self.taken >= self.most:
            return False
        self.taken += 1
        self.idle.clear()
        return True

    def give(self) -> None:
        """Give a slot back."""
        self.taken -= 1
        if not self.taken:
            self.idle.set()

    def hold(self, size: int) -> bool:
        """Count bytes of a body; False, and nothing counted, when there would be too many."""
        if self.bytes + size > self.most_bytes:
            return False
        self.bytes += size
        return True

    def let_go(self, size: int) -> None:
        """These bytes are no longer held."""
        self.bytes -= size
