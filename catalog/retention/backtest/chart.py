"""The chart: what is saved against what is regretted, one point a policy and one line a baseline, in a page, SVG or PNG."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert

from voxledger.catalog import platform
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.retention.backtest.outcomes import Backtest, Outcome
from voxledger.catalog.terminal import size

FORMATS = (".html", ".svg", ".png")
Spec = dict[str, Any]
_FONT = "system-ui, sans-serif"
_INK, _MUTED, _LINE, _PAGE = "#16181d", "#5a606b", "#e2e3e0", "#ffffff"
_POLICY, _CHOSEN = "#2b50bd", "#c2410c"
_BASELINES = {
    "age only": ("#8a8f98", [2, 3]),
    "least recently used": ("#0f766e", [6, 3]),
    "least frequently used": ("#9333ea", [1, 0]),
}
_WIDTH, _HEIGHT = 640, 380


def write(found: Backtest, path: Path) -> Path:
    """Draw it into a file, whose name says how. Raises PolicyError as `check`, and when it cannot be written."""
    kind = check(path)
    drawn = spec(found)
    if kind == ".png":
        content: bytes = vl_convert.vegalite_to_png(drawn, scale=2, allowed_base_urls=[])
    else:
        svg: str = vl_convert.vegalite_to_svg(drawn, allowed_base_urls=[])
        content = (svg if kind == ".svg" else page(found, svg)).encode()
    try:
        platform.write_atomic(path, content)
    except OSError as error:
        raise PolicyError(f"the chart cannot be written to {path}: {error.strerror or error}") from error
    return path


def check(path: Path) -> str:
    """The ending of a file for a chart. Raises PolicyError for an unknown one, or a folder that is not there."""
    kind = path.suffix.lower()
    if kind not in FORMATS:
        raise PolicyError(f"{path} ends in none of {', '.join(FORMATS)}: the ending says how the chart is drawn")
    if not path.parent.is_dir():
        raise PolicyError(f"the chart cannot be written to {path}: there is no folder {path.parent}")
    return kind


def spec(found: Backtest) -> Spec:
    """The chart as a Vega-Lite specification."""
    suggested = found.suggested
    points = [_point(outcome, outcome is suggested) for outcome in found.policies]
    family = [point for point, outcome in zip(points, found.policies, strict=True) if outcome.keep_for is not None]
    lines = [_point(outcome, False) for outcome in found.baselines]
    bound = max([found.max_regret, *(row["regret"] for row in points)]) * 1.15 or 0.01
    scale = {"domain": [0, bound], "clamp": False, "nice": False}
    x = {
        "field": "saved",
        "type": "quantitative",
        "axis": _axis("Saved: share of byte-days", ".0%"),
        "scale": {"domain": [0, 1]},
    }
    y = {
        "field": "regret", "type": "quantitative", "axis": _axis("Regret: share of uses", ".1%" if bound > 0.01 else ".2%"), "scale": scale,
    }  # fmt: skip
    allowed = {"values": [{"regret": found.max_regret, "label": f"allowed: {found.max_regret:.2%}"}]}
    rule = {"type": "rule", "color": _CHOSEN, "strokeDash": [4, 4], "opacity": 0.7}
    layers: list[Spec] = [{"data": allowed, "mark": rule, "encoding": {"y": y}}]
    if lines:
        layers.append(
            {
                "data": {"values": [row for row in lines if row["regret"] <= bound]},
                "mark": {"type": "line", "strokeWidth": 1.8, "point": {"size": 18, "filled": True}},
                "encoding": {
                    "x": x,
                    "y": y,
                    "order": {"field": "saved"},
                    "color": _by_name([colour for colour, _ in _BASELINES.values()], legend=True),
                    "strokeDash": _by_name([dash for _, dash in _BASELINES.values()], legend=True),
                },
            }
        )
    layers += _policies(points, family, x, y)
    layers += _allowed(allowed, [*points, *lines], found.max_regret, bound, y)
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": _WIDTH,
        "height": _HEIGHT,
        "background": _PAGE,
        "padding": 16,
        "title": {
            "text": "What policies would have saved, and what would have been missed",
            "subtitle": f"{_period(found)}: {found.clips:,} clips, {found.uses:,} uses. Further right and lower is better.",
        },
        "layer": layers,
        "config": {
            "font": _FONT,
            "view": {"stroke": None},
            "title": {
                "anchor": "start",
                "color": _INK,
                "subtitleColor": _MUTED,
                "fontSize": 15,
                "subtitleFontSize": 12,
                "offset": 14,
            },
            "legend": {"labelColor": _INK, "titleColor": _MUTED, "labelFontSize": 12, "symbolSize": 60},
        },
    }


_NEAR = (0.08, 0.05)
"""How near two points are whose labels would lie on each other, as shares of the largest values."""

_WORDS = (0.15, 0.06)
"""How much room the words on the line of what is allowed take: a share of the width, and of the height."""


def _legible(points: Sequence[Spec]) -> list[Spec]:
    """The points, those without a label that would have it on top of another's. Suggested ones and policies of their own come first."""
    wide = max((point["saved"] for point in points), default=0) or 1
    high = max((point["regret"] for point in points), default=0) or 1
    ranked = sorted(points, key=lambda point: (not point["suggested"], bool(point["keep_for"])))
    placed: list[Spec] = []
    for point in ranked:
        near = (
            other
            for other in placed
            if abs(other["saved"] - point["saved"]) < _NEAR[0] * wide
            and abs(other["regret"] - point["regret"]) < _NEAR[1] * high
        )
        if next(near, None) is None:
            placed.append(point)
    return [point if point in placed else {**point, "label": ""} for point in points]


def _allowed(data: Spec, points: Sequence[Spec], regret: float, bound: float, y: Spec) -> list[Spec]:
    """The words on the line of what is allowed. They stand at the left, which curves reach last, or where one does, at the right."""
    left = not any(
        point["saved"] < _WORDS[0] and -0.01 < (point["regret"] - regret) / bound < _WORDS[1] for point in points
    )
    place: Spec = {"x": 0, "dx": 4, "align": "left"} if left else {"x": "width", "dx": -4, "align": "right"}
    mark = {"type": "text", "dy": -7, "fontSize": 11, **place}
    return [
        {"data": data, "mark": {**mark, **look}, "encoding": {"y": y, "text": {"field": "label"}}}
        for look in ({"stroke": _PAGE, "strokeWidth": 4, "color": _PAGE}, {"color": _CHOSEN})
    ]


def _policies(points: Sequence[Spec], family: Sequence[Spec], x: Spec, y: Spec) -> list[Spec]:
    points = _legible(points)
    found: list[Spec] = []
    if len(family) > 1:
        found.append(
            {
                "data": {"values": list(family)},
                "mark": {"type": "line", "color": _POLICY, "strokeWidth": 1.5},
                "encoding": {"x": x, "y": y, "order": {"field": "keep_for"}},
            }
        )
    found.append(
        {
            "data": {"values": list(points)},
            "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1, "stroke": _PAGE, "strokeWidth": 1},
            "encoding": {
                "x": x,
                "y": y,
                "color": {"condition": {"test": "datum.suggested", "value": _CHOSEN}, "value": _POLICY},
                "size": {"condition": {"test": "datum.suggested", "value": 190}, "value": 75},
            },
        }
    )
    for test, colour, weight, side in (
        ("!datum.suggested && datum.keep_for", _INK, "normal", -1),
        ("!datum.suggested && !datum.keep_for", _POLICY, "bold", 1),
        ("datum.suggested", _CHOSEN, "bold", -1),
    ):
        words = {
            "type": "text",
            "align": "right" if side < 0 else "left",
            "dx": side * 10,
            "dy": side * 9,
            "fontSize": 11,
        }
        found += [
            {
                "data": {"values": list(points)},
                "transform": [{"filter": test}],
                "mark": {**words, "fontWeight": weight, **look},
                "encoding": {"x": x, "y": y, "text": {"field": "label"}},
            }
            # A rim in the page's colour first, so that lines do not cross the letters.
            for look in ({"stroke": _PAGE, "strokeWidth": 4, "color": _PAGE}, {"color": colour})
        ]
    return found


def page(found: Backtest, svg: str) -> str:
    """The chart with its numbers as one page, which asks nobody for anything."""
    escape = html.escape
    suggested = found.suggested
    said = (
        f"Suggested: <strong>{escape(suggested.name)}</strong>. It would have saved {suggested.saved_share:.1%} of the storage"
        f" ({suggested.saved_cost:,.2f} {escape(found.currency)}) with a regret of {suggested.regret_share:.3%} of all uses."
        if suggested
        else f"No policy deletes anything with a regret of at most {found.max_regret:.2%}."
    )
    rows = "".join(
        f"<tr{' class=chosen' if outcome is suggested else ''}><td>{escape(outcome.title)}<td>{outcome.clips:,}<td>{size(outcome.bytes)}"
        f"<td>{outcome.saved_share:.1%}<td>{outcome.saved_cost:,.2f}<td>{outcome.regrets:,}<td>{outcome.regret_share:.3%}"
        for outcome in (*found.policies, *found.baselines)
    )
    worst = (suggested or found.policies[0]).worst
    missed = "".join(
        f"<tr><td>{escape(regret.clip)}<td>{size(regret.bytes)}<td>{regret.purged:%Y-%m-%d %H:%M}<td>{regret.wanted:%Y-%m-%d %H:%M}"
        f"<td>{regret.uses:,}"
        for regret in worst
    )
    listed = (
        f"<h2>Missed most with {escape((suggested or found.policies[0]).title)}</h2><table><tr><th>clip<th>bytes<th>deleted (UTC)"
        f"<th>wanted (UTC)<th>uses from then on</tr>{missed}</table>"
        if worst
        else ""
    )
    notes = "".join(f"<li>{escape(note)}" for note in found.notes)
    return _PAGE_TEXT.format(
        period=escape(_period(found)), source=escape(found.source), svg=svg, said=said, rows=rows, currency=escape(found.currency),
        listed=listed, notes=notes,
    )  # fmt: skip


def _period(found: Backtest) -> str:
    return f"{found.since:%Y-%m-%d} to {found.until:%Y-%m-%d}"


def _point(outcome: Outcome, suggested: bool) -> Spec:
    return {
        "name": outcome.name, "label": outcome.label, "saved": outcome.saved_share, "regret": outcome.regret_share,
        "keep_for": outcome.keep_for or 0, "suggested": suggested,
    }  # fmt: skip


def _axis(title: str, format_: str) -> Spec:
    return {
        "title": title, "format": format_, "grid": True, "gridColor": _LINE, "domainColor": _LINE, "tickColor": _LINE, "labelColor": _MUTED,
        "titleColor": _INK, "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10, "tickCount": 8,
    }  # fmt: skip


def _by_name(values: Sequence[Any], *, legend: bool) -> Spec:
    return {
        "field": "name", "type": "nominal", "scale": {"domain": list(_BASELINES), "range": list(values)},
        "legend": {"title": "Baselines", "orient": "right", "symbolType": "stroke"} if legend else None,
    }  # fmt: skip


_PAGE_TEXT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backtest of retention</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; color: #16181d; background: #f6f6f4; max-width: 860px; margin: 2rem auto; padding: 0 1rem }}
svg {{ max-width: 100%; height: auto; border-radius: 8px }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }}
th, td {{ padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e2e3e0 }}
th:first-child, td:first-child {{ text-align: left; overflow-wrap: anywhere }}
th {{ color: #5a606b; font-weight: normal }} .chosen {{ color: #c2410c; font-weight: 600 }} li, .muted {{ color: #5a606b }}
</style>
<h1>Backtest of retention</h1>
<p class="muted">{source}, {period}</p>
<p>{said}</p>
{svg}
<table><tr><th>policy<th>clips<th>bytes<th>saved<th>{currency}<th>regrets<th>of uses</tr>{rows}</table>
{listed}
<ul>{notes}</ul>
</html>
"""
