"""Forgetting: what names an erased voice is not opened any more, though it was sealed under the key of whoever spoke with it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

ABOUT = frozenset({"VoiceRegistered", "VoiceWithdrawn"})
"""Events that are about one voice, and whose personal fields all describe it."""
_NAMED = frozenset({"GenerationCompleted"})


def blanked(
    kind: str, subject: str, data: str | bytes, position: int, personal: bytes | None, forgotten: Mapping[str, int]
) -> bytes | None:
    """The personal fields of an event (JSON) without what names a voice that was erased; None where nothing is left.

    `forgotten` gives, by SHA-256, the position up to which a voice is not named: it may have been registered anew since.
    """
    if personal is None or not forgotten:
        return personal
    if kind in ABOUT:
        return None if position <= forgotten.get(subject, 0) else personal
    if kind not in _NAMED:
        return personal
    voice = msgspec.json.decode(data).get("voice_sha256")
    if voice is None or position > forgotten.get(voice, 0):
        return personal
    return msgspec.json.encode({**msgspec.json.decode(personal), "voice_name": None})
