"""Emotion: eight weights in a fixed order, scaled by a strength."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from voxledger.catalog.events import EMOTIONS, NEUTRAL
from voxledger.synth.errors import InvalidEmotion
from voxledger.synth.hints import near

EmotionMode: TypeAlias = Literal["none", "vector", "reference", "words"]
Weights: TypeAlias = tuple[float, float, float, float, float, float, float, float]

_DECIMAL = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
ZERO: Weights = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Emotion:
    """What was asked for: eight weights in 0..1 (order of `EMOTIONS`) and a strength in 0..1.

    Raises InvalidEmotion at construction for anything outside those bounds, NaN included.
    """

    weights: Weights = ZERO
    strength: float = 1.0

    def __post_init__(self) -> None:
        if len(self.weights) != len(EMOTIONS):
            raise InvalidEmotion(
                f"an emotion vector has {len(EMOTIONS)} weights ({', '.join(EMOTIONS)}), this one has {len(self.weights)}"
            )
        for name, weight in zip(EMOTIONS, self.weights, strict=True):
            _check(f"the weight of {name}", weight)
        _check("the emotion strength", self.strength)
        # Zero has no sign: -0.0 would be the same emotion and another request.
        object.__setattr__(self, "weights", _weights(weight + 0.0 for weight in self.weights))
        object.__setattr__(self, "strength", self.strength + 0.0)

    @classmethod
    def of(cls, value: EmotionLike, *, strength: float = 1.0) -> Emotion:
        """Read an emotion from what people write.

        `None` · `"happy"` · `"happy=0.7, calm=0.2"` · eight numbers, as a sequence or joined by commas · a mapping of
        names to weights · an `Emotion` (whose own strength is multiplied by `strength`).
        """
        if value is None:
            return cls(strength=strength)
        if isinstance(value, Emotion):
            return cls(weights=value.weights, strength=value.strength * _check("the emotion strength", strength))
        if isinstance(value, str):
            return cls(weights=_from_text(value), strength=strength)
        if isinstance(value, Mapping):
            return cls(weights=_from_mapping(value), strength=strength)
        return cls(weights=_from_numbers(value), strength=strength)

    @property
    def mode(self) -> EmotionMode:
        """`vector` when any weight counts, else `none`."""
        return "vector" if any(self.scaled) else "none"

    @property
    def scaled(self) -> Weights:
        """The weights times the strength."""
        return _weights(weight * self.strength for weight in self.weights)

    @property
    def dominant(self) -> str:
        """The name of the largest weight, the first one of equals; `neutral` when all are zero."""
        largest = max(self.weights)
        return EMOTIONS[self.weights.index(largest)] if any(self.scaled) else NEUTRAL

    def as_dict(self) -> dict[str, float]:
        """Only the weights that are not zero, by name."""
        return {name: weight for name, weight in zip(EMOTIONS, self.weights, strict=True) if weight}


EmotionLike: TypeAlias = Emotion | Mapping[str, float] | Sequence[float] | str | None


def _check(what: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidEmotion(f"{what} must be a number between 0 and 1, not {value!r}")
    if math.isnan(value) or not 0 <= value <= 1:
        raise InvalidEmotion(f"{what} must lie between 0 and 1, not {value:g}")
    return float(value)


def _number(what: str, text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise InvalidEmotion(f"{what} must be a number between 0 and 1, not {text[:40]!r}")
    return _check(what, float(text))


def _real(what: str, value: object) -> float:
    """A number of any kind, numpy's too, but neither a truth value nor a text."""
    if isinstance(value, (bool, str, bytes)):
        return _check(what, value)  # type: ignore[arg-type]  # which refuses it in its words
    try:
        return float(value)  # type: ignore[arg-type]  # whatever float() takes is a number to us
    except (TypeError, ValueError, OverflowError):
        raise InvalidEmotion(f"{what} must be a number between 0 and 1, not {str(value)[:40]!r}") from None


def _weights(values: object) -> Weights:
    return tuple(values)  # type: ignore[arg-type,return-value]  # the length is checked by Emotion


def _from_numbers(values: Sequence[float]) -> Weights:
    try:
        numbers = [_real(f"weight {place}", value) for place, value in enumerate(values, 1)]
    except TypeError:
        raise InvalidEmotion(
            f"an emotion is a name, eight weights or a mapping of names to weights, not {values!r}"
        ) from None
    return _weights(numbers)


def _from_mapping(values: Mapping[str, float]) -> Weights:
    found = dict.fromkeys(EMOTIONS, 0.0)
    for name, value in values.items():
        known = str(name).strip().lower()
        if known == NEUTRAL:
            continue
        if known not in found:
            raise InvalidEmotion(f"unknown emotion {name!r}: {near(known, EMOTIONS)}")
        found[known] = _real(f"the weight of {known}", value)
    return _weights(found.values())


def _from_text(text: str) -> Weights:
    parts = [part.strip() for part in text.strip().strip("[]{}").split(",") if part.strip()]
    if parts and all(_DECIMAL.fullmatch(part) for part in parts):
        return _weights(_number(f"weight {place}", part) for place, part in enumerate(parts, 1))
    weights: dict[str, float] = {}
    for part in parts:
        name, mark, value = part.replace(":", "=", 1).partition("=")
        name = name.strip(" \"'")
        if name in weights:
            raise InvalidEmotion(f"{name} stands twice in {text[:80]!r}: give it one weight")
        weights[name] = _number(f"the weight of {name}", value.strip()) if mark else 1.0
    return _from_mapping(weights)
