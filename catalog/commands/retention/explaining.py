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

    def explain(self, clip: str, /, *, json: bool = False) -> None:
        """Tell a clip's life, which rules match it and which decides, when it will go, and what would keep it.

        Of one whose audio is gone: when, why, and what the store answered.

        **Examples**

            voxledger retention explain 8f3a91c2
            voxledger retention explain 8f3a91c2 --json | jq .goes

        Parameters
        ----------
        clip
            Its id, or the last 4 to 8 digits of it.
        json
            Print one JSON document.
        """
        with self._opened() as door:
            found = door.retention.explain(clip)
        if json:
            terminal.print_json(found.as_dict())
            return
        for sentence in found:
            terminal.console.print(terminal.text(sentence))
