"""`retention explain`: why one clip is kept or goes."""

from __future__ import annotations

from cyclopts import App

from voxledger.catalog import terminal
from voxledger.catalog.commands.retention.door import Door
from voxledger.catalog.terminal import Opener


class ExplainCommands:
    """The command that tells about one clip."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def add_to(self, retention: App) -> None:
        """Register it."""
        retention.command(self.explain)

    def explain(self, clip: str, /) -> None:
        """Say why a clip is kept, when it will go, and what would keep it.

        **Examples**

            voxledger retention explain 8f3a91c2

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        """
        with self._opened() as door:
            for sentence in door.retention.explain(clip):
                terminal.console.print(terminal.text(sentence))
