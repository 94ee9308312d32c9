"""Commands about usage; only registered here, each group is a module of `commands`."""

from __future__ import annotations

from typing import Any

from cyclopts import App

from voxledger.analytics.commands.metrics import Commands as MetricCommands
from voxledger.analytics.commands.mixpanel import Commands as MixpanelCommands
from voxledger.analytics.commands.report import Commands as ReportCommands
from voxledger.catalog.terminal import Opener

_GROUPS = (ReportCommands, MixpanelCommands, MetricCommands)


class Commands:
    """The commands of this floor, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Any]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        for group in _GROUPS:
            group(self._opened).add_to(app)
