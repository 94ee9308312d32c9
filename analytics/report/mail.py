"""The report as a mail: subject, plain text, and the same as HTML that mail programs show."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from voxledger.analytics.report import wording
from voxledger.analytics.report.render import render_mail, render_mail_text
from voxledger.analytics.report.telling import lead
from voxledger.analytics.report.weekly import WeeklyReport


class MailParts(NamedTuple):
    """What a mail is made of. `images` are PNG files that the HTML shows as `cid:NAME`, by name."""

    subject: str
    text: str
    html: str
    images: Mapping[str, bytes] = MappingProxyType({})


def mail_parts(report: WeeklyReport) -> MailParts:
    """Subject, text and HTML of a report: the week in short. Nothing in them has to be fetched, and no sound lies in them."""
    later = f", revision {report.revision}" if report.revises is not None else ""
    open_end = "" if report.closed else ", not closed yet"
    days = wording.days(report.start.date(), report.end_day)
    subject = f"Voxledger, week {report.week} ({days}){later}{open_end}: {lead(report)}"
    return MailParts(subject=wording.shortened(subject, 180), text=render_mail_text(report), html=render_mail(report))
