"""The weekly reports of a node."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from voxledger.dashboards.remote.connection import Connection
from voxledger.dashboards.remote.operations import done

if TYPE_CHECKING:
    from voxledger.analytics.publishing import Listed, Sent
    from voxledger.analytics.report import Week, WeeklyReport
    from voxledger.catalog.events import ReportChannel


class RemoteReports:
    """The weekly reports of a node, with the methods of `Reports`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def weekly(self, week: str | Week | None = None, *, as_of: datetime | None = None) -> WeeklyReport:
        """The report of a week such as `2026-W47`; without one, of the running week, marked as not closed."""
        from voxledger.analytics.report import WeeklyReport

        asked = {"as_of": as_of and as_of.isoformat()}
        told = self._connection.get(f"/api/reports/{quote(str(week or 'current'), safe='')}", asked)
        return msgspec.convert(told, WeeklyReport, strict=False)

    def listed(self, *, limit: int = 20) -> Sequence[Listed]:
        """The reports that were published, the newest week first."""
        from voxledger.analytics.publishing import Listed

        told = self._connection.get("/api/reports", {"limit": limit})
        return msgspec.convert(told["reports"], list[Listed], strict=False)

    def send(self, week: str, channels: Sequence[ReportChannel] = (), *, everyone: bool = False) -> Sequence[Sent]:
        """Send the newest report of a week, on purpose. Raises NotPublished, InvalidWeek."""
        from voxledger.analytics.publishing import Sent

        body = {"channels": list(channels), "everyone": everyone}
        found = done(self._connection, "POST", f"/api/reports/{quote(week, safe='')}/send", dict, body=body)
        return msgspec.convert(found["sent"], list[Sent], strict=False)
