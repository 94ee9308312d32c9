"""Filing: a finished clip becomes a file, an event and an upload task; an attempt without a clip becomes its event."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import TypeGuard

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import DiskFull, HomeError, SettingsError, VoxledgerError
from voxledger.catalog.events import (
    Channel,
    Fact,
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    now,
)
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.objects.description import upload_of
from voxledger.catalog.objects.keys import object_key
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.catalog.steps import Step
from voxledger.catalog.vault import ActorKey
from voxledger.synth.emotion import Emotion, Weights
from voxledger.synth.engines.base import EngineInfo
from voxledger.synth.errors import Stage, Stopped, SynthesisError
from voxledger.synth.studio.production import Made
from voxledger.synth.studio.request import CHAIN, SpeakRequest
from voxledger.synth.studio.speaking import Tally


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about an attempt before it begins."""

    request: SpeakRequest
    info: EngineInfo
    language: str
    emotion: Emotion
    effective: Weights
    voice: str | None
    """Its name, whatever it was asked by."""
    voice_sha256: str | None
    emotion_sha256: str | None
    seed: int | None
    channel: Channel
    streamed: bool
    fingerprint: str
    actor: ActorKey
    clip_id: str
    event_id: str
    started: float
    """On the monotonic clock."""

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.info.name

    @property
    def engine_version(self) -> str:
        """The engine's version."""
        return self.info.version

    @property
    def emotion_mode(self) -> str:
        """none, vector, reference or words."""
        if self.request.emotion_reference:
            return "reference"
        return "words" if self.request.emotion_words else self.emotion.mode


class Unbegun(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an attempt whose engine did not come so far as to say what it is."""

    request: SpeakRequest
    engine: str
    channel: Channel
    started: float
    """On the monotonic clock."""
    engine_version: str = ""

    @property
    def language(self) -> str:
        """The one asked for, or else found in the text."""
        return self.request.spoken_language()

    @property
    def emotion(self) -> Emotion:
        """The one asked for."""
        return self.request.emotion


def write(made: Made, facts: Facts, home: Home, settings: Settings) -> Clip:
    """The file, durably, and the clip that it is. Raises DiskFull, HomeError; then there is no file."""
    request = facts.request
    name = request.name or f"{facts.language.lower()}-{facts.emotion.dominant}"
    key = object_key(
        settings.store.key, actor=request.actor, session=request.session, name=name, clip=facts.clip_id,
        ext=made.format.extension,
    )  # fmt: skip
    path = home.cache / key
    _put(made, path, home)
    measures = made.measures
    return Clip(
        id=facts.clip_id,
        created=now(),
        actor=request.actor,
        session=request.session,
        name=name,
        text=request.text if settings.general.store_text else None,
        language=facts.language,
        voice=facts.voice,
        emotion=facts.emotion.dominant,
        engine=facts.info.name,
        format=request.format,
        sample_rate=made.sample_rate,
        duration_us=made.duration_us,
        bytes=made.bytes,
        sha256=made.sha256,
        loudness_lufs=measures.loudness_lufs,
        true_peak_dbtp=measures.true_peak_dbtp,
        silence_share=measures.silence_share,
        speech_rate=made.speech_rate,
        suspect=made.suspect,
        take=request.take,
        dropped=request.dropped,
        tags=request.tags,
        voice_sha256=facts.voice_sha256,
        bucket=settings.store.audio,
        key=key,
        path=path,
    )


def record(clip: Clip, made: Made, facts: Facts, recorder: Recorder, *, answer: bool, store_text: bool) -> None:
    """ONE journal transaction: the event, the upload task and the fingerprint's answer. Then the clip is acknowledged."""
    draft = recorder.draft(
        completed(clip, made, facts, recorder, store_text=store_text), subject=clip.id, actor=facts.actor,
        time=clip.created, event_id=facts.event_id,
    )  # fmt: skip
    sealed = recorder.seal(
        {**msgspec.to_builtins(clip, enc_hook=str), "saved_us": made.tally.synthesis_us, "timing": made.timing},
        actor=facts.actor, about=clip.id,
    )  # fmt: skip
    with recorder.journal.transaction() as journal:
        recorder.require_key(facts.actor)
        event = journal.append([draft])[0]
        upload = upload_of(clip, event, channels=made.channels)
        payload = recorder.seal(msgspec.to_builtins(upload), actor=facts.actor, about=clip.id)
        journal.add_task(UPLOAD, subject=clip.id, actor=facts.actor.id, payload=payload)
        if answer:
            journal.answer(facts.fingerprint, sealed)


def completed(clip: Clip, made: Made, facts: Facts, recorder: Recorder, *, store_text: bool) -> GenerationCompleted:
    """The event of a clip that was made."""
    request, info, measures, tally = facts.request, facts.info, made.measures, made.tally
    return GenerationCompleted(
        channel=facts.channel,
        features=request.features(),
        engine=info.name,
        engine_version=info.version,
        model=info.model,
        model_revision=info.model_revision,
        device=info.device,
        determinism=info.determinism,
        language=facts.language,
        language_detected=request.language is None,
        voice_sha256=facts.voice_sha256,
        emotion_mode=facts.emotion_mode,
        emotion=clip.emotion,
        emotion_asked=request.emotion.weights,
        emotion_effective=facts.effective,
        emotion_strength=request.emotion.strength,
        emotion_sha256=facts.emotion_sha256,
        emotion_words=request.emotion_words if store_text else None,
        dropped=request.dropped,
        text_length=len(request.text),
        text_hash=recorder.vault.keyed_hash(request.text.encode(), purpose="text"),
        seed=facts.seed,
        take=request.take,
        sampling=dict(request.sampling),
        marks=request.marks,
        format=clip.format,
        sample_rate=clip.sample_rate,
        channels=made.channels,
        duration_us=clip.duration_us,
        bytes=clip.bytes,
        sha256=clip.sha256,
        target_lufs=made.target_lufs,
        chain=CHAIN,
        loudness_lufs=measures.loudness_lufs,
        true_peak_dbtp=measures.true_peak_dbtp,
        silence_share=measures.silence_share,
        clipped_samples=made.clipped_at_source,
        speech_rate=made.speech_rate,
        suspect=made.suspect,
        queue_us=tally.queue_us,
        first_us=tally.first_us,
        load_us=tally.load_us,
        synthesis_us=tally.synthesis_us,
        audio_us=made.audio_us,
        encode_us=made.encode_us,
        streamed=facts.streamed,
        segments=tally.segments,
        segments_cached=tally.cached,
        timing=made.timing,
        passages=made.passages,
        bucket=clip.bucket,
        fingerprint=facts.fingerprint,
        actor_label=request.actor,
        session=request.session,
        name=clip.name or "",
        key=clip.key or "",
        path=str(clip.path),
        text=clip.text,
        voice_name=facts.voice,
        tags=request.tags,
    )


def failed(error: BaseException) -> TypeGuard[Exception]:
    """Whether an attempt that ended so has failed; else it was called off, or the program interrupted."""
    return isinstance(error, Exception) and not isinstance(error, Stopped)


def ending(
    error: BaseException, about: Facts | Unbegun, tally: Tally, *, delivered_us: int = 0
) -> GenerationFailed | GenerationCancelled:
    """The event of an attempt that made no clip: `delivered_us` of audio had been handed over by then."""
    elapsed = round((time.monotonic() - about.started) * 1e6)
    request = about.request
    if failed(error):
        ours = error if isinstance(error, SynthesisError) else None
        return GenerationFailed(
            channel=about.channel,
            engine=about.engine,
            engine_version=about.engine_version,
            language=about.language,
            failure=ours.failure_class if ours else _snake(type(error).__name__),
            stage=_stage(error, tally.stage),
            remedy=ours.remedy if ours else _remedy(error),
            emotion=about.emotion.dominant,
            text_length=len(request.text),
            elapsed_us=elapsed,
            delivered_us=delivered_us,
            actor_label=request.actor,
        )
    return GenerationCancelled(
        channel=about.channel,
        engine=about.engine,
        language=about.language,
        emotion=about.emotion.dominant,
        text_length=len(request.text),
        segments=tally.segments,
        elapsed_us=elapsed,
        delivered_us=delivered_us,
        actor_label=request.actor,
    )


def ended(fact: GenerationFailed | GenerationCancelled) -> Step:
    """The same for whoever counts."""
    why = fact.failure if isinstance(fact, GenerationFailed) else ""
    outcome = "failed" if why else "cancelled"
    return Step(name="generation", seconds=fact.elapsed_us / 1e6, outcome=outcome, reason=why, engine=fact.engine)


def record_end(fact: Fact, recorder: Recorder, *, subject: str, actor: ActorKey) -> None:
    """Record how an attempt ended without a clip. Where that cannot be written, whoever asked has a worse error anyway."""
    with contextlib.suppress(VoxledgerError):
        recorder.journal.emit(recorder.draft(fact, subject=subject, actor=actor))


def _put(made: Made, path: Path, home: Home) -> None:
    """Bytes first, then the event: a crash in between leaves an orphan, never an event without audio."""
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.put(path)
        except FileNotFoundError:
            # A purge removed the folder when its last clip went, between our two steps.
            path.parent.mkdir(parents=True, exist_ok=True)
            made.put(path)
    except OSError as error:
        if error.errno == 28:
            raise DiskFull(
                f"the disk is full: the clip could not be written under {home.cache}; free some space"
            ) from error
        raise HomeError(f"the clip could not be written under {home.cache}: {error.strerror}") from error


def _stage(error: Exception, came_to: Stage) -> Stage:
    """Where it failed: the error says it, or its class does, or else it is as far as the attempt had come."""
    if isinstance(error, SynthesisError):
        return error.stage or came_to
    if isinstance(error, SettingsError):
        return "load"
    return "storage" if isinstance(error, VoxledgerError) else came_to


def _remedy(error: Exception) -> str:
    """What to do about an error that is not of synthesis, and brings no remedy along that may be recorded."""
    if isinstance(error, SettingsError):
        return f"Set {error.name or 'the settings'} right, as the message says."
    if isinstance(error, DiskFull):
        return "Free some space on the disk, or lower general.min_free_disk."
    if isinstance(error, MemoryError):
        return "Free memory, or give it shorter texts."
    if isinstance(error, VoxledgerError):
        return "See that HOME can be written, and ask `voxledger status` what waits."
    return "Try again; if it fails again, report it with the message."


def _snake(name: str) -> str:
    """`DiskFull` -> `disk_full`: classes of failures are written alike, whoever raised them."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
