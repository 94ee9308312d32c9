"""What the commands about retention need of a ledger."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voxledger.catalog.retention import Retention
    from voxledger.catalog.settings import Loaded


class Door(AbstractContextManager["Door"], Protocol):
    """What these commands need of a ledger."""

    loaded: Loaded

    @property
    def retention(self) -> Retention:
        """Says what may go."""
