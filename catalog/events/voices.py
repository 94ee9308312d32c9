"""Voices: reference recordings, and the consent they stand on."""

from __future__ import annotations

from typing import ClassVar, Literal

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Finite, Moment, Personal, Sha256


class VoiceRegistered(Fact, frozen=True, kw_only=True):
    """A reference recording may be spoken with. The subject is its SHA-256.

    `consent` says what the right rests on: the speaker's own voice, or a document whose hash is `consent_sha256`. `scope` is
    one word, a category. `key` and `consent_path` are where recording and document lie, in the bucket and in HOME/voices.
    """

    about: ClassVar[About] = "voice"

    sha256: Sha256
    bytes: Amount
    duration_us: Amount
    speech_us: Amount
    sample_rate: Count
    channels: Count
    loudness_lufs: Finite | None
    consent: Literal["own", "document"]
    consent_sha256: Sha256 | None
    scope: str
    expires: Moment | None
    bucket: str
    name: Personal
    key: Personal
    consent_path: Personal | None


class VoiceWithdrawn(Fact, frozen=True, kw_only=True):
    """Consent has ended: nothing new is spoken with the voice. The subject is its SHA-256.

    `clips` were made with it until then; null when they could not be counted: the end does not wait for that.
    """

    about: ClassVar[About] = "voice"

    sha256: Sha256
    clips: Amount | None
    name: Personal
    reason: Personal | None
