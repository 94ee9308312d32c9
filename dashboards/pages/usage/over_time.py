"""Over time: a metric stretch by stretch, beside the period before or group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxledger.analytics.metrics import METRICS
from voxledger.analytics.metrics.measure import explain, series, stretches_of
from voxledger.dashboards.pages.chart import Chart, Column, Key, axis, pivoted
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.groups import colours, largest, named, others, told_apart
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import STRETCH, WAYS, Question
from voxledger.dashboards.pages.words import later, say

_MOST_REST = 0.5
"""What all groups without a colour may have of the whole to be drawn."""
_TITLES: Mapping[str, str] = {
    "clips": later("How many clips are made?"),
    "audio_us": later("How much audio is made?"),
    "active_users": later("How many people use it?"),
    "engine_us": later("How long do the engines work?"),
    "reuse_rate": later("How much is answered by what is there already?"),
    "failure_rate": later("How often does it fail?"),
}


def over_time(asking: Asking) -> Answer:
    """Each stretch of the period: the metric, and that of the stretch in its place before; or the metric of the largest groups."""
    reading, question, span, _ = asking
    metric, every, zone = question.metric, question.every, question.zone
    if question.split:
        among = [row["name"] for row in largest(asking, told_apart(question)) if row["name"] is not None]
        more = {"every": every, "zone": zone, "by": [question.by], "among": among}
        found = series(reading, [metric], span.start, span.stop, **more).to_dicts()  # type: ignore[arg-type]  # as they are
        rows = [{"stretch": row["stretch"], "name": row[question.by], "value": row[metric]} for row in found]
        sql = explain(metric, span.start, span.stop, **more)  # type: ignore[arg-type]  # as they are
        return Answer(_filled(rows, among, question, span), sql, {"among": among})
    now = series(reading, [metric], span.start, span.stop, every=every, zone=zone).to_dicts()
    was: Sequence[Mapping[str, Any]] = ()
    if question.compare:
        was = series(reading, [metric], span.before, span.start, every=every, zone=zone).to_dicts()
    rows = [
        {"stretch": row["stretch"], "value": row[metric], "before": was[place][metric] if place < len(was) else None}
        for place, row in enumerate(now)
    ]
    told = rows if any(row["value"] or row["before"] for row in rows) else []
    return Answer(told, explain(metric, span.start, span.stop, every=every, zone=zone), {})


def _filled(
    rows: Sequence[dict[str, Any]], among: Sequence[str], question: Question, span: Any
) -> list[dict[str, Any]]:
    """Every group in every stretch, so that lines and areas have no holes; the rest last, if there is one."""
    known = {(row["stretch"], row["name"]): row["value"] for row in rows}
    names = [*among, *([None] if any(row["name"] is None for row in rows) else [])]
    nothing = METRICS[question.metric].empty
    return [
        {"stretch": stretch.label, "name": name, "value": known.get((stretch.label, name), nothing)}
        for stretch in stretches_of(span.start, span.stop, question.every, question.zone)
        for name in names
    ]


def draw_over_time(question: Question, answer: Answer, links: Links) -> Chart:
    """The chart of `over_time`."""
    metric = METRICS[question.metric]
    stretch = Column(name="stretch", title=say(STRETCH[question.every]), kind=question.every)
    value = Column(name=metric.name, title=say(metric.title), kind=metric.unit)
    x = {"field": "stretch", "type": "ordinal", "axis": {**axis(question.every), "labelAngle": 0}}
    y = {"field": metric.name, "type": "quantitative", "axis": axis(metric.unit, _highest(question, answer))}
    columns, keys, table, says = [stretch, value], [], None, say(metric.definition)
    if question.split:
        among: Sequence[str] = answer.facts["among"]
        names = [*among, *([None] if any(row["name"] is None for row in answer.rows) else [])]
        shown = [say("All others") if name is None else named(question, name) for name in names]
        keys = [Key(title=title, colour=colour) for title, colour in zip(shown, colours(question, names), strict=True)]
        columns.insert(1, Column(name="group", title=say(WAYS[question.by]), kind="text"))
        rows = [
            {"stretch": row["stretch"], "group": shown[names.index(row["name"])], metric.name: row["value"],
             "rank": names.index(row["name"]),
             "href": links.clips({question.by: row["name"]}, row["stretch"]) if row["value"] else None}
            for row in answer.rows
        ]  # fmt: skip
        colour = {
            "field": "group",
            "type": "nominal",
            "scale": {"domain": shown, "range": [key.colour for key in keys]},
        }
        table = pivoted(
            rows, at=stretch, over="group", value=metric.name, groups={name: name for name in shown}, kind=metric.unit
        )
        spec = _split(x, y, colour, additive=question.additive)
        rest = sum(row["value"] or 0 for row in answer.rows if row["name"] is None)
        whole = sum(row["value"] or 0 for row in answer.rows)
        if metric.unit != "share" and rest > _MOST_REST * whole:
            # One large block, with those that are asked about as a thin line below it, tells nobody anything.
            rows = [row for row in rows if row["rank"] < len(among)]
            keys = keys[: len(among)]
            says = others(says, rest, rest / whole, metric.unit) if question.additive else says
    else:
        rows = [
            {"stretch": row["stretch"], metric.name: row["value"], "before": row["before"],
             "href": links.clips({}, row["stretch"]) if row["value"] else None}
            for row in answer.rows
        ]  # fmt: skip
        spec, keys = _whole(x, y, compare=question.compare)
        if question.compare:
            columns.append(Column(name="before", title=say("Before"), kind=metric.unit))
    return Chart(
        name="over_time", title=say(_TITLES[question.metric]), says=says, spec=spec, columns=columns, rows=rows,
        keys=keys, table=table, height=300,
    )  # fmt: skip


def _highest(question: Question, answer: Answer) -> float:
    """The largest value that is drawn."""
    if not question.split or not question.additive:  # side by side, not one upon the other
        return max((row[name] or 0 for row in answer.rows for name in ("value", "before") if name in row), default=0)
    heights: dict[Any, float] = {}
    for row in answer.rows:
        heights[row["stretch"]] = heights.get(row["stretch"], 0) + (row["value"] or 0)
    return max(heights.values(), default=0)


def _whole(x: dict[str, Any], y: dict[str, Any], *, compare: bool) -> tuple[dict[str, Any], list[Key]]:
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar"}, "encoding": {"x": x, "y": y}},
        {"name": "hover", "mark": {"type": "rect", "color": "transparent"}, "encoding": {"x": x}},
    ]
    if not compare:
        return {"layer": layers}, []
    tick = {"type": "tick", "color": "--before", "thickness": 2, "bandSize": {"band": 0.9}}
    layers.insert(1, {"mark": tick, "encoding": {"x": x, "y": {**y, "field": "before"}}})
    return {"layer": layers}, [
        Key(title=say("This period"), colour="--accent"),
        Key(title=say("The period before"), colour="--before"),
    ]


def _split(x: dict[str, Any], y: dict[str, Any], colour: dict[str, Any], *, additive: bool) -> dict[str, Any]:
    order = {"field": "rank", "type": "quantitative"}
    if additive:
        return {
            "mark": {"type": "bar", "cornerRadius": 0},
            "encoding": {"x": x, "y": y, "color": colour, "order": order},
        }
    time = {**x, "type": "temporal", "scale": {"type": "utc"}}
    encoding = {"x": time, "y": y, "color": colour}
    return {
        "layer": [
            {"mark": {"type": "line"}, "encoding": encoding},
            {"mark": {"type": "line", "strokeWidth": 14, "opacity": 0}, "encoding": encoding},
        ]
    }
