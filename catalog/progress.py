"""Progress: what long work says of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Called with what is being done, how far it has come, and how far it goes (None = nobody knows)."""
Counting: TypeAlias = Callable[[int, int], None]
"""Called with how far one thing has come, and how far it goes."""
Heard: TypeAlias = Callable[[int], None]
"""Hears from any thread by how many bytes there are more now; less than 0 when some must come again."""


def silent(step: str, done: int, total: int | None) -> None:
    """Nobody watches."""


def unheard(more: int) -> None:
    """Nobody listens."""
