"""Answers: clips that are there already for what is asked, and the record of their use."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.clip import Access, Clip
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD, Fingerprint
from voxledger.catalog.recorder import Recorder


class Answer(NamedTuple):
    """A clip that is there, and as what the journal knows it."""

    known: Fingerprint
    clip: Clip
    saved_us: int
    """Engine time (µs) that whoever gets it saves."""
    timing: str
    """Where its sentences stand in text and sound, as it was recorded; "" where that is not known."""


class Answers:
    """The clips of a HOME, by the fingerprints of the requests that they answer. Safe from many threads."""

    def __init__(self, home: Home, recorder: Recorder, access: Access) -> None:
        self._home = home
        self._recorder = recorder
        self._access = access

    def of(self, fingerprint: str) -> Answer | None:
        """The clip that answers a request, if its audio can still be had: here, or in the store."""
        return self.each([fingerprint])[0]

    def each(self, fingerprints: Sequence[str]) -> list[Answer | None]:
        """The same for several requests, with two questions to the journal for all of them."""
        journal = self._recorder.journal
        known = journal.fingerprints(fingerprints)
        clips = {one.clip for one in known.values() if one.answer is not None}
        waiting = journal.with_open_tasks(UPLOAD, clips) if clips else set()
        found = [known.get(fingerprint) for fingerprint in fingerprints]
        return [self._answer(one, waits=one.clip in waiting) if one is not None else None for one in found]

    def stands(self, known: Fingerprint) -> bool:
        """Whether this is a clip whose audio can still be had."""
        waits = bool(self._recorder.journal.with_open_tasks(UPLOAD, [known.clip]))
        return self._answer(known, waits=waits) is not None

    def _answer(self, known: Fingerprint, *, waits: bool) -> Answer | None:
        if known.answer is None:
            return None
        facts: dict[str, Any] = self._recorder.unseal(known.answer, actor=known.actor, about=known.clip)
        path = self._home.cache / facts["key"]
        if waits and not path.is_file():
            return None
        facts |= {"path": path, "state": "local" if waits else "stored"}
        return Answer(
            known=known,
            clip=msgspec.convert(facts, Clip, strict=False, dec_hook=_path).bound(self._access),
            saved_us=int(facts["saved_us"]),
            timing=facts.get("timing") or "",
        )


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
