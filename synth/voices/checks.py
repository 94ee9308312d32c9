"""Checks: what a recording must be to be spoken with, from what the decoder measured. Pure; the numbers are in one place."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import msgspec

from voxledger.synth.voices import decoder

LEAST_SPEECH_S = 1.0
GOOD_SPEECH_S = 3.0
HEARD_S = 15.0
"""IndexTTS cuts a reference recording here."""
_QUIETEST_DBFS, _QUIET_DBFS = -50.0, -35.0
_MOST_CLIPPED, _SOME_CLIPPED = 0.01, 0.0001
"""Shares of all samples at full scale."""
_NOISY_DB = 15.0
_CANCELLING_DB = 6.0
_NARROW_RATE = 16_000
_HEURISTIC = "a heuristic by energy and voicing; --force overrules it"


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the decoder says of a recording. Its process may have been taken over by the file, so every value is bounded."""

    extension: Annotated[str, msgspec.Meta(pattern="^[a-z0-9]{2,5}$")]
    rate: Annotated[int, msgspec.Meta(ge=decoder.LOWEST_RATE, le=decoder.HIGHEST_RATE)]
    channels: Annotated[int, msgspec.Meta(ge=1, le=decoder.MOST_CHANNELS)]
    frames: Annotated[int, msgspec.Meta(ge=1, le=decoder.MOST_FRAMES)]
    peak_dbfs: Annotated[float, msgspec.Meta(ge=-300, le=1000)]
    clipped: Annotated[int, msgspec.Meta(ge=0, le=decoder.MOST_FRAMES)]
    cancels_db: Annotated[float, msgspec.Meta(ge=0, le=1000)]
    speech_us: Annotated[int, msgspec.Meta(ge=0, le=decoder.LONGEST_S * 1_100_000)]
    speech_dbfs: Annotated[float, msgspec.Meta(ge=-300, le=1000)]
    noise_dbfs: Annotated[float, msgspec.Meta(ge=-300, le=1000)]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate


class Verdict(NamedTuple):
    """`refusal` is why it cannot be taken, None when it can; `warnings` are what is worth knowing."""

    refusal: str | None
    warnings: tuple[str, ...]


def judge(found: Measured) -> Verdict:
    """What to say of a recording. The refusal names the most important reason only; a person who forces it hears all."""
    refusals = _refusals(found)
    return Verdict(refusals[0] if refusals else None, (*refusals[1:], *_warnings(found)))


def forced(found: Measured) -> Verdict:
    """The same for somebody who takes the responsibility: nothing is refused, everything is said."""
    return Verdict(None, (*_refusals(found), *_warnings(found)))


def _refusals(found: Measured) -> list[str]:
    speech, refusals = found.speech_us / 1e6, []
    if found.duration < LEAST_SPEECH_S:
        refusals.append(f"it lasts {found.duration:.2f} s, and it takes at least {LEAST_SPEECH_S:.0f} s of speech")
    elif found.speech_dbfs < _QUIETEST_DBFS and found.cancels_db < _CANCELLING_DB:
        refusals.append(
            f"it is silent, or nearly so: {found.speech_dbfs:.0f} dBFS where it is loud, and it takes at least"
            f" {_QUIETEST_DBFS:.0f}; record it louder"
        )
    elif found.cancels_db >= _CANCELLING_DB and found.speech_dbfs < _QUIET_DBFS:
        refusals.append(
            "its two channels cancel each other when they are mixed, as engines do; give one channel of it"
            " (ffmpeg -i IN -af 'pan=mono|c0=c0' OUT.wav)"
        )
    elif speech < LEAST_SPEECH_S:
        refusals.append(
            f"only {speech:.1f} s of its {found.duration:.1f} s sound like speech, and it takes at least"
            f" {LEAST_SPEECH_S:.0f} s ({_HEURISTIC})"
        )
    if found.clipped > _MOST_CLIPPED * found.frames:
        refusals.append(
            f"{100 * found.clipped / found.frames:.1f} % of its samples are clipped, more than {100 * _MOST_CLIPPED:.0f} %:"
            " every clip would sound distorted; record it with less gain"
        )
    return refusals


def _warnings(found: Measured) -> list[str]:
    warnings = []
    if found.duration > HEARD_S:
        warnings.append(
            f"it lasts {found.duration:.1f} s, and IndexTTS hears only the first {HEARD_S:.0f} s: cut it to the best ones"
        )
    if LEAST_SPEECH_S <= found.speech_us / 1e6 < GOOD_SPEECH_S:
        warnings.append(
            f"it has only {found.speech_us / 1e6:.1f} s of speech; {GOOD_SPEECH_S:.0f} s to {HEARD_S:.0f} s sound better"
        )
    if _QUIETEST_DBFS <= found.speech_dbfs < _QUIET_DBFS:
        warnings.append(f"it is quiet: {found.speech_dbfs:.0f} dBFS where somebody speaks")
    if _SOME_CLIPPED * found.frames < found.clipped <= _MOST_CLIPPED * found.frames:
        warnings.append(f"some of it is clipped ({100 * found.clipped / found.frames:.2f} % of its samples)")
    if (
        found.speech_dbfs >= _QUIETEST_DBFS
        and found.speech_dbfs - found.noise_dbfs < _NOISY_DB
        and found.noise_dbfs > -60
    ):
        warnings.append(
            f"its background is loud, {found.speech_dbfs - found.noise_dbfs:.0f} dB below the voice: it may be heard in clips"
        )
    if found.rate < _NARROW_RATE:
        warnings.append(f"its sample rate is {found.rate:,} Hz: the voice will sound like a telephone's")
    return warnings
