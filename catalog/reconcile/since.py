"""Since: what happened to clips after the catalog was copied. The final word before anything is recorded or repaired."""

from __future__ import annotations

from voxledger.catalog.events import decode
from voxledger.catalog.journal import Journal

_MATTERS = frozenset({
    "GenerationCompleted", "AudioAdopted", "AudioStored", "AudioUploadFailed", "PurgeStarted", "ClipPurged", "ClipRestored",
    "ObjectMissing", "ObjectVerified",
})  # fmt: skip
_STEP = 1000


class Since:
    """Follows the journal from a position on. `touched` inside a journal transaction is final."""

    def __init__(self, journal: Journal, position: int) -> None:
        self._journal = journal
        self._position = position
        self._touched: set[str] = set()
        self._ours: set[str] = set()
        self._blind = False

    def touched(self, clip: str) -> bool:
        """Whether something happened to a clip that makes what was seen of it out of date; also when nobody can tell."""
        while rows := self._journal.read(self._position, _STEP):
            # Another process may have sealed and pruned what was not read yet.
            self._blind |= rows[0][0] != self._position + 1
            for position, body in rows:
                self._position = position
                event = decode(body)
                if event.id in self._ours:
                    self._ours.discard(event.id)
                elif event.type in _MATTERS:
                    self._touched.add(event.subject)
        return self._blind or clip in self._touched

    def mine(self, event: str) -> None:
        """An event that this run is about to record, which is no news to it."""
        self._ours.add(event)
