"""Engines by name: the entry point group `voxledger.engines`."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from typing import cast

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.settings import Settings
from voxledger.synth.engines.base import Engine, EngineInfo
from voxledger.synth.errors import EngineUnavailable, SynthesisError

GROUP = "voxledger.engines"

_EXTRAS = {"indextts": "indextts"}


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An engine as a list shows it: what it can do, or why it cannot be used and what helps."""

    name: str
    package: str
    info: EngineInfo | None = None
    why: str = ""
    remedy: str = ""


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
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(names()) or 'none'}"
    raise EngineUnavailable(f"there is no engine {name!r}; {hint}")


def survey(settings: Settings) -> tuple[Listed, ...]:
    """Every engine that is installed, by name; what one of them raises is its own entry and nobody else's trouble."""
    points = {point.name: point for point in reversed(tuple(entry_points(group=GROUP)))}
    return tuple(_listed(points[name], settings) for name in sorted(points))


def _listed(point: EntryPoint, settings: Settings) -> Listed:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else ""
    try:
        engine = _constructed(point, settings)
        try:
            info = engine.describe()
            if not _is_sound(info):
                raise TypeError("its description is not an EngineInfo as it should be")
        finally:
            with contextlib.suppress(Exception):
                engine.close()
    except VoxledgerError as error:
        remedy = error.remedy if isinstance(error, SynthesisError) else ""
        return Listed(name=point.name, package=package, why=str(error), remedy=remedy)
    except (Exception, SystemExit) as error:  # noqa: BLE001  # an engine is anybody's code
        return Listed(
            name=point.name, package=package, why=f"it fails with {type(error).__name__}: {error}",
            remedy="Update or remove the package that brings this engine.",
        )  # fmt: skip
    return Listed(name=point.name, package=package, info=info)


def _is_sound(info: object) -> bool:
    """Whether a description holds what it says it holds: it may be anybody's."""
    if not isinstance(info, EngineInfo):
        return False
    texts = (
        info.name, info.version, info.model, info.model_revision, info.device, info.determinism,
        *info.languages, *info.voices, *info.emotion_modes, *info.sampling,
    )  # fmt: skip
    return all(isinstance(text, str) for text in texts) and all(
        isinstance(number, int) for number in (info.sample_rate, info.concurrency)
    )


def _constructed(point: EntryPoint, settings: Settings) -> Engine:
    try:
        return cast(Engine, point.load()(settings))
    except ImportError as error:
        missing = f"the package {error.name!r}" if error.name else f"what cannot be imported ({error})"
        raise EngineUnavailable(f"engine {point.name!r} needs {missing}: {_pip_line(point)}") from error
    except VoxledgerError:
        raise
    except (Exception, SystemExit) as error:  # an engine is anybody's code
        raise EngineUnavailable(f"engine {point.name!r} cannot be loaded: {type(error).__name__}: {error}") from error


def _pip_line(point: EntryPoint) -> str:
    package = point.dist.name if point.dist else "voxledger"
    if package == "voxledger":
        package = f"voxledger[{_EXTRAS.get(point.name, 'synth')}]"
    return f"pip install --upgrade '{package}'" if "[" not in package else f"pip install '{package}'"
