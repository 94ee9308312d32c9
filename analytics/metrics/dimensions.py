"""The dimensions: by what metrics can be told apart."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from voxledger.analytics.metrics.definitions import near
from voxledger.analytics.metrics.errors import MetricError
from voxledger.analytics.metrics.metric import Source


class Dimension(msgspec.Struct, frozen=True, kw_only=True):
    """What groups have in common: an SQL expression over the rows of some sources.

    `several`: a row may be in several groups, or in none, so that groups do not add up to the whole.
    """

    name: str
    definition: str
    expression: str
    sources: frozenset[Source]
    several: bool = False


def _dimension(name: str, definition: str, expression: str, *sources: Source, several: bool = False) -> Dimension:
    return Dimension(
        name=name, definition=definition, expression=expression, sources=frozenset(sources), several=several
    )


_ALL = (
    _dimension(
        "actor", "Who asked, by name; by opaque id once erased.", "coalesce(actor, actor_id)", "generations", "reuses", "clips",
        "storage", "present",
    ),
    _dimension(
        "actor_id", "Opaque id of who asked.", "actor_id", "generations", "reuses", "clips", "storage", "present", "plays",
        "uploads",
    ),
    _dimension(
        "channel", "Door it came through: python, cli, api, web or batch.", "channel", "generations", "reuses", "clips",
        "plays",
    ),
    _dimension("feature", "Feature that the request used.", "unnest(features)", "generations", "adopters", "clips", several=True),
    _dimension("engine", "Engine that was asked.", "engine", "generations", "reuses", "clips", "storage", "present"),
    _dimension("model", "Model of the engine.", "model", "generations", "reuses", "clips", "storage", "present"),
    _dimension("device", "Device it ran on; not known of what was not made anew.", "device", "generations", "reuses", "clips"),
    _dimension("language", "BCP 47 tag of what was spoken.", "language", "generations", "reuses", "clips", "storage", "present"),
    _dimension(
        "voice", "Voice by name, a recording without one by its digits; empty for the engine's own, also of what is no new clip.",
        "coalesce(voice, left(voice_sha256, 12), '')", "generations", "clips", "storage", "present",
    ),
    _dimension("emotion", "Dominant emotion, or neutral.", "emotion", "generations", "reuses", "clips", "storage", "present"),
    _dimension(
        "emotion_mode", "How the emotion was given: none, vector, reference or words.", "emotion_mode", "generations",
        "clips",
    ),
    _dimension("format", "Audio format.", "format", "generations", "clips", "storage", "present"),
    _dimension(
        "outcome", "completed, failed, cancelled or reused; of an upload stored or refused.", "outcome",
        "generations", "uploads",
    ),
    _dimension("failure", "Class of the failure.", "failure", "generations", "uploads"),
    _dimension("stage", "Where it failed.", "stage", "generations"),
    _dimension("suspect", "Why the audio is doubted.", "unnest(suspect)", "generations", "clips", several=True),
    _dimension("tag", "Tag of the clip.", "unnest(tags)", "clips", "present", several=True),
    _dimension("bucket", "Bucket of the store.", "bucket", "clips", "storage", "present", "uploads"),
    _dimension("rule", "Retention rule that condemned it.", "mark_rule", "storage", "present"),
    _dimension("state", "State of the clip: local, stored, marked and so on.", "state", "clips", "present"),
    _dimension("part", "Part of the cost: room, uploads or engine.", "part", "costs"),
    _dimension("item", "What was paid for: a bucket's room or uploads, or a device's time.", "item", "costs"),
    _dimension("purpose", "play, fetch or link.", "purpose", "plays"),
)  # fmt: skip
DIMENSIONS: Mapping[str, Dimension] = MappingProxyType({one.name: one for one in _ALL})
"""All dimensions by name."""


def dimensions_of(source: Source) -> tuple[str, ...]:
    """By what the metrics of a source can be told apart."""
    return tuple(name for name, one in DIMENSIONS.items() if source in one.sources)


def dimension(name: str, source: Source, metric: str) -> Dimension:
    """A dimension by name, for a metric of a source. Raises MetricError."""
    if name not in DIMENSIONS:
        raise MetricError(f"{metric} cannot be told by {name!r}; {near(name, dimensions_of(source), _ways(source))}")
    if source not in DIMENSIONS[name].sources:
        raise MetricError(f"{metric} cannot be told by {name}; {_ways(source)}")
    return DIMENSIONS[name]


def _ways(source: Source) -> str:
    known = dimensions_of(source)
    return f"it can be by {', '.join(known)}" if known else "it is only told as a whole"
