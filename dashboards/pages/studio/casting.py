"""Casting: the voices that may be chosen for an engine: registered recordings, with the consent they stand on, and its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from voxledger.dashboards.pages.kept import Kept
from voxledger.synth.voices import Voice

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site
    from voxledger.synth.engines import EngineInfo

MOST = 60
"""Most voices of each kind that are shown; others are found by searching."""
_STATES = ("registered", "expired", "withdrawn")


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown: voices whose names hold what is searched for, and how many more there are."""

    registered: Sequence[Voice]
    more_registered: int
    own: Sequence[str]
    more_own: int

    @property
    def found(self) -> int:
        """How many are shown."""
        return len(self.registered) + len(self.own)


class Casting:
    """The voices of a node, a few seconds old."""

    def __init__(self, site: Site) -> None:
        self._voices: Kept[Sequence[Voice]] = Kept(5.0, gone=site.gone.place)

    def of(self, caller: Caller, info: EngineInfo | None, searched: str = "") -> Cast:
        """Those that can be used first. A recording whose name leads to a newer one now is not shown, nor is an erased one."""
        wanted = searched.strip().casefold()
        voices = [voice for voice in self._all(caller) if wanted in _called(voice).casefold()]
        own = [name for name in (info.voices if info else ()) if wanted in name.casefold()]
        return Cast(
            registered=voices[:MOST],
            more_registered=max(0, len(voices) - MOST),
            own=own[:MOST] if wanted else own,
            more_own=max(0, len(own) - MOST) if wanted else 0,
        )

    def named(self, caller: Caller, name: str) -> Voice | None:
        """The registered voice of a name."""
        return next((voice for voice in self._all(caller) if name in (*voice.names, voice.sha256)), None)

    def _all(self, caller: Caller) -> Sequence[Voice]:
        def look() -> Sequence[Voice]:
            found = [voice for voice in caller.ledger.voices.all() if voice.names and voice.state in _STATES]
            return sorted(found, key=lambda voice: (_STATES.index(voice.state), _called(voice).casefold()))

        return self._voices.get("", look)


def _called(voice: Voice) -> str:
    return " ".join(voice.names)
