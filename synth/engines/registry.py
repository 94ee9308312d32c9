"""Engines by name: the entry point group `voxledger.engines`."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from voxledger.synth.engines.base import Engine
from voxledger.synth.errors import EngineUnavailable

GROUP = "voxledger.engines"


def names() -> tuple[str, ...]:
    """The engines that are installed, available or not."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str) -> Engine:
    """A new engine of this name. Cheap: models are loaded at first use. Raises EngineUnavailable."""
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                return cast(Engine, point.load()())
            except ImportError as error:
                raise EngineUnavailable(
                    f"engine {name!r} needs the package {error.name!r}: pip install 'voxledger[synth]'"
                ) from error
    raise EngineUnavailable(f"there is no engine {name!r}; installed are {', '.join(names()) or 'none'}")
