"""The message: a report in the form that Slack's incoming webhooks take, and others after them.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and, for the limits of blocks and of texts,
https://docs.slack.dev/reference/block-kit/blocks and …/composition-objects/text-object
"""

from __future__ import annotations

import re
from typing import Any

from voxledger.analytics.report import WeeklyReport, differing, lead, moved, sentence, subject, wording

_HEADER = 150
_SECTION = 3000
_FIELD = 2000
_FIELDS = 10
_CHANGES = 5
"""Most lines about what a revision changes."""


def message(report: WeeklyReport, link: str | None = None) -> dict[str, Any]:
    """`text` for notifications, and `blocks` for those who open it. Everything that people typed is escaped."""
    later = f", revision {report.revision}" if report.revises is not None else ""
    title = f"Voxledger, week {report.week}{later}"
    days = wording.days(report.start.date(), report.end_day)
    about = f"{days}, {report.time_zone}" + ("" if report.closed else ", not closed yet")
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": title[:_HEADER]}},
        _section(f"{_escaped(lead(report))}\n_{_escaped(about)}_"),
    ]
    if differing(report):
        blocks.append(_section("\n".join(_changed(report))))
    if not (report.empty and report.first_week):
        told = [
            f"*{_escaped(row.title)}*\n{_escaped(wording.number(row.value, row.unit))} ({_escaped(moved(row, report=report))})"
            for row in report.headlines[:_FIELDS]
        ]
        blocks.append({"type": "section", "fields": [_text(one, _FIELD) for one in told]})
    if report.moves.lines:
        lines = (f"• *{_escaped(subject(move))}*: {_escaped(sentence(move, report))}" for move in report.moves.lines)
        blocks.append(_section("\n".join(["*What moved*", *lines])))
    leads = f"<{link}|The whole report>"
    if link and len(leads) <= _SECTION:  # a part of it would lead nowhere
        blocks.append(_section(leads))
    return {"text": f"{_escaped(title)}: {_escaped(lead(report))}", "blocks": blocks}


def _changed(report: WeeklyReport) -> list[str]:
    titles = {row.metric: row for row in report.headlines}
    told = differing(report)
    found = [change for change in told if change.section == "headlines" and change.row in titles]
    lines = [
        f"• {_escaped(titles[change.row].title)}: {_escaped(wording.number(change.before, titles[change.row].unit))} →"
        f" {_escaped(wording.number(change.after, titles[change.row].unit))}"
        for change in found[:_CHANGES]
    ]
    return [f"*{len(told)} numbers changed since revision {report.revises}*", *lines]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _text(text)}


def _text(text: str, most: int = _SECTION) -> dict[str, Any]:
    """Verbatim: addresses and names that people typed do not become links and mentions."""
    return {"type": "mrkdwn", "text": _cut(text, most), "verbatim": True}


def _cut(text: str, most: int) -> str:
    """At most so long, and no `&amp;` in two."""
    return text if len(text) <= most else re.sub(r"&[a-z]*$", "", text[: most - 1]) + "…"


def _escaped(text: str) -> str:
    """Slack's three characters; no mention and no link comes out of a name."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
