"""Presets: an emotion and a voice under a name, so that nobody writes weights twice.

Some come with Voxledger (`presets.toml` beside this module). A node's own are in `HOME/presets.toml`, one table each:

    [narrator]
    about = "who reads the novels"
    emotion = { calm = 0.4, happy = 0.1 }
    strength = 0.8
    voice = "f2"
    language = "en-GB"
    engine = "espeak"
    sampling = { speed = 0.95 }

`add` and `remove` write that file anew as a whole, without comments; it may be written by hand as well. A preset of
one's own hides one of the same name that comes along.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, HomeError, SettingsError
from voxledger.catalog.home import Home
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import InvalidEmotion, InvalidRequest, SynthesisError, UnknownPreset
from voxledger.synth.hints import near
from voxledger.synth.text.language import normalize

FILE_NAME = "presets.toml"

_NAME = re.compile(r"\w[\w-]{0,49}")
_TEXTS = ("about", "voice", "language", "engine")
_FIELDS = (*_TEXTS, "emotion", "strength", "sampling")
_LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class Preset:
    """What a request is filled up with where it says nothing itself. `emotion` None: the preset does not say.

    Raises InvalidRequest, or one of its children, at construction for a name or a value that cannot be.
    """

    name: str
    about: str = ""
    emotion: Emotion | None = None
    voice: str | None = None
    language: str | None = None
    engine: str | None = None
    sampling: Mapping[str, float] = field(default_factory=dict)
    built_in: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise InvalidRequest(
                f"{str(self.name)[:60]!r} is no name for a preset: at most 50 letters, digits, hyphens and underscores"
            )
        for what in _TEXTS:
            value = getattr(self, what)
            if value is not None and (not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable()):
                raise InvalidRequest(
                    f"the {what} of the preset {self.name!r} must be a line of at most {_LONGEST} characters"
                )
        if self.language:
            normalize(self.language)
        for name, value in self.sampling.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InvalidRequest(f"{name} of the preset {self.name!r} must be a number, not {value!r}")

    def fill(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of `speak`, with the preset's values where they say nothing.

        An emotion that is asked for, in whatever way, takes the place of the preset's; a strength scales it. Sampling
        parameters are filled up one by one.
        """
        filled = dict(asked)
        for name in ("voice", "language", "engine"):
            if not filled.get(name) and getattr(self, name):
                filled[name] = getattr(self, name)
        if self.emotion and all(filled.get(name) is None for name in ("emotion", "emotion_reference", "emotion_words")):
            filled["emotion"] = self.emotion
        own = dict(self.sampling)
        if filled.get("speed") is not None:
            own.pop("speed", None)
        if own:
            filled["sampling"] = own | dict(filled.get("sampling") or {})
        return filled

    def as_dict(self) -> dict[str, Any]:
        """Only what it says, as it stands in the file."""
        found: dict[str, Any] = {what: getattr(self, what) for what in _TEXTS if getattr(self, what)}
        if self.emotion is not None:
            found["emotion"] = self.emotion.as_dict()
            if self.emotion.strength != 1:
                found["strength"] = self.emotion.strength
        if self.sampling:
            found["sampling"] = dict(self.sampling)
        return found


class Presets:
    """The presets of one node. Reads the file anew each time: it is small, and people write it."""

    def __init__(self, home: Home) -> None:
        self.path = home.path / FILE_NAME

    def all(self) -> tuple[Preset, ...]:
        """Built-in and own ones, by name. Raises SettingsError when the file cannot be read."""
        return tuple(found for _, found in sorted({**_built_in(), **self._own()}.items()))

    def get(self, name: str) -> Preset:
        """A preset by name. Raises UnknownPreset that names near ones, SettingsError."""
        found = {**_built_in(), **self._own()}
        if name not in found:
            raise UnknownPreset(f"there is no preset {str(name)[:60]!r}; {near(str(name), found)}")
        return found[name]

    def add(self, preset: Preset, *, replace_it: bool = False) -> None:
        """Write a preset of one's own, durably. Raises InvalidRequest when the name is taken, SettingsError, HomeError."""
        if not set(preset.as_dict()) - {"about"}:
            raise InvalidRequest(
                f"the preset {preset.name!r} says nothing: give it an emotion, a voice or anything else"
            )
        if preset.name in _built_in():
            raise InvalidRequest(f"{preset.name!r} comes with Voxledger; choose another name")
        with platform.locked(self.path.with_suffix(".lock")):
            own = self._own()
            if preset.name in own and not replace_it:
                raise InvalidRequest(f"there is a preset {preset.name!r} already; --replace writes over it")
            self._write({**own, preset.name: replace(preset, built_in=False)})

    def remove(self, name: str) -> None:
        """Take a preset of one's own away. Raises UnknownPreset, InvalidRequest for a built-in one, HomeError."""
        with platform.locked(self.path.with_suffix(".lock")):
            own = self._own()
            if name not in own and self.get(name).built_in:
                raise InvalidRequest(f"{name!r} comes with Voxledger and cannot be removed")
            del own[name]
            self._write(own)

    def _own(self) -> dict[str, Preset]:
        try:
            content = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{self.path} cannot be read: {error}") from None
        return _read(content, str(self.path), built_in=False)

    def _write(self, presets: Mapping[str, Preset]) -> None:
        blocks = ["# Written by `voxledger presets`; comments are not kept."]
        blocks += [written(preset) for _, preset in sorted(presets.items())]
        try:
            platform.write_atomic(self.path, ("\n\n".join(blocks) + "\n").encode())
        except OSError as error:
            if error.errno == 28:
                raise DiskFull(f"the disk is full: {self.path} was left as it was") from error
            raise HomeError(f"{self.path} could not be written: {error.strerror}") from error


def written(preset: Preset) -> str:
    """The preset as a table of the file."""
    lines = [f"[{_quoted(preset.name)}]", *(f"{key} = {_toml(value)}" for key, value in preset.as_dict().items())]
    return "\n".join(lines)


@cache
def _built_in() -> Mapping[str, Preset]:
    content = files("voxledger.synth").joinpath(FILE_NAME).read_text(encoding="utf-8")
    return MappingProxyType(_read(content, FILE_NAME, built_in=True))


def _read(content: str, where: str, *, built_in: bool) -> dict[str, Preset]:
    try:
        tree = tomllib.loads(content)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{where} is not valid TOML: {error}") from None
    found = {}
    for name, table in tree.items():
        try:
            found[name] = _preset(name, table, built_in)
        except (SynthesisError, TypeError, ValueError, AttributeError) as error:
            raise SettingsError(f"{where}: [{name}] is not right: {error}") from None
    return found


def _preset(name: str, table: Any, built_in: bool) -> Preset:
    if not isinstance(table, dict):
        raise InvalidRequest(f"{name!r} stands outside a table; a preset is [NAME] with lines below it")
    for key in table:
        if key not in _FIELDS:
            raise InvalidRequest(f"unknown {key!r}; {near(key, _FIELDS)}")
    if "strength" in table and "emotion" not in table:
        raise InvalidEmotion("its strength has nothing to scale: give it an emotion as well")
    emotion = Emotion.of(table["emotion"], strength=table.get("strength", 1.0)) if "emotion" in table else None
    return Preset(
        name=name, emotion=emotion, sampling=dict(table.get("sampling", {})), built_in=built_in,
        about=table.get("about", ""), **{key: table[key] for key in ("voice", "language", "engine") if key in table},
    )  # fmt: skip


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_quoted(key)} = {_toml(inner)}" for key, inner in value.items()) + " }"
            if value
            else "{}"
        )
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
