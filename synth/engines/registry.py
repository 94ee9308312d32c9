"""Engines by name: the entry point group `voxledger.engines`."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.settings import Settings
from voxledger.synth.engines.base import Engine, EngineInfo
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.errors import EngineUnavailable, SynthesisError, UnknownEngine
from voxledger.synth.hints import near

GROUP = "voxledger.engines"

_log = logging.getLogger(__name__)
_EXTRAS = {"indextts": "indextts"}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An engine as a list shows it: what it can do, or why it cannot be used and what helps."""

    name: str
    package: str
    info: EngineInfo | None = None
    why: str = ""
    remedy: str = ""
    passed_over: tuple[str, ...] = ()
    """Packages that bring an engine of the same name, which is not used."""


def names() -> tuple[str, ...]:
    """The engines that are installed, available or not."""
    return tuple(sorted(_points()))


def load(name: str, settings: Settings) -> Engine:
    """A new engine of this name. Cheap: models are loaded at first use.

    An entry point names a class, or a function, that takes the settings. Raises UnknownEngine; EngineUnavailable, also when
    somebody else's engine cannot be imported or constructed; SettingsError when its settings are not right.
    """
    points = _points().get(name)
    if points:
        for other in points[1:]:
            _log.warning("the engine %s of %s is not used: %s", name, _package(other), _ours_or_first(points[0]))
        return _constructed(points[0], settings)
    raise _unknown(name)


def survey(settings: Settings, name: str | None = None) -> tuple[Listed, ...]:
    """Every engine that is installed, by name; what one of them raises is its own entry and nobody else's trouble.

    With a name only this one, and no other is so much as imported. Raises UnknownEngine when there is none.
    """
    found = _points()
    if name is not None and name not in found:
        raise _unknown(name)
    return tuple(_listed(found[one], settings) for one in (sorted(found) if name is None else [name]))


def _unknown(name: str) -> UnknownEngine:
    return UnknownEngine(f"there is no engine {name!r} installed; {near(name, names())}")


def _points() -> dict[str, list[EntryPoint]]:
    """The entry points of each name, the one that is used first: ours, so that no package takes the place of what
    Voxledger brings; else the first that Python finds.
    """
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        others = found.setdefault(point.name, [])
        if all((_package(point), point.value) != (_package(other), other.value) for other in others):
            others.append(point)
    for points in found.values():
        points.sort(key=lambda point: not _is_ours(point))
    return found


def _is_ours(point: EntryPoint) -> bool:
    return point.dist is not None and point.dist.name.lower() == "voxledger"


def _ours_or_first(point: EntryPoint) -> str:
    return "Voxledger has one of that name" if _is_ours(point) else f"{_package(point)} was found first"


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else "unknown"


def _listed(points: list[EntryPoint], settings: Settings) -> Listed:
    point = points[0]
    listed = _judged(point, settings)
    return replace(listed, passed_over=tuple(_package(other) for other in points[1:]))


def _judged(point: EntryPoint, settings: Settings) -> Listed:
    package = _package(point) if point.dist else ""
    try:
        engine = _constructed(point, settings)
        try:
            info = Guarded(engine, point.name).describe()
        finally:
            with contextlib.suppress(Exception, SystemExit):
                engine.close()
    except VoxledgerError as error:
        remedy = error.remedy if isinstance(error, SynthesisError) else ""
        return Listed(name=point.name, package=package, why=str(error), remedy=remedy)
    return Listed(name=point.name, package=package, info=info)


def _constructed(point: EntryPoint, settings: Settings) -> Engine:
    try:
        return cast(Engine, point.load()(settings))
    except ImportError as error:
        missing = f"the package {error.name!r}" if error.name else f"what cannot be imported ({error})"
        raise EngineUnavailable(f"engine {point.name!r} needs {missing}: {_pip_line(point)}") from error
    except VoxledgerError:
        raise
    except (Exception, SystemExit) as error:  # an engine is anybody's code
        raise EngineUnavailable(
            f"engine {point.name!r} cannot be loaded: {type(error).__name__}: {error}",
            remedy="Update or remove the package that brings this engine.",
        ) from error


def _pip_line(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "voxledger"
    if package == "voxledger":
        package = f"voxledger[{_EXTRAS.get(point.name, 'synth')}]"
    return f"pip install --upgrade '{package}'" if "[" not in package else f"pip install '{package}'"
