"""Work: what the engines took, what reuse saved them, and what all of it cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxledger.analytics.metrics import METRICS, measure, series
from voxledger.analytics.metrics.measure import stretches_of
from voxledger.analytics.metrics.question import Period, stretched, whole
from voxledger.dashboards.pages.chart import Chart, Column, Key, axis, pivoted
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.groups import bars
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import STRETCH, Question
from voxledger.dashboards.pages.words import later, say

_TIMES = ("engine_us", "saved_us")
_STORED = frozenset({"room_cost_micro", "upload_cost_micro"})
_SPENT: Mapping[str, str] = {"engine_us": later("Spent on new clips"), "saved_us": later("Saved by reuse")}
_PARTS: Mapping[str, str] = {
    "engine_cost_micro": later("Engine time"), "room_cost_micro": later("Room in the store"), "upload_cost_micro": later("Uploads"),
    "saved_micro": later("Saved by reuse"),
}  # fmt: skip


def saved(asking: Asking) -> Answer:
    """Engine time that was spent, and that reuse saved, in each stretch."""
    reading, question, span, _ = asking
    every, zone = question.every, question.zone
    rows = series(reading, _TIMES, span.start, span.stop, every=every, zone=zone).to_dicts()
    found = [{"stretch": row["stretch"], "what": name, "us": row[name]} for row in rows for name in _TIMES]
    stretches = stretches_of(span.start, span.stop, every, zone)
    sql = stretched(
        [METRICS[name] for name in _TIMES], [], stretches, Period.of(span.start, span.stop), every=every, zone=zone
    )
    return Answer(found if any(row["us"] for row in found) else [], sql, {})


def draw_saved(question: Question, answer: Answer, links: Links) -> Chart:
    """The chart of `saved`: both upon each other, what would have been spent without reuse."""
    shown = [say(_SPENT[name]) for name in _TIMES]
    rows = [
        {**row, "what": say(_SPENT[row["what"]]), "rank": _TIMES.index(row["what"]),
         "href": links.clips({}, row["stretch"]) if row["us"] and row["what"] == "engine_us" else None}
        for row in answer.rows
    ]  # fmt: skip
    range_ = ["--completed", "--reused"]
    heights: dict[object, int] = {}
    for row in rows:
        heights[row["stretch"]] = heights.get(row["stretch"], 0) + row["us"]
    stretch = Column(name="stretch", title=say(STRETCH[question.every]), kind=question.every)
    spec = {
        "mark": {"type": "bar", "cornerRadius": 0},
        "encoding": {
            "x": {"field": "stretch", "type": "ordinal", "axis": {"format": "", "formatType": f"vox_{question.every}", "labelAngle": 0}},
            "y": {"field": "us", "type": "quantitative", "axis": axis("us", max(heights.values(), default=0))},
            "color": {"field": "what", "type": "nominal", "scale": {"domain": shown, "range": range_}},
            "order": {"field": "rank", "type": "quantitative"},
        },
    }  # fmt: skip
    return Chart(
        name="saved", title=say("How much work does reuse save?"), spec=spec, rows=rows, height=220,
        says=say("The engines' own time for new clips, and the time that reused clips had cost and that was not spent again."),
        keys=[Key(title=title, colour=colour) for title, colour in zip(shown, range_, strict=True)],
        table=pivoted(rows, at=stretch, over="what", value="us", groups={title: title for title in shown}, kind="us"),
        columns=[
            stretch,
            Column(name="what", title=say("Engine time"), kind="text"), Column(name="us", title=say("Length"), kind="us"),
        ],
    )  # fmt: skip


def cost(asking: Asking) -> Answer:
    """What the period cost, part by part, and what reuse saved. Engine time has a price only where devices have one."""
    reading, question, span, prices = asking
    parts = _PARTS if prices.devices else {name: title for name, title in _PARTS.items() if name in _STORED}
    now = measure(reading, list(parts), span.start, span.stop, prices=prices)
    was: Mapping[str, Any] = {}
    if question.compare:
        was = measure(reading, list(parts), span.before, span.before_stop, prices=prices)
    rows = [{"part": name, "micro": now[name] or 0, "before": was.get(name)} for name in parts]
    told = [METRICS[name] for name in parts if METRICS[name].source == "costs"]
    sql = whole(told, Period.of(span.start, span.stop, prices=prices))
    facts = {"currency": prices.currency, "devices": bool(prices.devices)}
    return Answer(rows if any(row["micro"] for row in rows) else [], sql, facts)


def draw_cost(question: Question, answer: Answer, links: Links) -> Chart:  # noqa: ARG001  # costs are no clips
    """The chart of `cost`: a bar a part."""
    currency = answer.facts["currency"]
    rows = [
        {**row, "part": say(_PARTS[row["part"]]), "kind": "saved" if row["part"] == "saved_micro" else "spent"}
        for row in answer.rows
    ]
    if answer.facts["devices"]:
        says = say("In %(currency)s, at the prices of the settings, beside what reuse saved.")
    else:
        says = say(
            "In %(currency)s, at the prices of the settings. Engine time counts once prices.devices says what devices cost."
        )
    for row in rows:
        row["end"] = max(row["micro"], row["before"] or 0)
    coloured = ["--reused" if row["kind"] == "saved" else "--completed" for row in rows]
    spec = bars([row["part"] for row in rows], rows, ("micro", "micro"), coloured, compare=question.compare, by="part")
    columns = [
        Column(name="part", title=say("Part"), kind="text"),
        Column(name="micro", title=say("Cost") + f" ({currency})", kind="micro"),
    ]
    if question.compare:
        columns.append(Column(name="before", title=say("Before"), kind="micro"))
    return Chart(
        name="cost", title=say("What does it cost?"), spec=spec, rows=rows, columns=columns, currency=currency, height=48 * len(rows),
        says=says % {"currency": currency},
    )  # fmt: skip
