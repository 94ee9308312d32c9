"""The stages of a fold: which queries run for which event types, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import duckdb

STEPS = frozenset(
    {
        "AudioStored", "AudioUploadFailed", "AudioAccessed", "CacheEvicted", "GenerationReused", "ClipTagged", "ClipUntagged",
        "ClipRated", "ClipPinned", "ClipUnpinned", "HoldPlaced", "HoldReleased", "ClipMarked", "ClipUnmarked", "PurgeStarted",
        "ClipPurged", "PurgeFailed", "ClipRestored", "ObjectMissing", "ObjectVerified",
    }
)  # fmt: skip
"""What happens to a clip after it was made; the query `read` of steps.sql names the same types."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Queries of a file that run when the batch holds one of some types, or else when `also` says so."""

    file: str
    queries: tuple[str, ...]
    types: frozenset[str]
    also: Callable[[duckdb.DuckDBPyConnection, frozenset[str]], bool] | None = None

    def is_due(self, connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> bool:
        """Whether the batch needs it."""
        return bool(self.types & present) or (self.also is not None and self.also(connection, present))


def _stage(file: str, queries: Iterable[str], types: Iterable[str]) -> Stage:
    return Stage(file=file, queries=tuple(queries), types=frozenset(types))


def _somebody_waited(connection: duckdb.DuckDBPyConnection, present: frozenset[str]) -> bool:
    """Whether clips came, and events wait that came before their clips."""
    if "GenerationCompleted" not in present:
        return False
    return bool(connection.execute("SELECT EXISTS (FROM catalog.folded.early)").fetchall()[0][0])


_MARKS = {"ClipMarked", "ClipUnmarked", "PurgeStarted", "ClipRestored"}
_PURGES = {"PurgeStarted", "ClipPurged", "PurgeFailed", "ClipRestored"}
_CHANGES = (
    "touched", "no_longer_early", "early", "follow", "tags", "record", "update_uses", "update_audio", "update_keeping",
    "update_tags", "update_changed",
)  # fmt: skip

STAGES = (
    _stage("clips", ["completed"], {"GenerationCompleted"}),
    _stage("generations", ["fold"], {"GenerationFailed", "GenerationCancelled", "GenerationReused"}),
    Stage(file="steps", queries=("read",), types=STEPS, also=_somebody_waited),
    _stage("plays", ["fold"], {"AudioAccessed"}),
    _stage("uploads", ["fold"], {"AudioStored", "AudioUploadFailed"}),
    _stage("ratings", ["fold"], {"ClipRated"}),
    _stage("marks", ["fold"], _MARKS),
    _stage("purges", ["fold"], _PURGES),
    _stage("holds", ["fold"], {"HoldPlaced", "HoldReleased"}),
    Stage(file="changes", queries=_CHANGES, types=STEPS, also=_somebody_waited),
    Stage(file="holds", queries=("update",), types=frozenset({"HoldPlaced", "HoldReleased"}), also=_somebody_waited),
    _stage("voices", ["fold"], {"VoiceRegistered", "VoiceWithdrawn"}),
    _stage("models", ["fold"], {"ModelPushed", "ModelPulled", "ModelRestored"}),
    _stage("deliveries", ["fold"], {"DeliveryQuarantined"}),
    _stage("reports", ["fold"], {"ReportPublished"}),
    _stage("erasure", ["erased", "stale", "clips", "pins", "others", "voices"], {"SubjectErased"}),
)
"""In the order in which they run: clips are there before anything happens to them."""
