"""The report's charts: Vega-Lite specifications, and the SVG that stands in the page.

A chart is drawn in the light palette, without a background; the page's stylesheet swaps each colour for its dark
partner (`palette.chart_pairs`). It is drawn for a wide and for a narrow column, so that its letters keep their size on
a phone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import vl_convert
from markupsafe import Markup

from voxledger.analytics.palette import EMOTIONS, OUTCOMES, ROLES
from voxledger.analytics.report import wording
from voxledger.analytics.report.weekly import WeeklyReport

WIDE, NARROW = 480, 316
"""Width in pixels of a chart in a column of a desktop page, and on a phone."""
FEWEST_FOR_LOUDNESS = 10
"""With fewer clips a distribution says nothing."""

Spec = dict[str, Any]
_FONT = "system-ui, sans-serif"
_INK, _MUTED, _LINE, _ACCENT = (ROLES[name].light for name in ("ink", "muted", "line", "accent"))


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A drawn chart in both widths, and what it says in words for those who do not see it."""

    wide: Markup
    narrow: Markup
    summary: str


def draw(report: WeeklyReport) -> Mapping[str, Chart]:
    """The charts that have something to show: `days`, `emotions`, `languages`, `loudness`."""
    found: dict[str, Chart] = {}
    for name, wanted, spec, summary in _CHARTS:
        if wanted(report):
            found[name] = Chart(
                wide=svg(spec(report, WIDE), f"{name}-wide"),
                narrow=svg(spec(report, NARROW), f"{name}-narrow"),
                summary=summary(report),
            )
    return found


def svg(spec: Spec, prefix: str) -> Markup:
    """A specification drawn as inline SVG; `prefix` keeps its ids apart from those of other charts in the page.

    No address may be fetched for it. The drawing is decorative for screen readers: `Chart.summary` is read instead.
    """
    drawn: str = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    drawn = re.sub(r' xmlns(:xlink)?="[^"]*"', "", drawn, count=2)
    ids = dict.fromkeys(re.findall(r'\bid="(\w+)"', drawn))
    for place, old in enumerate(ids):
        drawn = drawn.replace(f'id="{old}"', f'id="{prefix}-{place}"').replace(
            f"url(#{old})", f"url(#{prefix}-{place})"
        )
    drawn = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", drawn)
    return Markup(drawn.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704  # Vega escaped the texts


def days(report: WeeklyReport, width: int) -> Spec:
    """Generations by day, stacked by outcome."""
    letters = 3 if width < WIDE else None
    rows = [
        {
            "day": wording.short_day(day.date)[:letters],
            "outcome": outcome,
            "order": order,
            "count": getattr(day, outcome),
        }
        for day in report.days
        for order, outcome in enumerate(OUTCOMES)
    ]
    top = max(sum(getattr(day, outcome) for outcome in OUTCOMES) for day in report.days)
    return _spec(
        width,
        210,
        rows,
        mark={"type": "bar", "width": {"band": 0.62}},
        encoding={
            "x": {"field": "day", "type": "ordinal", "sort": None, "axis": _axis(grid=False, labelAngle=0)},
            "y": {
                "field": "count",
                "type": "quantitative",
                "axis": _axis(tickCount=min(4, top), format=",d", domain=False),
            },
            "order": {"field": "order"},
            "color": _scale("outcome", {name: colour.light for name, colour in OUTCOMES.items()}),
        },
    )


def emotions(report: WeeklyReport, width: int) -> Spec:
    """Share of clips by dominant emotion as bars, share of audio as ticks."""
    rows = [
        {
            "emotion": row.emotion,
            "clips": row.clip_share,
            "audio": row.audio_share or 0,
            "label": wording.share(row.clip_share),
            "end": max(row.clip_share, row.audio_share or 0),
        }
        for row in report.emotions.emotions
    ]
    top = max(max(row.clip_share, row.audio_share or 0) for row in report.emotions.emotions)
    y = {
        "field": "emotion",
        "type": "nominal",
        "sort": None,
        "axis": _axis(grid=False, domain=False, labelFontSize=13, minExtent=86),
    }
    x = {"type": "quantitative", "axis": None, "scale": {"domain": [0, top * (1.26 if width == WIDE else 1.36)]}}
    colour = _scale("emotion", {name: found.light for name, found in EMOTIONS.items()})
    layers = [
        {
            "mark": {"type": "bar", "height": {"band": 0.62}, "cornerRadiusEnd": 2},
            "encoding": {"y": y, "x": {"field": "clips", **x}, "color": colour},
        },
        {
            "mark": {"type": "tick", "color": _INK, "thickness": 2, "height": {"band": 0.9}},
            "encoding": {"y": y, "x": {"field": "audio", **x}},
        },
        _labels({"y": y, "x": {"field": "end", **x}}),
    ]
    return _spec(width, 30 * len(rows) + 8, rows, layer=layers)


def languages(report: WeeklyReport, width: int) -> Spec:
    """Audio made by language."""
    found = report.languages
    told = sorted((group for group in found.top if group.audio_us), key=lambda group: (-group.audio_us, group.name))
    pairs = [(group.name, group.audio_us) for group in told]
    if found.rest_audio_us:
        pairs.append((f"{found.groups - len(found.top):,} more", found.rest_audio_us))
    rows = [{"language": name, "minutes": us / 6e7, "label": wording.duration(us)} for name, us in pairs]
    top = max(us for _, us in pairs) / 6e7
    axis = _axis(grid=False, domain=False, labelFontSize=13, labelLimit=104, minExtent=64)
    y = {"field": "language", "type": "nominal", "sort": None, "axis": axis}
    x = {
        "field": "minutes",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, top * (1.34 if width == WIDE else 1.6)]},
    }
    bar = {"type": "bar", "height": {"band": 0.62}, "color": _ACCENT, "cornerRadiusEnd": 2}
    return _spec(
        width, 30 * len(rows) + 8, rows, layer=[{"mark": bar, "encoding": {"y": y, "x": x}}, _labels({"y": y, "x": x})]
    )


def loudness(report: WeeklyReport, width: int) -> Spec:
    """Clips by loudness, a bar a LUFS."""
    rows = [{"lufs": found.lufs, "next": found.lufs + 1, "clips": found.clips} for found in report.loudness]
    return _spec(
        width,
        170,
        rows,
        mark={"type": "bar", "color": _ACCENT, "binSpacing": 2},
        encoding={
            "x": {
                "field": "lufs",
                "type": "quantitative",
                "bin": {"binned": True, "step": 1},
                "axis": _axis(grid=False, title="LUFS", format="d", tickMinStep=1, tickCount=8 if width == WIDE else 4),
            },
            "x2": {"field": "next"},
            "y": {
                "field": "clips",
                "type": "quantitative",
                "axis": _axis(tickCount=min(4, max(row["clips"] for row in rows)), format=",d", domain=False),
            },
        },
    )


def _spec(width: int, height: int, rows: list[dict[str, Any]], **what: Any) -> Spec:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": height,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 7, "right": 4, "top": 2, "bottom": 2},
        "background": None,
        "data": {"values": rows},
        "config": {
            "font": _FONT,
            "view": {"stroke": None},
            "axis": {"labelColor": _MUTED, "titleColor": _MUTED, "gridColor": _LINE, "domainColor": _LINE},
        },
        **what,
    }


def _axis(**what: Any) -> Spec:
    return {
        "title": None,
        "ticks": False,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "labelPadding": 6,
    } | what


def _scale(field: str, colours: Mapping[str, str]) -> Spec:
    return {
        "field": field,
        "type": "nominal",
        "legend": None,
        "scale": {"domain": list(colours), "range": list(colours.values())},
    }


def _labels(encoding: Spec) -> Spec:
    """The figures at the ends of horizontal bars."""
    return {
        "mark": {"type": "text", "align": "left", "baseline": "middle", "dx": 7, "color": _INK, "fontSize": 13},
        "encoding": {**encoding, "text": {"field": "label"}},
    }


def _told_days(report: WeeklyReport) -> str:
    told = (
        f"{wording.short_day(day.date)}: "
        + (", ".join(f"{getattr(day, name):,} {name}" for name in OUTCOMES if getattr(day, name)) or "none")
        for day in report.days
    )
    return "Generations by day and outcome. " + "; ".join(told) + "."


def _told_emotions(report: WeeklyReport) -> str:
    told = (
        f"{row.emotion} {wording.share(row.clip_share)} of clips and {wording.share(row.audio_share)} of audio"
        for row in report.emotions.emotions
    )
    return "Emotion mix. " + "; ".join(told) + "."


def _told_languages(report: WeeklyReport) -> str:
    told = (f"{row.name} {wording.duration(row.audio_us)}" for row in report.languages.top if row.audio_us)
    return "Audio made by language. " + "; ".join(told) + "."


def _told_loudness(report: WeeklyReport) -> str:
    told = (f"{row.lufs} to {row.lufs + 1} LUFS: {row.clips:,}" for row in report.loudness)
    return "New clips by loudness. " + "; ".join(told) + "."


_CHARTS: tuple[
    tuple[
        str,
        Callable[[WeeklyReport], bool],
        Callable[[WeeklyReport, int], Spec],
        Callable[[WeeklyReport], str],
    ],
    ...,
] = (
    ("days", lambda report: not report.empty, days, _told_days),
    ("emotions", lambda report: bool(report.emotions.emotions), emotions, _told_emotions),
    ("languages", lambda report: any(group.audio_us for group in report.languages.top), languages, _told_languages),
    (
        "loudness",
        lambda report: sum(found.clips for found in report.loudness) >= FEWEST_FOR_LOUDNESS,
        loudness,
        _told_loudness,
    ),
)
