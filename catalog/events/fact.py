"""A fact: the root of all event types, and the kinds of field they are made of.

A field marked personal goes into the sealed part; everything else is `data`: numbers, categories and opaque ids that
may leave the house. Amounts that anyone sums are integers: microseconds (`_us`) and bytes.

Bounds are those of the columns that projections keep a field in, so that what was recorded can always be folded.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import msgspec

_PERSONAL = msgspec.Meta(extra={"personal": True})
Personal: TypeAlias = Annotated[str, _PERSONAL]
Personals: TypeAlias = Annotated[tuple[str, ...], _PERSONAL]

Amount: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
"""Microseconds, bytes, positions: what JSON readers everywhere keep exactly."""
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Seed: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Finite: TypeAlias = Annotated[float, msgspec.Meta(ge=-3.4e38, le=3.4e38)]
"""A single-precision number; comparing with bounds also refuses NaN, which JSON lacks."""
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]
Sha256: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Channel: TypeAlias = Literal["python", "cli", "api", "web", "batch"]
Vector: TypeAlias = tuple[Finite, Finite, Finite, Finite, Finite, Finite, Finite, Finite]

EMOTIONS = ("happy", "angry", "sad", "afraid", "disgusted", "melancholic", "surprised", "calm")
"""The emotions in the order of every vector, which is that of IndexTTS's `emo_vector`."""
NEUTRAL = "neutral"
"""The dominant emotion of a clip without any."""

About: TypeAlias = Literal[
    "clip", "object", "policy", "plan", "voice", "model", "week", "event", "backup", "erasure", "token", "principal"
]


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of all event types; a class's name is its events' `type`.

    `version` grows when fields change, and then `upcasting` gets the step that lifts the version before. `about` says
    what the events' subject is the id of.
    """

    version: ClassVar[int] = 1
    about: ClassVar[About] = "clip"


def is_personal(hint: Any) -> bool:
    """Whether a field's type marks it as personal, alone or as `Personal | None`."""
    parts = (hint, *getattr(hint, "__args__", ()))
    return any(_PERSONAL in getattr(part, "__metadata__", ()) for part in parts)
