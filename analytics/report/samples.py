"""Samples: a few clips that show how different the week's clips are."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from voxledger.analytics.report.parts import Sample
from voxledger.analytics.report.weekly import WeeklyReport
from voxledger.catalog.log import Reading
from voxledger.catalog.queries import load

LARGEST = 2_000_000
"""Most bytes of one clip that goes into the page."""
LARGEST_TOTAL = 12_000_000
"""Most bytes of all clips in the page together."""
CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "wav": "audio/wav",
        "flac": "audio/flac",
        "opus": "audio/ogg",
        "mp3": "audio/mpeg",
        "aac": "audio/aac",
    }
)
"""Media type by format of a clip."""

_SQL = load("report.sql", "voxledger.analytics.report")
_log = logging.getLogger(__name__)


def choose(candidates: Sequence[Mapping[str, Any]], count: int) -> list[str]:
    """Ids of up to `count` clips, as varied as can be: first by emotion, then by language and actor.

    Deterministic: equals are taken in the order given.
    """
    left = list(candidates)
    seen: Counter[tuple[str, str]] = Counter()
    chosen: list[str] = []
    while left and len(chosen) < count:
        best = min(
            left,
            key=lambda row: (
                seen["emotion", row["emotion"]],
                seen["language", row["language"]] + seen["actor_id", row["actor_id"]],
            ),
        )
        left.remove(best)
        chosen.append(best["clip"])
        seen.update((kind, best[kind]) for kind in ("emotion", "language", "actor_id"))
    return chosen


def read_samples(reading: Reading, start: datetime, stop: datetime, count: int, cache: Path) -> tuple[Sample, ...]:
    """The samples of a period, the most telling first. Purged clips and those that do not lie in `cache` are left out."""
    if not count:
        return ()
    period = {"start": start, "stop": stop}
    found = reading.frame(_SQL["candidates"], {**period, "each": count}).to_dicts()
    chosen = choose(found, count)
    rows = reading.frame(_SQL["samples"], {**period, "chosen": chosen}).to_dicts()
    placed = [{**row, "path": row["path"] and str(cache / row["path"])} for row in rows]
    samples = {row["clip"]: msgspec.convert(row, Sample, strict=False) for row in placed}
    return tuple(samples[clip] for clip in chosen)


def load_audio(report: WeeklyReport) -> Mapping[str, tuple[bytes, str]]:
    """The samples' audio by clip id, each as bytes and media type.

    A file that is gone, is too large for the page or is not what was recorded (SHA-256) is left out; the page says so.
    """
    found: dict[str, tuple[bytes, str]] = {}
    room = LARGEST_TOTAL
    for sample in report.samples:
        if sample.path is None or sample.format not in CONTENT_TYPES or sample.bytes > min(LARGEST, room):
            continue
        try:
            content = _read(Path(sample.path), sample.bytes)
        except OSError:
            continue
        if hashlib.sha256(content).hexdigest() != sample.sha256:
            _log.warning("the file of clip %s is not what was recorded; it is left out of the report", sample.clip)
            continue
        found[sample.clip] = (content, CONTENT_TYPES[sample.format])
        room -= len(content)
    return found


def _read(path: Path, size: int) -> bytes:
    """Never more than a byte over what was recorded, whatever lies there now."""
    with path.open("rb") as file:
        return file.read(size + 1)
