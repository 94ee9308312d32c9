"""Commands about what may go: `retention plan | apply | undo | restore | explain | hold | backtest`."""

from __future__ import annotations

from cyclopts import App

from voxledger.catalog.commands.retention.applying import ApplyCommands
from voxledger.catalog.commands.retention.backtest import BacktestCommands
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.commands.retention.explaining import ExplainCommands
from voxledger.catalog.commands.retention.holds import HoldCommands
from voxledger.catalog.commands.retention.planning import PlanCommands
from voxledger.catalog.terminal import Opener

_GROUPS = (PlanCommands, ApplyCommands, ExplainCommands, HoldCommands, BacktestCommands)


class Commands:
    """The commands about retention, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, app: App) -> None:
        """Register them."""
        retention = App(name="retention", help="Which audio may go, why, and letting it go.")
        for group in _GROUPS:
            group(self._opened).add_to(retention)
        app.command(retention)
