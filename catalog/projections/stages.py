"""The stages of a fold: which queries run for which event types, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BEGINNINGS = frozenset({"GenerationCompleted", "AudioAdopted"})
"""What a clip begins with; the query `touched` of following.sql names the same types."""
STEPS = frozenset(
    {
        "AudioStored", "AudioUploadFailed", "AudioAccessed", "CacheEvicted", "GenerationReused", "ClipTagged", "ClipUntagged",
        "ClipRated", "ClipPinned", "ClipUnpinned", "HoldPlaced", "HoldReleased", "ClipMarked", "ClipUnmarked", "PurgeStarted",
        "ClipPurged", "PurgeFailed", "ClipRestored", "ObjectMissing", "ObjectVerified",
    }
)  # fmt: skip
"""What happens to a clip after it was made; the query `read` of steps.sql names the same types."""
WAITED = "an event that waited for its clip"
"""Stands for a type in a batch that brings clips while events wait that came before their clips."""
SEVERAL = "several events of one clip"
"""Stands for a type in a batch that touches a clip more than once, and not only by uses."""
USED = "uses of clips"
"""Stands for a type in a batch that does nothing to clips but use them."""
CHANGED = "changes of clips"
"""Stands for a type in a batch that does more."""
USES = frozenset({"AudioAccessed", "GenerationReused"})


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Queries of one file that run, in order, when the batch holds an event of one of these types."""

    file: str
    queries: tuple[str, ...]
    types: frozenset[str]


def _stage(file: str, queries: Iterable[str], *types: str) -> Stage:
    return Stage(file=file, queries=tuple(queries), types=frozenset(types))


_AUDIO = (
    "AudioStored",
    "AudioUploadFailed",
    "CacheEvicted",
    "ClipPurged",
    "ClipRestored",
    "ObjectMissing",
    "ObjectVerified",
)
_KEEPING = (
    "ClipPinned",
    "ClipUnpinned",
    "ClipRated",
    "ClipMarked",
    "ClipUnmarked",
    "PurgeStarted",
    "ClipPurged",
    "ClipRestored",
)
_ERASURE = ("erased", "stale", "clips", "pins", "others", "voices")

STAGES = (
    _stage("clips", ["completed"], "GenerationCompleted"),
    _stage("passages", ["fold"], "GenerationCompleted"),
    _stage("clips", ["adopted"], "AudioAdopted"),
    _stage("generations", ["fold"], "GenerationFailed", "GenerationCancelled", "GenerationReused"),
    _stage("steps", ["read"], *STEPS, WAITED),
    _stage("plays", ["fold"], "AudioAccessed"),
    _stage("uploads", ["fold"], "AudioStored", "AudioUploadFailed"),
    _stage("ratings", ["fold"], "ClipRated"),
    _stage("marks", ["fold"], "ClipMarked", "ClipUnmarked", "PurgeStarted", "ClipRestored"),
    _stage("purges", ["fold"], "PurgeStarted", "ClipPurged", "PurgeFailed", "ClipRestored"),
    _stage("holds", ["fold"], "HoldPlaced", "HoldReleased"),
    _stage("following", ["touched", "no_longer_early", "early", "said"], *STEPS, WAITED),
    _stage("following", ["follow_uses"], USED),
    _stage("following", ["follow_one"], CHANGED),
    _stage("following", ["follow_many"], SEVERAL, WAITED),
    _stage("following", ["record"], *STEPS, WAITED),
    _stage("updating", ["uses"], *USES, WAITED),
    _stage("updating", ["audio"], *_AUDIO, WAITED),
    _stage("updating", ["keeping"], *_KEEPING, WAITED),
    _stage("tags", ["effects", "record", "update"], "ClipTagged", "ClipUntagged", WAITED),
    _stage("updating", ["changed"], *STEPS, WAITED),
    _stage("holds", ["update"], "HoldPlaced", "HoldReleased", WAITED),
    _stage("plans", ["fold"], "RetentionPlanned"),
    _stage("policies", ["fold"], "PolicyChanged"),
    _stage("voices", ["fold"], "VoiceRegistered", "VoiceWithdrawn"),
    _stage("models", ["fold"], "ModelPushed", "ModelPulled", "ModelRestored", "ModelRemoved", "ModelRolledBack"),
    _stage("deliveries", ["fold"], "DeliveryQuarantined", "DeliveryRetried"),
    _stage("reports", ["fold"], "ReportPublished"),
    _stage("report_deliveries", ["fold"], "ReportDelivered", "ReportDeliveryFailed"),
    _stage("erasure", _ERASURE, "SubjectErased"),
)
"""In the order in which they run: clips are there before anything happens to them."""
