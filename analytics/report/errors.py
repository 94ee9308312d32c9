"""The errors of the weekly report.

AnalyticsError            (voxledger.analytics.errors) the root of this floor
└── ReportError               a weekly report cannot be made
    ├── InvalidWeek               no such ISO week, or one that has not begun
    └── ReportNotWritten          its folder cannot be written
"""

from __future__ import annotations

from voxledger.analytics.errors import AnalyticsError


class ReportError(AnalyticsError):
    """A weekly report cannot be made."""


class InvalidWeek(ReportError):
    """No such ISO week, or one that has not begun."""


class ReportNotWritten(ReportError):
    """The folder of the report cannot be written; nothing was."""
