"""Production: engine, audio chain and encoder, each with the time it took."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog.settings import Synth
from voxledger.synth.emotion import Weights
from voxledger.synth.engines.base import Engine, Segment, SynthesisRequest
from voxledger.synth.errors import EngineFailed, InvalidText, SynthesisError
from voxledger.synth.formats import format_named
from voxledger.synth.prosody import level_offset

if TYPE_CHECKING:
    from voxledger.synth.audio import Encoded, Processed


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What came out: the delivered samples, the file, and the time of each step (µs)."""

    processed: Processed
    encoded: Encoded
    segments: int
    queue_us: int
    synthesis_us: int
    audio_us: int
    encode_us: int


def produce(
    engine: Engine,
    slot: threading.Semaphore,
    asked: SynthesisRequest,
    *,
    audio_format: str,
    effective: Weights,
    settings: Synth,
) -> Made:
    """Speak, level and encode. `slot` limits how many requests the engine works on at once; waiting for it is the queue.

    Raises InvalidRequest and EngineFailed from the engine, AudioFailed from the chain and the encoder.
    """
    # torch comes with it, and takes a second: an answered request goes without.
    from voxledger.synth.audio import encode, on_one_core, process

    waiting = time.perf_counter()
    with slot:
        begun = time.perf_counter()
        segments = list(_translated(engine.synthesize(asked)))
        spoken = time.perf_counter()
    if not segments:
        raise InvalidText("nothing in this text can be spoken by this engine")
    rate = segments[0].sample_rate
    # At the rate that the format holds, so that the limiter works on what is delivered.
    target = format_named(audio_format).rate_for(settings.sample_rate or rate)
    processed = on_one_core(
        lambda: process(
            segments,
            rate,
            target_rate=target,
            level_offset_db=level_offset(effective),
            target_lufs=settings.loudness,
        )
    )
    chained = time.perf_counter()
    encoded = encode(processed.samples, processed.sample_rate, audio_format)
    return Made(
        processed=processed,
        encoded=encoded,
        segments=len(segments),
        queue_us=round((begun - waiting) * 1e6),
        synthesis_us=round((spoken - begun) * 1e6),
        audio_us=round((chained - spoken) * 1e6),
        encode_us=round((time.perf_counter() - chained) * 1e6),
    )


def _translated(segments: Iterator[Segment]) -> Iterator[Segment]:
    """An engine's own exceptions become ours, with the stage; what is ours already passes."""
    try:
        yield from segments
    except (SynthesisError, MemoryError):
        raise
    except Exception as error:
        raise EngineFailed(f"the engine failed: {type(error).__name__}: {error}") from error
