"""The request at hand: what the log lines and spans of a request have in common, wherever the work for it is done."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opentelemetry.trace import Span


class AtHand:
    """One request that is being answered."""

    __slots__ = ("id", "span", "spans")

    def __init__(self, id: str) -> None:
        self.id = id
        self.span: Span | None = None
        """Its span, where traces are kept."""
        self.spans = 0
        """How many spans hang from it: a book has thousands of sentences."""


at_hand: ContextVar[AtHand | None] = ContextVar("voxledger_at_hand", default=None)
"""The request that this thread or task works for; None for the node's own work."""
