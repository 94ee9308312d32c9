"""The report as a mail: subject, plain text, and the same as HTML that mail programs show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from voxledger.analytics.report import telling, wording
from voxledger.analytics.report.render import render_mail, render_mail_text
from voxledger.analytics.report.weekly import WeeklyReport

LONGEST_SUBJECT = 78
"""Characters: as long as a line of a mail should be (https://www.rfc-editor.org/rfc/rfc5322#section-2.1.1)."""


class MailParts(NamedTuple):
    """What a mail is made of. `images` are PNG files that the HTML shows as `cid:NAME`, by name."""

    subject: str
    text: str
    html: str
    images: Mapping[str, bytes] = MappingProxyType({})


def mail_parts(report: WeeklyReport) -> MailParts:
    """Subject, text and HTML of a report: the week in short. Nothing in them has to be fetched, and no sound lies in them."""
    return MailParts(subject=_subject(report), text=render_mail_text(report), html=render_mail(report))


def _subject(report: WeeklyReport) -> str:
    """Which report it is, and as many of its numbers as have room, in ASCII, which every program lists as it is."""
    said = f"Voxledger, week {report.week}"
    said += f", revision {report.revision}" if report.revises is not None else ""
    said += "" if report.closed else ", not closed yet"
    mark = ": "
    for fact in telling.facts(report):
        more = mark + fact.replace(wording.GAP, " ")
        if len(said) + len(more) > LONGEST_SUBJECT:
            break
        said, mark = said + more, ", "
    return said
