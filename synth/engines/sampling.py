"""Sampling parameters: what a request sets, held against the bounds of an engine."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeAlias

from voxledger.synth.errors import NotSupported

Bounds: TypeAlias = Mapping[str, tuple[float, float]]
"""The lowest and the highest value of each parameter that an engine takes, by its name."""


def checked(
    engine: str, given: Mapping[str, float], bounds: Bounds, *, whole: Collection[str] = ()
) -> dict[str, float]:
    """What is given, those named in `whole` as integers. Raises NotSupported for what this engine does not take."""
    unknown = sorted(set(given) - set(bounds))
    if unknown:
        raise NotSupported(
            f"the engine {engine} takes {', '.join(bounds)}, not {', '.join(unknown)}", feature="sampling"
        )
    for name, value in given.items():
        lowest, highest = bounds[name]
        if not lowest <= value <= highest or (name in whole and value != int(value)):
            kind = "a whole number " if name in whole else ""
            raise NotSupported(
                f"{name} must be {kind}between {lowest:g} and {highest:g} here, not {value:g}", feature="sampling"
            )
    return {name: int(value) if name in whole else float(value) for name, value in given.items()}
