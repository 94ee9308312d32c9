"""Feelings: the emotions' shares over time, and which voice speaks with which of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from voxledger.analytics.metrics import METRICS, series
from voxledger.analytics.metrics.measure import explain, stretches_of
from voxledger.analytics.metrics.question import Period, grouped
from voxledger.analytics.palette import EMOTIONS
from voxledger.dashboards.pages.chart import Chart, Column, Key, axis, pivoted
from voxledger.dashboards.pages.usage.answers import Answer, Asking
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import STRETCH, Question
from voxledger.dashboards.pages.words import later, say

VOICES = 12
"""Voices of the heat map, the most used ones."""
_TOLD = ("clips", "clip_share")
_LARGEST = """WITH told AS (
{groups}
), largest AS (
    SELECT *, sum(clips) OVER (PARTITION BY voice) AS of_voice FROM told WHERE voice <> ''
)
SELECT voice, emotion, clips FROM largest
QUALIFY dense_rank() OVER (ORDER BY of_voice DESC, voice) <= {most}
ORDER BY of_voice DESC, voice, clips DESC"""
_SAYS = {
    "day": later("Of the new clips of each day, the share of every dominant emotion."),
    "week": later("Of the new clips of each week, the share of every dominant emotion."),
    "month": later("Of the new clips of each month, the share of every dominant emotion."),
}


def river(asking: Asking) -> Answer:
    """The share of each emotion in each stretch; those that nobody asked for are left out."""
    reading, question, span, _ = asking
    more: Any = {"every": question.every, "zone": question.zone, "by": ["emotion"]}
    found = series(reading, _TOLD, span.start, span.stop, **more).to_dicts()
    known = {(row["stretch"], row["emotion"]): row for row in found if row["emotion"] in EMOTIONS}
    present = [
        name for name in EMOTIONS if any(emotion == name and row["clips"] for (_, emotion), row in known.items())
    ]
    told = [stretch for stretch, _ in known]
    first, last = (min(told), max(told)) if told else (question.first, question.last)  # a river has no empty ends
    rows = [
        {
            "stretch": one.label,
            "emotion": name,
            "clips": row["clips"] if row else 0,
            "share": round(row["clip_share"] or 0, 5) if row else 0,
        }
        for one in stretches_of(span.start, span.stop, question.every, question.zone)
        for name in present
        for row in [known.get((one.label, name))]
        if first <= one.label <= last
    ]
    return Answer(rows, explain("clip_share", span.start, span.stop, **more), {"present": present})


def draw_river(question: Question, answer: Answer, links: Links) -> Chart:
    """The chart of `river`, in the emotions' own colours."""
    present = answer.facts["present"]
    rows = [
        {**row, "rank": present.index(row["emotion"]),
         "href": links.clips({"emotion": row["emotion"]}, row["stretch"]) if row["clips"] else None}
        for row in answer.rows
    ]  # fmt: skip
    stretch = Column(name="stretch", title=say(STRETCH[question.every]), kind=question.every)
    several = len({row["stretch"] for row in rows}) > 1
    area = {"type": "area", "interpolate": "monotone", "stroke": "--surface", "strokeWidth": 1}
    spec = {
        "mark": area if several else {"type": "bar", "width": 120},  # an area of one stretch cannot be seen
        "encoding": {
            "x": {"field": "stretch", "type": "temporal", "scale": {"type": "utc"},
                  "axis": axis(question.every)},
            "y": {"field": "share", "type": "quantitative", "stack": "zero", "scale": {"domain": [0, 1]},
                  "axis": axis("share")},
            "color": {"field": "emotion", "type": "nominal", "scale": {"domain": present, "range": [f"--{name}" for name in present]}},
            "order": {"field": "rank", "type": "quantitative"},
        },
    }  # fmt: skip
    return Chart(
        name="river", title=say("Which feelings come and go?"), says=say(_SAYS[question.every]), spec=spec, rows=rows, height=260,
        keys=[Key(title=say(name), colour=f"--{name}") for name in present],
        table=pivoted(rows, at=stretch, over="emotion", value="share", groups={name: say(name) for name in present}, kind="share"),
        columns=[
            stretch,
            Column(name="emotion", title=say("Emotion"), kind="emotion"),
            Column(name="share", title=say("Share"), kind="share"), Column(name="clips", title=say("Clips"), kind="count"),
        ],
    )  # fmt: skip


def voices(asking: Asking) -> Answer:
    """Of the most used voices, the clips of each emotion."""
    _, _, span, _ = asking
    sql = _LARGEST.format(
        groups=grouped([METRICS["clips"]], ["voice", "emotion"], Period.of(span.start, span.stop)), most=VOICES
    )
    found = [row for row in asking.rows(sql) if row["emotion"] in EMOTIONS and row["clips"]]
    wholes: Counter[str] = Counter()
    for row in found:
        wholes[row["voice"]] += row["clips"]
    rows = [{**row, "share": round(row["clips"] / wholes[row["voice"]], 5)} for row in found]
    return Answer(rows, sql, {"voices": list(wholes)})


def draw_voices(question: Question, answer: Answer, links: Links) -> Chart:  # noqa: ARG001  # all are given the same
    """The chart of `voices`: each emotion in its own colour, the stronger the larger its share of the voice's clips."""
    shown = answer.facts["voices"]
    present = [name for name in EMOTIONS if any(row["emotion"] == name for row in answer.rows)]
    most = max((row["share"] for row in answer.rows), default=1.0)
    rows = [
        {
            **row,
            "weight": round(0.1 + 0.9 * (row["share"] / most) ** 0.5, 3),
            "href": links.clips({"voice": row["voice"], "emotion": row["emotion"]}),
        }
        for row in answer.rows
    ]
    spec = {
        "mark": {"type": "rect", "cornerRadius": 3},
        "encoding": {
            "y": {"field": "voice", "type": "nominal", "sort": None, "scale": {"domain": shown, "paddingInner": 0.08}},
            "x": {"field": "emotion", "type": "nominal", "scale": {"domain": present, "paddingInner": 0.04},
                  "axis": {**axis("emotion"), "orient": "top"}},
            "color": {"field": "emotion", "type": "nominal", "scale": {"domain": present, "range": [f"--{name}" for name in present]}},
            "opacity": {"field": "weight", "type": "quantitative", "scale": None},
        },
    }  # fmt: skip
    return Chart(
        name="voices", table=pivoted(
            rows, at=Column(name="voice", title=say("Voice"), kind="text"), over="emotion", value="share",
            groups={name: say(name) for name in present}, kind="share",
        ), title=say("Which voice speaks with which feeling?"), spec=spec, rows=rows, height=40 + 30 * len(shown),
        says=say("Of the clips of each voice, the share of every emotion: the stronger the colour, the more."),
        columns=[
            Column(name="voice", title=say("Voice"), kind="text"), Column(name="emotion", title=say("Emotion"), kind="emotion"),
            Column(name="share", title=say("Share of its clips"), kind="share"), Column(name="clips", title=say("Clips"), kind="count"),
        ],
    )  # fmt: skip
