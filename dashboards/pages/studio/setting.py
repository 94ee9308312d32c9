"""The setting: everything that is chosen in the studio but the text, as the address of the page holds it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec

from voxledger.catalog.events import EMOTIONS
from voxledger.synth.formats import FORMATS

WAYS = ("vector", "reference", "words")
"""Where an emotion comes from: the sliders, a recording, a description."""
_LONGEST = 200


class Setting(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is chosen; the defaults are those of `Studio.speak`. Read from an address, which anybody may have written."""

    engine: str = ""
    voice: str = ""
    language: str = ""
    way: str = "vector"
    weights: tuple[float, ...] = (0.0,) * len(EMOTIONS)
    strength: float = 1.0
    reference: str = ""
    words: str = ""
    preset: str = ""
    seed: int | None = None
    take: int = 1
    speed: float = 1.0
    sampling: Mapping[str, float] = {}
    format: str = "wav"
    session: str = ""
    name: str = ""
    tags: str = ""
    priority: str = "interactive"
    reuse: bool = True
    marks: bool = True

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Setting:
        """From the query of an address. What cannot be is left out: a page is shown whatever its address says."""
        texts = {name: given.get(name, "")[:_LONGEST] for name in _TEXTS}
        seed = _number(given.get("seed"), 0, 2**53)
        return cls(
            **texts,
            way=_one(given.get("way"), WAYS),
            weights=tuple(round(_number(given.get(name), 0, 1) or 0.0, 3) for name in EMOTIONS),
            strength=_or(_number(given.get("strength"), 0, 1), 1.0),
            seed=None if seed is None else int(seed),
            take=int(_or(_number(given.get("take"), 1, 1_000_000), 1)),
            speed=_or(_number(given.get("speed"), 0.1, 10), 1.0),
            sampling=dict(_sampling(given)),
            format=_one(given.get("format"), tuple(FORMATS)),
            priority=_one(given.get("priority"), ("interactive", "batch")),
            reuse=given.get("reuse") != "no",
            marks=given.get("marks") != "no",
        )

    @property
    def emotion(self) -> dict[str, float]:
        """The weights that are not zero, by name."""
        return {name: weight for name, weight in zip(EMOTIONS, self.weights, strict=True) if weight}


_TEXTS = ("engine", "voice", "language", "reference", "words", "preset", "session", "name", "tags")


def address(**given: str) -> str:
    """The address of the studio with some of it chosen: for pages that lead here."""
    return f"/studio?{urlencode(given)}" if given else "/studio"


def _sampling(given: Mapping[str, str]) -> list[tuple[str, float]]:
    found = []
    for name, text in given.items():
        head, _, parameter = name.partition(".")
        number = _number(text, -1e6, 1e6)
        if head == "sampling" and parameter.isidentifier() and len(parameter) < 64 and number is not None:
            found.append((parameter, number))
    return found[:50]


def _number(text: str | None, lowest: float, highest: float) -> float | None:
    """A number within bounds; None for what is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return min(max(number, lowest), highest) if math.isfinite(number) else None


def _or(number: float | None, otherwise: float) -> float:
    return otherwise if number is None else number


def _one(text: str | None, choices: tuple[str, ...]) -> str:
    return text if text in choices else choices[0]
