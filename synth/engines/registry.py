"""Engines by name: the entry point group `voxledger.engines`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import cast

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.settings import Settings
from voxledger.synth.engines.base import Engine
from voxledger.synth.errors import EngineUnavailable

GROUP = "voxledger.engines"

_EXTRAS = {"indextts": "indextts"}


def names() -> tuple[str, ...]:
    """The engines that are installed, available or not."""
    return tuple(sorted({point.name for point in entry_points(group=GROUP)}))


def load(name: str, settings: Settings) -> Engine:
    """A new engine of this name. Cheap: models are loaded at first use.

    An entry point names a class, or a function, that takes the settings. Raises EngineUnavailable, also when somebody
    else's engine cannot be imported or constructed; SettingsError when its settings are not right.
    """
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _constructed(point, settings)
    raise EngineUnavailable(f"there is no engine {name!r}; installed are {', '.join(names()) or 'none'}")


def _constructed(point: EntryPoint, settings: Settings) -> Engine:
    try:
        return cast(Engine, point.load()(settings))
    except ImportError as error:
        missing = f"the package {error.name!r}" if error.name else f"what cannot be imported ({error})"
        raise EngineUnavailable(f"engine {point.name!r} needs {missing}: {_pip_line(point)}") from error
    except VoxledgerError:
        raise
    except Exception as error:  # an engine is anybody's code
        raise EngineUnavailable(f"engine {point.name!r} cannot be loaded: {type(error).__name__}: {error}") from error


def _pip_line(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "voxledger"
    if package == "voxledger":
        package = f"voxledger[{_EXTRAS.get(point.name, 'synth')}]"
    return f"pip install --upgrade '{package}'" if "[" not in package else f"pip install '{package}'"
