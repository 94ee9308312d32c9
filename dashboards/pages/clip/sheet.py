"""The sheet of a clip: everything that is known of it, gathered at one moment."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.analytics.report import wording
from voxledger.catalog.queries import load
from voxledger.catalog.query import history
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.api.pictures import heard

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.events import GenerationCompleted, SpokenPassage
    from voxledger.dashboards.server.callers import Caller

SQL = load("clip.sql", "voxledger.dashboards.pages.clip")
LINES = 80
"""Segments that stand in the page; a script brings the others, of a book."""
_MARKED = 400
"""Segments whose beginnings are drawn at most."""
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 12_000.0
_HERTZ = (250, 500, 1000, 2000, 4000, 8000)


class Sheet(NamedTuple):
    """A clip, its row in the catalog, and what was recorded when it was made: None of one that was found."""

    clip: Clip
    row: Mapping[str, Any]
    record: GenerationCompleted | None
    segments: Sequence[Mapping[str, Any]]
    passages: Sequence[SpokenPassage]

    @property
    def title(self) -> str:
        """What it is called."""
        row = self.row
        return wording.title(row["name"], row["text"], row["language"], row["emotion"]) or self.clip.short

    @property
    def gone(self) -> bool:
        """Whether there is no audio any more."""
        return self.clip.state in ("purging", "purged")

    @property
    def erased(self) -> bool:
        """Whether whoever it belonged to was erased."""
        return self.row["key"] is None

    @property
    def steps(self) -> list[tuple[str, int]]:
        """What its making took (µs), step by step; steps that took nothing are left out."""
        names = ("queue", "load", "synthesis", "audio", "encode")
        return [(name, self.row[f"{name}_us"]) for name in names if self.row[f"{name}_us"]]

    def emotion_at(self, seconds: float) -> str | None:
        """The emotion of the passage that is heard then, where a text has marks."""
        for passage in self.passages:
            if passage.start_us <= seconds * 1e6 < passage.end_us:
                return passage.emotion
        return None

    @property
    def score(self) -> dict[str, Any]:
        """What the script that draws needs: lengths in seconds, where segments and passages lie, and hertz beside the spectrogram."""
        return {
            "id": self.clip.id, "duration": self.clip.duration, "detail": self.clip.format != "aac",
            "segments": [each["start"] for each in self.segments] if len(self.segments) <= _MARKED else [],
            "passages": [[each.start_us / 1e6, each.end_us / 1e6, each.emotion] for each in self.passages[:500]],
            "hertz": hertz(self.clip.sample_rate),
        }  # fmt: skip


def sheet(caller: Caller, reference: str) -> Sheet:
    """Raises ClipNotFound, also for a clip that is not for this caller."""
    clip = caller.clip(reference)
    with asked(caller, fresh=False) as reading:
        row = reading.rows(SQL["clip"], {"clip": clip.id})[0]
        record = history.record(clip.id, reading, caller.ledger.recorder)
    known = record is not None and row["text"] is not None
    segments = heard(record)["segments"] if record is not None and known else ()
    return Sheet(clip, row, record, segments, record.passages if record is not None else ())


def hertz(rate: int) -> list[tuple[int, float]]:
    """Round frequencies, and how far up each stands in a spectrogram of this sample rate, as a share."""
    top = min(_HIGHEST_HZ, rate / 2)
    low, high = _mel(_LOWEST_HZ), _mel(top)
    return [(each, round((_mel(each) - low) / (high - low), 4)) for each in _HERTZ if each < top * 0.95]


def _mel(frequency: float) -> float:
    return 2595 * math.log10(1 + frequency / 700)
