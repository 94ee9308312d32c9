"""Groups: what a metric came to by voice, actor, engine and so on, the largest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from voxledger.analytics.metrics import METRICS
from voxledger.analytics.metrics.measure import explain
from voxledger.analytics.metrics.question import Period, grouped
from voxledger.analytics.palette import EMOTIONS
from voxledger.dashboards.pages.chart import REST, SERIES, Chart, Column, Kind, written
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import WAYS, Question
from voxledger.dashboards.pages.words import later, say

LISTED = 10
"""Groups that are listed."""
_TITLES: Mapping[str, str] = {
    "actor": later("Who asks for it?"),
    "voice": later("Which voices speak?"),
    "emotion": later("Which feelings are asked for?"),
    "engine": later("Which engines do the work?"),
    "language": later("Which languages are spoken?"),
    "format": later("Which formats are made?"),
    "channel": later("Through which door does it come?"),
    "device": later("Which devices do the work?"),
}


def by_group(asking: Asking) -> Answer:
    """The largest groups, each beside what it was before; and what all others come to, where groups add up."""
    reading, question, span, _ = asking
    metric, empty = question.metric, METRICS[question.metric].empty
    found = largest(asking, LISTED + 1)
    rows = [row for row in found[:LISTED] if row["value"]]
    whole = _whole(asking) if question.additive else 0.0
    was: Mapping[Any, Any] = {}
    if question.compare and rows:
        among = [row["name"] for row in rows if row["name"] is not None]
        sql = grouped([METRICS[metric]], [question.by], Period.of(span.before, span.before_stop), among=among)
        was = {row[question.by]: row[metric] for row in reading.rows(sql)}
    told = [
        {
            **row,
            "share": row["value"] / whole if whole else None,
            "before": was.get(row["name"], empty) if question.compare and row["name"] is not None else None,
        }
        for row in rows
    ]
    rest = whole - sum(row["value"] for row in rows) if len(found) > LISTED and whole else 0
    sql = explain(metric, span.start, span.stop, by=[question.by], limit=LISTED + 1)
    return Answer(told, sql, {"rest": rest, "rest_share": rest / whole if whole else 0})


def largest(asking: Asking, most: int) -> list[dict[str, Any]]:
    """The largest groups: `name`, None for what is not known, and `value`."""
    question, span = asking.question, asking.span
    sql = explain(question.metric, span.start, span.stop, by=[question.by], limit=most)
    return [{"name": row[question.by], "value": row[question.metric]} for row in asking.rows(sql)]


def _whole(asking: Asking) -> float:
    metric = asking.question.metric
    return float(asking.rows(explain(metric, asking.span.start, asking.span.stop))[0][metric] or 0)


def told_apart(question: Question) -> int:
    """How many groups have a colour of their own."""
    return len(EMOTIONS) if question.by == "emotion" else len(SERIES)


def colours(question: Question, names: Sequence[str | None]) -> list[str]:
    """The colours of groups, in their order: emotions have their own."""
    own = question.by == "emotion"
    ranks = iter(SERIES)
    return [REST if name is None else f"--{name}" if own and name in EMOTIONS else next(ranks, REST) for name in names]


def named(question: Question, name: str | None) -> str:
    """A group as it is called."""
    if not name:
        return say("No voice named") if question.by == "voice" else say("Not known")
    return say(name) if question.by == "emotion" else name


def others(says: str, value: float, share: float, unit: Kind) -> str:
    """A sentence, and another one about what is not drawn."""
    told = {"says": says, "value": written(value, unit), "share": written(share, "share")}
    return say("%(says)s All others come to %(value)s (%(share)s).") % told


def draw_by_group(question: Question, answer: Answer, links: Links) -> Chart:
    """The chart of `by_group`: bars, in the colours that the groups have over time."""
    metric = METRICS[question.metric]
    shown: dict[str, str | None] = {}
    rows: list[dict[str, Any]] = []
    for row in answer.rows:
        group = named(question, row["name"])
        while group in shown:  # a voice may be called what we call none
            group += "\N{ZERO WIDTH SPACE}"
        shown[group] = row["name"]
        value, before = row["value"], row["before"]
        rows.append({
            "group": group, metric.name: value, "share": row["share"], "before": before, "end": max(value, before or 0),
            "href": links.clips({question.by: row["name"]}),
        })  # fmt: skip
    coloured = ["--accent"] * len(rows)
    if question.split or question.by == "emotion":
        coloured = colours(question, list(shown.values()))
    says = say("%(metric)s by %(group)s, the largest first.") % {
        "metric": say(metric.title),
        "group": say(WAYS[question.by]).lower(),
    }
    if answer.facts["rest"]:
        says = others(says, answer.facts["rest"], answer.facts["rest_share"], metric.unit)
    columns = [
        Column(name="group", title=say(WAYS[question.by]), kind="text"),
        Column(name=metric.name, title=say(metric.title), kind=metric.unit),
        *([Column(name="share", title=say("Share"), kind="share")] if question.additive else []),
        *([Column(name="before", title=say("Before"), kind=metric.unit)] if question.compare else []),
    ]
    spec = bars(list(shown), rows, (metric.name, metric.unit), coloured, compare=question.compare)
    return Chart(
        name="by_group", title=say(_TITLES[question.by]), says=says, spec=spec, columns=columns, rows=rows, height=30 * max(len(rows), 2)
    )  # fmt: skip


def bars(
    groups: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    value: tuple[str, Kind],
    coloured: Sequence[str],
    *,
    compare: bool,
    by: str = "group",
    told: str | None = None,
) -> dict[str, Any]:
    """Lying bars with their values behind them, and a tick where each was before. `value` is a field and its unit; a row's `end` is where
    its bar and its tick end; `told` is a field with what is written in place of the value.
    """
    field, unit = value
    most = max((row["end"] for row in rows), default=0) or 1
    y = {"field": by, "type": "nominal", "sort": None, "scale": {"domain": list(groups)}}
    x = {"field": field, "type": "quantitative", "axis": None, "scale": {"domain": [0, most * (1.6 if told else 1.25)]}}
    colour = {"field": by, "type": "nominal", "scale": {"domain": list(groups), "range": list(coloured)}}
    text = (
        {"field": told, "type": "nominal"}
        if told
        else {"field": field, "type": "quantitative", "format": "", "formatType": f"vox_whole_{unit}"}
    )
    where = {"y": y, "x": {**x, "field": "end"}, "text": text}
    layers: list[dict[str, Any]] = [
        {"mark": {"type": "bar"}, "encoding": {"y": y, "x": x, "color": colour}},
        {"mark": {"type": "text", "align": "left", "dx": 8, "baseline": "middle"}, "encoding": where},
        {"name": "hover", "mark": {"type": "rect", "color": "transparent"}, "encoding": {"y": y}},
    ]  # fmt: skip
    if compare:
        tick = {"type": "tick", "color": "--before", "thickness": 2, "bandSize": {"band": 0.9}}
        layers.insert(1, {"mark": tick, "encoding": {"y": y, "x": {**x, "field": "before"}}})
    return {"layer": layers}
