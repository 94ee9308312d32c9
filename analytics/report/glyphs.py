"""Small drawings as inline SVG: sparklines and emotion roses. Their colours come from the page's stylesheet."""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup

from voxledger.analytics.metrics import Value
from voxledger.analytics.palette import EMOTIONS

NAMES = tuple(EMOTIONS)[:8]
"""The emotions of a vector, in its order."""
_WIDTH, _HEIGHT, _EDGE = 116.0, 34.0, 4.0
_HALF = math.radians(20)
"""Half the angle of a petal; 45 degrees a petal leaves a gap of 5."""


def sparkline(values: Sequence[Value], label: str, *, running: bool) -> Markup:
    """A line over weeks, from zero up, its end a dot: hollow while the week still runs. None leaves a gap."""
    numbers = [float(value) for value in values if value is not None]
    if len(numbers) < 2:
        return Markup("")
    top = max(numbers) or 1.0
    step = (_WIDTH - 2 * _EDGE) / (len(values) - 1)
    points = [
        None if value is None else (_EDGE + place * step, _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * float(value) / top)
        for place, value in enumerate(values)
    ]
    pieces: list[str] = []
    for before, point in zip([None, *points], points, strict=False):
        if point is not None:
            pieces.append(f"{'M' if before is None else 'L'}{point[0]:.1f} {point[1]:.1f}")
    drawn = [point for point in points if point is not None]
    end = drawn[-1]
    base = _HEIGHT - _EDGE
    area = (
        f"M{drawn[0][0]:.1f} {base:.1f}" + "".join(f"L{x:.1f} {y:.1f}" for x, y in drawn) + f"L{end[0]:.1f} {base:.1f}Z"
    )
    return Markup(
        '<svg class="spark" viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{label}">'
        '<path class="spark-base" d="M{edge} {base}H{far}"/><path class="spark-area" d="{area}"/>'
        '<path class="spark-line" d="{line}"/>'
        '<circle class="{dot}" cx="{x:.1f}" cy="{y:.1f}" r="3"/></svg>'
    ).format(
        width=_WIDTH,
        height=_HEIGHT,
        label=label,
        edge=_EDGE,
        base=base,
        far=_WIDTH - _EDGE,
        area=area,
        line="".join(pieces),
        dot="spark-dot running" if running else "spark-dot",
        x=end[0],
        y=end[1],
    )


def rose(vector: Sequence[float], *, size: int = 64, scale: float = 1.0, named: bool = False) -> Markup:
    """Eight petals, one an emotion, from happy at the top clockwise; a petal reaches the rim at a weight of `scale`.

    A petal's length is its weight, so that a faint one can still be seen; without any there is a neutral dot. `named`
    writes the names around, `size` is the diameter in pixels.
    """
    radius = size / 2
    x, y = radius + (84 if named else 2), radius + (20 if named else 2)
    parts = [Markup('<circle class="rose-ring" r="{:.1f}"/>').format(radius * part) for part in (0.5, 1.0)]
    for place, (name, weight) in enumerate(zip(NAMES, vector, strict=True)):
        middle = math.radians(45 * place - 90)
        length = radius * min(max(weight / scale, 0.0), 1.0)
        if length > 0:
            parts.append(_petal(name, middle, max(length, 1.5)))
        if named:
            parts.append(_name(name, middle, radius + 11))
    if not any(vector):
        parts.append(Markup('<circle class="fill-neutral" r="{:.1f}"/>').format(radius / 8))
    return Markup(
        '<svg class="rose" viewBox="{:.0f} {:.0f} {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img"'
        ' aria-label="{label}">{drawn}</svg>'
    ).format(-x, -y, width=2 * x, height=2 * y, label=described(vector), drawn=Markup("").join(parts))


def described(vector: Sequence[float]) -> str:
    """`happy 0.70, calm 0.20`, the strongest first; `no emotion` for zeros."""
    told = sorted(((weight, name) for name, weight in zip(NAMES, vector, strict=True) if weight >= 0.005), reverse=True)
    return ", ".join(f"{name} {weight:.2f}" for weight, name in told) or "no emotion"


def _petal(name: str, middle: float, length: float) -> Markup:
    ends = [(length * math.cos(angle), length * math.sin(angle)) for angle in (middle - _HALF, middle + _HALF)]
    return Markup(
        '<path class="fill-{name}" d="M0 0L{0[0]:.1f} {0[1]:.1f}A{r:.1f} {r:.1f} 0 0 1 {1[0]:.1f} {1[1]:.1f}Z"/>'
    ).format(*ends, name=name, r=length)


def _name(name: str, middle: float, distance: float) -> Markup:
    x, y = distance * math.cos(middle), distance * math.sin(middle)
    side = "middle" if abs(x) < 1 else "start" if x > 0 else "end"
    return Markup('<text x="{x:.1f}" y="{y:.1f}" text-anchor="{side}" dominant-baseline="middle">{name}</text>').format(
        x=x, y=y, side=side, name=name
    )
