"""The weekly report: built from the log, rendered as one HTML page, as Markdown and as JSON."""

from voxledger.analytics.report.build import build, explained
from voxledger.analytics.report.changes import Change, changes
from voxledger.analytics.report.errors import InvalidWeek, ReportError, ReportNotWritten
from voxledger.analytics.report.links import links
from voxledger.analytics.report.mail import MailParts, mail_parts
from voxledger.analytics.report.render import Links, render_html, render_json, render_markdown, render_schema
from voxledger.analytics.report.samples import load_audio
from voxledger.analytics.report.telling import differing, lead, moved, sentence, subject
from voxledger.analytics.report.week import Week
from voxledger.analytics.report.weekly import WeeklyReport
from voxledger.analytics.report.write import write

__all__ = [
    "Change",
    "InvalidWeek",
    "Links",
    "MailParts",
    "ReportError",
    "ReportNotWritten",
    "Week",
    "WeeklyReport",
    "build",
    "changes",
    "differing",
    "explained",
    "lead",
    "links",
    "load_audio",
    "mail_parts",
    "moved",
    "render_html",
    "render_json",
    "render_markdown",
    "render_schema",
    "sentence",
    "subject",
    "write",
]
