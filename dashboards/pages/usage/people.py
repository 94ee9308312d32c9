"""People: whether they come back, and how far what they make gets."""

from __future__ import annotations

from voxledger.analytics.metrics import METRICS, funnel
from voxledger.analytics.metrics.question import Period, whole
from voxledger.analytics.metrics.tables import FUNNEL, cohorts_query
from voxledger.dashboards.pages import chart, moments
from voxledger.dashboards.pages.chart import Chart, Column, pivoted
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.groups import bars
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import Question
from voxledger.dashboards.pages.words import say

FEWEST, MOST = 8, 16
"""Weeks of cohorts."""


def cohorts(asking: Asking) -> Answer:
    """By the week in which people came first: how many of them were there again so many weeks later."""
    _, question, span, _ = asking
    weeks = min(max(question.days // 7 + 1, FEWEST), MOST)
    sql = cohorts_query(span.stop, zone=question.zone, weeks=weeks)
    return Answer(asking.rows(sql), sql, {"weeks": weeks})


def draw_cohorts(question: Question, answer: Answer, links: Links) -> Chart:  # noqa: ARG001  # people have no page of their own
    """The chart of `cohorts`: a row a week of newcomers, a column each week that followed."""
    sizes = {row["cohort"]: row["users"] for row in answer.rows if row["after"] == 0}
    labels = {
        first: f"{chart.day(first, 'short')} · {moments.count(size)}"
        for first, size in sorted(sizes.items(), reverse=True)
    }
    weeks = answer.facts["weeks"]
    rows = [
        {**row, "label": labels[row["cohort"]], "weight": round(0.08 + 0.52 * row["share"] ** 0.5, 3)}
        for row in answer.rows
        if row["after"] > 0 and row["cohort"] in labels
    ]
    y = {
        "field": "label",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": list(labels.values()), "paddingInner": 0.08},
    }
    x = {
        "field": "after", "type": "ordinal", "scale": {"domain": list(range(1, weeks)), "paddingInner": 0.04},
        "axis": {"orient": "top", "labelAngle": 0, "title": say("weeks later")},
    }  # fmt: skip
    text = {"field": "share", "type": "quantitative", "format": "", "formatType": "vox_share"}
    weight = {"field": "weight", "type": "quantitative", "scale": None}
    spec = {
        "layer": [
            {"mark": {"type": "rect", "cornerRadius": 3, "color": "--accent"}, "encoding": {"y": y, "x": x, "opacity": weight}},
            {"name": "cells", "mark": {"type": "text", "fontSize": 11}, "encoding": {"y": y, "x": x, "text": text}},
        ]
    }  # fmt: skip
    cohort = Column(name="cohort", title=say("Came first in the week of"), kind="week")
    shares, lines = pivoted(
        rows, at=cohort, over="after", value="share", groups={str(week): str(week) for week in range(1, weeks)}, kind="share"
    )  # fmt: skip
    first, *others = shares
    read = [first, Column(name="users", title=say("People"), kind="count"), *others]
    return Chart(
        name="cohorts", title=say("Do people come back?"), spec=spec, rows=rows, height=48 + 26 * max(len(labels), 1),
        table=(read, [{**line, "users": sizes[line["cohort"]]} for line in lines]),
        says=say("Of the people who came first in a week (and how many they were), the share who were there again so many weeks later."),
        columns=[
            cohort,
            Column(name="after", title=say("Weeks later"), kind="count"),
            Column(name="users", title=say("There again"), kind="count"), Column(name="share", title=say("Share"), kind="share"),
        ],
    )  # fmt: skip


def reach(asking: Asking) -> Answer:
    """How far the clips made in the period got."""
    reading, _, span, _ = asking
    rows = [
        {"metric": one.metric, "clips": one.clips, "share": one.share, "share_of_previous": one.share_of_previous}
        for one in funnel(reading, span.start, span.stop)
    ]
    sql = whole([METRICS[name] for name in FUNNEL], Period.of(span.start, span.stop))
    return Answer(rows if rows[0]["clips"] else [], sql, {})


def draw_reach(question: Question, answer: Answer, links: Links) -> Chart:  # noqa: ARG001  # all are given the same
    """The chart of `reach`: a bar a step."""
    rows = [
        {**row, "step": say(METRICS[row["metric"]].title), "told": f"{moments.count(row['clips'])} · {moments.share(row['share'])}",
         "href": links.clips() if row["metric"] == FUNNEL[0] else None}
        for row in answer.rows
    ]  # fmt: skip
    steps = [row["step"] for row in rows]
    for row in rows:
        row["end"] = row["clips"]
    spec = bars(steps, rows, ("clips", "count"), ["--accent"] * len(rows), compare=False, by="step", told="told")
    return Chart(
        name="reach", title=say("How far do clips get?"), spec=spec, rows=rows, height=190,
        says=say("Of the clips made in these days: those stored since, of them those played, and of these those still kept."),
        columns=[
            Column(name="step", title=say("Step"), kind="text"), Column(name="clips", title=say("Clips"), kind="count"),
            Column(name="share", title=say("Of all made"), kind="share"),
            Column(name="share_of_previous", title=say("Of the step before"), kind="share"),
        ],
    )  # fmt: skip
