"""A watch: to which clips something happened since a plan was made."""

from __future__ import annotations

from collections.abc import Container, Mapping

import msgspec

from voxledger.catalog.journal import Journal

UPLOADS = frozenset({"AudioStored", "AudioUploadFailed"})
"""How an upload ends: that says nothing about what the clip is worth."""
_HAPPENED: Mapping[str, str] = {
    "AudioAccessed": "it was used after the plan was made",
    "GenerationReused": "it answered a request after the plan was made",
    "ClipPinned": "it was pinned after the plan was made",
    "HoldPlaced": "a hold was placed on it after the plan was made",
    "ClipRated": "it was rated after the plan was made",
    "ClipTagged": "its tags changed after the plan was made",
    "ClipUntagged": "its tags changed after the plan was made",
    "AudioStored": "its upload ended after the plan was made",
}
_STEP = 1000


class _Head(msgspec.Struct, frozen=True, gc=False):
    """All that a watch wants of an event; a run reads what it records itself, too, which are two events for each purge."""

    type: str
    subject: str


_read = msgspec.json.Decoder(_Head).decode


class Watch:
    """Follows the journal from a plan's position on. Inside a journal transaction, `catch_up` gives the final word.

    Events of the types `ignoring` count for nothing.
    """

    def __init__(self, journal: Journal, position: int, *, ignoring: Container[str] = ()) -> None:
        self._journal = journal
        self._position = position
        self._ignoring = ignoring
        self._events: dict[str, str] = {}
        self._blind = False

    def catch_up(self) -> None:
        """Read on to the journal's head."""
        while rows := self._journal.read(self._position, _STEP):
            # Another process may have sealed and pruned what was not read yet: then nothing is known for sure.
            self._blind |= rows[0][0] != self._position + 1
            for _, body in rows:
                event = _read(body)
                if event.type not in self._ignoring:
                    self._events[event.subject] = event.type
            self._position = rows[-1][0]

    def objection(self, clip: str) -> str | None:
        """Why a decision about this clip is out of date; None when nothing happened to it."""
        if self._blind:
            return "the journal was pruned while this ran, so nobody can tell what happened to it since"
        happened = self._events.get(clip)
        return None if happened is None else _HAPPENED.get(happened, f"{happened} came after the plan was made")
