"""The radar of an emotion: eight weights as they were asked for and as they were applied, as an SVG without a script."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from voxledger.catalog.events import EMOTIONS
from voxledger.dashboards.pages.words import say

_REACH = 84.0
_MIDDLE = (170.0, 116.0)


def radar(asked: Sequence[float], effective: Sequence[float], label: str) -> Markup:
    """The picture; the numbers stand in a table beside it. Empty where no weight is above zero."""
    top = max(*asked, *effective)
    if top <= 0:
        return Markup("")
    scale = next((each for each in (0.25, 0.5) if top <= each), 1.0)
    rings = [
        Markup('<polygon class="radar-ring" points="{}"/>').format(_points([scale * part / 4] * 8, scale))
        for part in range(1, 5)
    ]
    return Markup('<svg class="radar" viewBox="0 0 340 232" role="img" aria-label="{}">{}</svg>').format(
        label,
        Markup("").join(
            (
                *rings,
                *_axes(),
                Markup('<polygon class="radar-effective" points="{}"/>').format(_points(effective, scale)),
                Markup('<polygon class="radar-asked" points="{}"/>').format(_points(asked, scale)),
                *_corners(effective, scale),
                Markup('<text class="radar-scale" x="{}" y="{}">{:g}</text>').format(
                    _MIDDLE[0] + 4, _MIDDLE[1] - _REACH + 12, scale
                ),
            )
        ),
    )


def small(weights: Sequence[float], label: str) -> Markup:
    """One emotion as a small shape, for a passage among others."""
    points = _points(weights, max(0.5, *weights), reach=20.0, middle=(22.0, 22.0))
    return Markup(
        '<svg class="radar-small" viewBox="0 0 44 44" width="44" height="44" role="img" aria-label="{}"><circle cx="22" cy="22" r="20"/>'
        '<polygon points="{}"/></svg>'
    ).format(label, points)


def _place(number: int, reach: float, middle: tuple[float, float] = _MIDDLE) -> tuple[float, float]:
    angle = math.tau * number / 8 - math.tau / 4
    return middle[0] + reach * math.cos(angle), middle[1] + reach * math.sin(angle)


def _points(
    weights: Sequence[float], scale: float, *, reach: float = _REACH, middle: tuple[float, float] = _MIDDLE
) -> str:
    places = (_place(number, reach * weight / scale, middle) for number, weight in enumerate(weights))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _axes() -> Iterator[Markup]:
    for number, name in enumerate(EMOTIONS):
        x, y = _place(number, _REACH)
        words_x, words_y = _place(number, _REACH + 15)
        side = "middle" if abs(words_x - _MIDDLE[0]) < 8 else "start" if words_x > _MIDDLE[0] else "end"
        yield Markup('<path class="radar-axis" d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>').format(*_MIDDLE, x, y)
        yield Markup('<text class="radar-name" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
            words_x, words_y + 4, side, say(name)
        )


def _corners(weights: Sequence[float], scale: float) -> Iterator[Markup]:
    for number, (name, weight) in enumerate(zip(EMOTIONS, weights, strict=True)):
        if weight > 0:
            x, y = _place(number, _REACH * weight / scale)
            yield Markup('<circle class="radar-corner" data-emotion="{}" cx="{:.1f}" cy="{:.1f}" r="4"/>').format(
                name, x, y
            )
