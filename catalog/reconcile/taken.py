"""What was taken into the catalog from elsewhere, what was not, and why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

SHOWN = 1000
"""Most notes that a report lists; the rest is counted."""


class Measures(msgspec.Struct, frozen=True, kw_only=True):
    """What only decoding tells of a sound: integrated loudness (LUFS), true peak (dBTP), share of silence (0..1)."""

    loudness_lufs: float | None
    true_peak_dbtp: float | None
    silence_share: float | None


Measure: TypeAlias = Callable[[Path], Measures | None]
"""Measures a sound file in a process of its own; None for one that it does not take. Files come from anywhere."""


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """One file or object that was not taken."""

    what: str
    why: str


class Taken(msgspec.Struct, kw_only=True):
    """What `adopt` and `import` did. Filled while they run."""

    found: int = 0
    """Files or objects that were looked at."""
    taken: int = 0
    bytes: int = 0
    """Of those that were taken."""
    duration_us: int = 0
    """Likewise."""
    known: int = 0
    """Clips already: from an earlier run, or because Voxledger made them."""
    gone: int = 0
    """Audio of clips that were purged or erased, which nothing brings back but `restore`."""
    refused: int = 0
    """No audio that can be read, or unreadable files; `notes` say which."""
    notes: list[Note] = []
    more: int = 0
    """Notes that are not listed."""

    def refuse(self, what: str, why: str) -> None:
        """One more that was not taken, with the reason."""
        self.refused += 1
        if len(self.notes) < SHOWN:
            self.notes.append(Note(what=what, why=why))
        else:
            self.more += 1

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found
