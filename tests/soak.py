"""Long loops: a seeded tenth in `make test`, all of them in `make soak`."""

from __future__ import annotations

import os

FULL = bool(os.environ.get("VOXLEDGER_SOAK"))


def rounds(full: int) -> range:
    """The rounds of a loop: `full` of them in a soak, else a tenth, at least one."""
    return range(full if FULL else max(1, full // 10))
