"""Long loops: a seeded tenth in `make test`, all of them in `make soak`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

_T = TypeVar("_T")

FULL = bool(os.environ.get("VOXLEDGER_SOAK"))


def rounds(full: int) -> range:
    """The rounds of a loop: `full` of them in a soak, else a tenth, at least one."""
    return range(count(full))


def count(full: int) -> int:
    """How many: `full` in a soak, else a tenth, at least one."""
    return full if FULL else max(1, full // 10)


def examples(full: int) -> int:
    """Examples of a property that take long: `full` in a soak, else a third. Hypothesis draws others in each run."""
    return full if FULL else max(1, full // 3)


def told_of_soak(loop: str, **found: object) -> None:
    """One line for docs/soak.md of what a loop went through; the run with `-s` or `-rP` shows it."""
    values = (
        f"{name} {value:,.1f}" if isinstance(value, float) else f"{name} {value:,}" for name, value in found.items()
    )
    print(f"soak: {loop}: {', '.join(values)}")


def some(cases: Sequence[_T]) -> Sequence[_T]:
    """Cases that differ little: all of them in a soak, else the first."""
    return cases if FULL else cases[:1]


def spread(cases: Sequence[_T]) -> Sequence[_T]:
    """Cases in a row, such as the steps at which something is killed: all in a soak, else each third of them and the last."""
    return cases if FULL else [*cases[:-1:3], cases[-1]]
