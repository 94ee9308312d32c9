"""Events: what happened, in a fixed envelope."""

from voxledger.catalog.events.access import (
    AccessDenied,
    ErasureRequested,
    SubjectErased,
    TokenIssued,
    TokenRevoked,
)
from voxledger.catalog.events.audio import AudioAccessed, AudioAdopted, AudioStored, AudioUploadFailed, CacheEvicted
from voxledger.catalog.events.clip import (
    ClipPinned,
    ClipRated,
    ClipTagged,
    ClipUnpinned,
    ClipUntagged,
    HoldPlaced,
    HoldReleased,
)
from voxledger.catalog.events.cloudevents import from_cloudevent, to_cloudevent
from voxledger.catalog.events.envelope import Draft, Event, decode, digest, encode, new_id, now
from voxledger.catalog.events.fact import EMOTIONS, NEUTRAL, Channel, Fact
from voxledger.catalog.events.generation import (
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationReused,
    SpokenPassage,
)
from voxledger.catalog.events.models import (
    ModelPulled,
    ModelPushed,
    ModelRemoved,
    ModelRestored,
    ModelRolledBack,
)
from voxledger.catalog.events.objects import ObjectMissing, ObjectOrphaned, ObjectVerified
from voxledger.catalog.events.operations import (
    BackupCompleted,
    DeliveryQuarantined,
    DeliveryRetried,
    ReportChannel,
    ReportDelivered,
    ReportDeliveryFailed,
    ReportPublished,
    RestoreCompleted,
)
from voxledger.catalog.events.packing import packed, unpacked
from voxledger.catalog.events.parts import personal_fields, split
from voxledger.catalog.events.registry import REGISTRY
from voxledger.catalog.events.retention import (
    ClipMarked,
    ClipPurged,
    ClipRestored,
    ClipUnmarked,
    PolicyChanged,
    PurgeFailed,
    PurgeStarted,
    RetentionPlanned,
)
from voxledger.catalog.events.upcasting import Unknown, decode_fact, is_understood, outdated, upcast
from voxledger.catalog.events.voices import VoiceRegistered, VoiceWithdrawn

__all__ = [
    "EMOTIONS",
    "NEUTRAL",
    "REGISTRY",
    "AccessDenied",
    "AudioAccessed",
    "AudioAdopted",
    "AudioStored",
    "AudioUploadFailed",
    "BackupCompleted",
    "CacheEvicted",
    "Channel",
    "ClipMarked",
    "ClipPinned",
    "ClipPurged",
    "ClipRated",
    "ClipRestored",
    "ClipTagged",
    "ClipUnmarked",
    "ClipUnpinned",
    "ClipUntagged",
    "DeliveryQuarantined",
    "DeliveryRetried",
    "Draft",
    "ErasureRequested",
    "Event",
    "Fact",
    "GenerationCancelled",
    "GenerationCompleted",
    "GenerationFailed",
    "GenerationReused",
    "HoldPlaced",
    "HoldReleased",
    "ModelPulled",
    "ModelPushed",
    "ModelRemoved",
    "ModelRestored",
    "ModelRolledBack",
    "ObjectMissing",
    "ObjectOrphaned",
    "ObjectVerified",
    "PolicyChanged",
    "PurgeFailed",
    "PurgeStarted",
    "ReportChannel",
    "ReportDelivered",
    "ReportDeliveryFailed",
    "ReportPublished",
    "RestoreCompleted",
    "RetentionPlanned",
    "SpokenPassage",
    "SubjectErased",
    "TokenIssued",
    "TokenRevoked",
    "Unknown",
    "VoiceRegistered",
    "VoiceWithdrawn",
    "decode",
    "decode_fact",
    "digest",
    "encode",
    "from_cloudevent",
    "is_understood",
    "new_id",
    "now",
    "outdated",
    "packed",
    "personal_fields",
    "split",
    "to_cloudevent",
    "unpacked",
    "upcast",
]
