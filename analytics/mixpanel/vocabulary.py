"""What Mixpanel hears: our events under the names and properties that people see there.

Only what a rule below names is sent. A field that an event type gains later stays at home until somebody adds it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST_STRING = 255
"""Bytes of UTF-8 that Mixpanel keeps of a string."""
_MOST_ITEMS = 100
_DEEPEST = 3

RESERVED = frozenset(
    {"token", "ip", "time", "distinct_id", "$insert_id", "$device_id", "$user_id", "bucket", "$ignore"}
)
"""Property names that mean something to Mixpanel itself; no rule may produce one."""

UNSENT = frozenset(
    {
        # Telling Mixpanel what it refused would never end; the rest is housekeeping and nobody's use of the studio.
        "PurgeStarted",
        "DeliveryQuarantined",
        "DeliveryRetried",
        "AccessDenied",
        "AudioAdopted",
        "BackupCompleted",
        "CacheEvicted",
        "ClipRated",
        "ClipRestored",
        "ErasureRequested",
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
        "ReportDelivered",
        "ReportDeliveryFailed",
        "RestoreCompleted",
        "RetentionPlanned",
        "SubjectErased",
        "TokenIssued",
        "TokenRevoked",
        "VoiceRegistered",
        "VoiceWithdrawn",
    }
)
"""Event types that stay at home."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How one field of `data` becomes a property."""

    field: str
    name: str
    convert: Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """Another name for some events of a type, and what it means."""

    name: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One event type: its name at Mixpanel, and the fields that go there.

    `variants` gives other names by the value of the field `variant_of`. `about_clip`: the subject is a clip's id.
    `by_user`: somebody did it; what Voxledger did for somebody belongs to no user, or a batch of 200,000 clips would make
    its author a hot shard. Such events name the author in the property `actor`.
    """

    name: str
    text: str
    """What it means, for people who look at Mixpanel's Lexicon."""
    rules: tuple[Rule, ...] = ()
    variant_of: str = ""
    variants: Mapping[str, Variant] = field(default_factory=dict)
    about_clip: bool = True
    by_user: bool = True
    weights: str = ""
    """The field that holds an emotion vector, `""` when there is none."""

    def names(self) -> set[str]:
        """All names this type can have at Mixpanel."""
        return set(self.texts())

    def texts(self) -> dict[str, str]:
        """The same, each with what it means."""
        return {self.name: self.text} | {variant.name: variant.text for variant in self.variants.values()}


def plain(value: Any, depth: int = 0) -> Any:
    """A value as Mixpanel takes it: strings up to 255 bytes, 100 items, 3 levels; None for what cannot be sent."""
    if isinstance(value, str):
        return cut(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth >= _DEEPEST:
        return None
    if isinstance(value, list | tuple):
        return [found for item in value[:_MOST_ITEMS] if (found := plain(item, depth + 1)) is not None]
    if isinstance(value, dict):
        items = ((cut(str(key)), plain(item, depth + 1)) for key, item in list(value.items())[:_MOST_ITEMS])
        return {key: item for key, item in items if item is not None}
    return None


def cut(text: str) -> str:
    """A text as long as Mixpanel keeps it."""
    encoded = text.encode()
    # A cut inside a character would leave bytes that are no UTF-8.
    return text if len(encoded) <= LONGEST_STRING else encoded[:LONGEST_STRING].decode(errors="ignore")


def to_seconds(microseconds: Any) -> float | None:
    """Whole milliseconds, as seconds; None for what is no amount."""
    return (microseconds + 500) // 1000 / 1000 if isinstance(microseconds, int) else None


def _to_whether(value: Any) -> bool:
    return value is not None


def _same(*fields: str) -> tuple[Rule, ...]:
    return tuple(Rule(field=name, name=name, convert=plain) for name in fields)


def _seconds(*fields: str) -> tuple[Rule, ...]:
    return tuple(Rule(field=name, name=name.removesuffix("_us") + "_s", convert=to_seconds) for name in fields)


VOCABULARY: Mapping[str, Entry] = {
    "GenerationCompleted": Entry(
        name="Audio Generated",
        text="A clip was made.",
        rules=(
            *_same(
                "channel", "features", "engine", "engine_version", "model", "device", "language", "language_detected"
            ),
            *_same("emotion", "emotion_mode", "emotion_strength", "text_length", "take", "segments"),
            *_same("format", "sample_rate", "channels", "bytes", "loudness_lufs", "true_peak_dbtp"),
            *_same("silence_share", "speech_rate", "suspect", "streamed", "segments_cached"),
            *_seconds("duration_us", "queue_us", "first_us", "load_us", "synthesis_us", "audio_us", "encode_us"),
            # A hash of a recording would let somebody who has the recording recognize a person.
            Rule(field="voice_sha256", name="cloned_voice", convert=_to_whether),
        ),
        weights="emotion_effective",
    ),
    "GenerationFailed": Entry(
        name="Generation Failed",
        text="An attempt to make a clip failed.",
        rules=(
            *_same("channel", "engine", "language", "failure", "stage", "emotion", "text_length"),
            *_seconds("elapsed_us", "delivered_us"),
        ),
    ),
    "GenerationCancelled": Entry(
        name="Generation Cancelled",
        text="Whoever asked for a clip went away before it was there.",
        rules=(
            *_same("channel", "engine", "language", "emotion", "text_length", "segments"),
            *_seconds("elapsed_us", "delivered_us"),
        ),
    ),
    "GenerationReused": Entry(
        name="Audio Reused",
        text="A request was answered by a clip that was there already, without the engine.",
        rules=(
            *_same("channel", "features", "engine", "language", "emotion", "text_length"),
            *_seconds("duration_us", "saved_us"),
        ),
    ),
    "AudioStored": Entry(
        name="Audio Stored",
        text="The store has confirmed a clip's audio.",
        rules=(*_same("bytes", "attempts"), *_seconds("transfer_us", "waited_us")),
        by_user=False,
    ),
    "AudioUploadFailed": Entry(
        name="Audio Upload Failed",
        text="The store refused a clip's audio.",
        rules=_same("failure", "attempts"),
        by_user=False,
    ),
    "AudioAccessed": Entry(
        name="Audio Played",
        text="Somebody played a clip.",
        rules=_same("channel", "purpose"),
        variant_of="purpose",
        variants={
            "fetch": Variant(name="Audio Fetched", text="Somebody fetched a clip's file."),
            "link": Variant(name="Audio Link Made", text="Somebody made a link to a clip's file."),
        },
    ),
    "ClipTagged": Entry(name="Clip Tagged", text="A clip was given a tag. Which one is not told."),
    "ClipUntagged": Entry(name="Clip Untagged", text="A tag was taken from a clip."),
    "ClipPinned": Entry(name="Clip Pinned", text="Somebody wants to keep a clip."),
    "ClipUnpinned": Entry(name="Clip Unpinned", text="A clip's pin was taken away."),
    "ClipMarked": Entry(
        name="Clip Marked For Deletion",
        text="Retention has condemned a clip; its audio goes after a time of grace.",
        by_user=False,
    ),
    "ClipUnmarked": Entry(
        name="Clip Mark Removed",
        text="A condemned clip was spared.",
        rules=_same("reason"),
        by_user=False,
    ),
    "ClipPurged": Entry(
        name="Clip Purged",
        text="A clip's audio was deleted by retention.",
        rules=_same("bytes"),
        by_user=False,
    ),
    "PurgeFailed": Entry(
        name="Clip Purge Failed",
        text="The store did not delete a clip's audio.",
        rules=_same("failure"),
        by_user=False,
    ),
    "ReportPublished": Entry(
        name="Report Published",
        text="A weekly report was written.",
        rules=_same("week", "revision", "closed"),
        about_clip=False,
    ),
}
"""Every event type that Mixpanel hears of."""
