"""An attempt: everything about making, or finding, one clip."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.clip import CONTENT_TYPES, Access, Clip
from voxledger.catalog.errors import DiskFull, HomeError, VoxledgerError
from voxledger.catalog.events import (
    Channel,
    ClipTagged,
    Event,
    Fact,
    GenerationCancelled,
    GenerationCompleted,
    GenerationFailed,
    GenerationReused,
    new_id,
    now,
)
from voxledger.catalog.events import encode as acknowledged
from voxledger.catalog.home import Home
from voxledger.catalog.interrupts import held_back
from voxledger.catalog.journal import UPLOAD, Fingerprint, Transaction
from voxledger.catalog.objects.keys import object_key
from voxledger.catalog.objects.transfer import Upload
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.catalog.vault import ActorKey
from voxledger.synth.engines.base import Engine, EngineInfo, SynthesisRequest
from voxledger.synth.errors import GenerationTimeout, SynthesisError
from voxledger.synth.production import Made, produce
from voxledger.synth.request import SpeakRequest

_LOOK = 0.02
"""Seconds between two looks at a clip that somebody else is making."""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What all attempts of a studio share."""

    home: Home
    settings: Settings
    recorder: Recorder
    access: Access
    on_recorded: Callable[[], None]


class Attempt:
    """One generation. It ends in a clip, or in an error that is recorded and leaves nothing behind."""

    def __init__(
        self,
        around: Surroundings,
        request: SpeakRequest,
        engine: Engine,
        slot: threading.Semaphore,
        channel: Channel,
    ) -> None:
        self._around = around
        self.request = request
        self.engine = engine
        self.slot = slot
        self.channel: Channel = channel
        self.info: EngineInfo = engine.describe()
        self.effective = engine.effective(request.emotion)
        self.language = request.spoken_language()
        self.actor: ActorKey = around.recorder.vault.actor(request.actor)
        decisive = request.decisive(self.info, self.effective, around.settings)
        self.fingerprint = around.recorder.vault.keyed_hash(decisive, purpose="fingerprint")
        self.clip_id = new_id()
        self.event_id = new_id()
        self.started = time.monotonic()
        self.saved_us = 0

    def answered_or_claimed(self) -> Clip | None:
        """The clip that is there already; or None, and then it is ours to make. Waits for whoever is making it now."""
        deadline = self.started + self._around.settings.synth.wait
        while True:
            with self._around.recorder.journal.transaction() as write:
                self._around.recorder.journal.settle_claims(write)
                found = write.fingerprint(self.fingerprint)
                clip = self.standing(found) if found else None
                if clip is not None:
                    return self._reuse(write, clip)
                if found is None or found.answer is not None or found.abandoned:
                    write.claim(self.fingerprint, clip=self.clip_id, actor=self.actor.id)
                    return None
            if time.monotonic() > deadline:
                raise GenerationTimeout(
                    f"another caller has been making this clip for {self._around.settings.synth.wait:g} s; try again, or"
                    " make a take of your own with reuse=False"
                )
            time.sleep(_LOOK)

    def run(self, fingerprint: str | None) -> Clip:
        """Make the clip and record it; a failure is recorded too, and the claim given up."""
        path: Path | None = None
        try:
            self._around.home.require_room(self._around.settings.general.min_free_disk)
            made = produce(
                self.engine,
                self.slot,
                self._asked(),
                audio_format=self.request.format,
                effective=self.effective,
                settings=self._around.settings.synth,
            )
            with held_back():
                clip, path = self._write(made)
                self._record(clip, made, fingerprint)
                self._around.on_recorded()
        except BaseException as error:
            # An interrupt may come after the commit: then the clip is acknowledged, and its file stays.
            with held_back():
                if not self._is_recorded():
                    if path is not None:
                        path.unlink(missing_ok=True)
                    self._give_up(error, fingerprint)
            raise
        return clip

    def _is_recorded(self) -> bool:
        """Whether the clip was acknowledged; when that cannot be told, its file is better kept."""
        try:
            return self._around.recorder.journal.knows(self.event_id)
        except VoxledgerError:
            return True

    def _give_up(self, error: BaseException, fingerprint: str | None) -> None:
        """The claim first: where there is no room for the event, the next caller must not wait for us."""
        journal = self._around.recorder.journal
        if fingerprint:
            journal.give_up(fingerprint)
        with contextlib.suppress(VoxledgerError):
            journal.emit(self._around.recorder.draft(self._ending(error), subject=self.clip_id, actor=self.actor))

    def standing(self, found: Fingerprint) -> Clip | None:
        """The clip that answers, if its audio can still be had: here, or in the store."""
        if found.answer is None:
            return None
        facts: dict[str, Any] = self._around.recorder.unseal(found.answer, actor=found.actor, about=found.clip)
        waits = self._around.recorder.journal.open_tasks(UPLOAD, [found.clip])
        path = self._around.home.cache / facts["key"]
        if waits and not path.is_file():
            return None
        facts |= {"path": path, "state": "local" if waits else "stored"}
        self.saved_us = int(facts["saved_us"])
        return msgspec.convert(facts, Clip, strict=False, dec_hook=_path).bound(self._around.access)

    def _reuse(self, write: Transaction, clip: Clip) -> Clip:
        """Record the use, and put the request's tags on the clip; its session and name stay as they are."""
        fact = GenerationReused(
            channel=self.channel,
            features=self.request.features(),
            engine=self.info.name,
            language=self.language,
            emotion=clip.emotion,
            text_length=len(self.request.text),
            duration_us=clip.duration_us,
            saved_us=self.saved_us,
            actor_label=self.request.actor,
        )
        tags = [ClipTagged(tag=tag) for tag in self.request.tags if tag not in clip.tags]
        draft = self._around.recorder.draft
        write.append([draft(each, subject=clip.id, actor=self.actor) for each in (fact, *tags)])
        return msgspec.structs.replace(clip, reused=True, tags=tuple(sorted({*clip.tags, *self.request.tags}))).bound(
            self._around.access
        )

    def _asked(self) -> SynthesisRequest:
        request = self.request
        return SynthesisRequest(
            text=request.text, language=self.language, voice=request.voice, emotion=request.emotion, seed=request.seed,
            sampling=request.sampling,
        )  # fmt: skip

    def _write(self, made: Made) -> tuple[Clip, Path]:
        """The file first, durably; then the event. A crash in between leaves an orphan, never an event without
        audio.
        """
        request, settings, encoded = self.request, self._around.settings, made.encoded
        name = request.name or f"{self.language.lower()}-{request.emotion.dominant}"
        key = object_key(
            settings.store.key, actor=request.actor, session=request.session, name=name, clip=self.clip_id,
            ext=encoded.format.extension,
        )  # fmt: skip
        path = self._around.home.cache / key
        try:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                platform.write_atomic(path, encoded.data)
            except FileNotFoundError:
                # A purge removed the folder when its last clip went, between our two steps.
                path.parent.mkdir(parents=True, exist_ok=True)
                platform.write_atomic(path, encoded.data)
        except OSError as error:
            if error.errno == 28:
                raise DiskFull(
                    f"the disk is full: the clip could not be written under {self._around.home.cache}; free some space"
                ) from error
            raise HomeError(
                f"the clip could not be written under {self._around.home.cache}: {error.strerror}"
            ) from error
        clip = Clip(
            id=self.clip_id,
            created=now(),
            actor=request.actor,
            session=request.session,
            name=name,
            text=request.text if settings.general.store_text else None,
            language=self.language,
            voice=request.voice,
            emotion=request.emotion.dominant,
            engine=self.info.name,
            format=request.format,
            sample_rate=encoded.sample_rate,
            duration_us=encoded.duration_us,
            bytes=encoded.size,
            sha256=hashlib.sha256(encoded.data).hexdigest(),
            loudness_lufs=made.processed.measures.loudness_lufs,
            take=request.take,
            dropped=request.dropped,
            tags=request.tags,
            bucket=settings.store.audio,
            key=key,
            path=path,
        ).bound(self._around.access)
        return clip, path

    def _record(self, clip: Clip, made: Made, fingerprint: str | None) -> None:
        """ONE journal transaction: the event, the upload task and the fingerprint's answer. Then the clip is
        acknowledged.
        """
        recorder = self._around.recorder
        draft = recorder.draft(
            self._completed(clip, made),
            subject=clip.id,
            actor=self.actor,
            time=clip.created,
            event_id=self.event_id,
        )
        answer = recorder.seal(
            {**msgspec.to_builtins(clip, enc_hook=str), "saved_us": made.synthesis_us}, actor=self.actor, about=clip.id
        )
        with recorder.journal.transaction() as write:
            event = write.append([draft])[0]
            payload = recorder.seal(msgspec.to_builtins(self._upload(clip, event)), actor=self.actor, about=clip.id)
            write.add_task(UPLOAD, subject=clip.id, actor=self.actor.id, payload=payload)
            if fingerprint:
                write.answer(fingerprint, answer)

    def _completed(self, clip: Clip, made: Made) -> GenerationCompleted:
        request, info, vault = self.request, self.info, self._around.recorder.vault
        return GenerationCompleted(
            channel=self.channel,
            features=request.features(),
            engine=info.name,
            engine_version=info.version,
            model=info.model,
            model_revision=info.model_revision,
            device=info.device,
            determinism=info.determinism,
            language=self.language,
            language_detected=request.language is None,
            voice_sha256=None,
            emotion_mode=request.emotion.mode,
            emotion=clip.emotion,
            emotion_asked=request.emotion.weights,
            emotion_effective=self.effective,
            emotion_strength=request.emotion.strength,
            dropped=request.dropped,
            text_length=len(request.text),
            text_hash=vault.keyed_hash(request.text.encode(), purpose="text"),
            seed=request.seed,
            take=request.take,
            sampling=dict(request.sampling),
            format=clip.format,
            sample_rate=clip.sample_rate,
            channels=made.encoded.channels,
            duration_us=clip.duration_us,
            bytes=clip.bytes,
            sha256=clip.sha256,
            loudness_lufs=made.processed.measures.loudness_lufs,
            true_peak_dbtp=made.processed.measures.true_peak_dbtp,
            queue_us=made.queue_us,
            synthesis_us=made.synthesis_us,
            audio_us=made.audio_us,
            encode_us=made.encode_us,
            segments=made.segments,
            bucket=clip.bucket,
            fingerprint=self.fingerprint,
            actor_label=request.actor,
            session=request.session,
            name=clip.name or "",
            key=clip.key or "",
            path=str(clip.path),
            text=clip.text,
            voice_name=request.voice,
            tags=request.tags,
        )

    def _upload(self, clip: Clip, event: Event) -> Upload:
        """What the uploader needs: where from, where to, and what stands beside the bytes."""
        return Upload(
            bucket=clip.bucket,
            key=clip.key or "",
            path=str(clip.path),
            content_type=CONTENT_TYPES[clip.format],
            sha256=clip.sha256,
            bytes=clip.bytes,
            metadata={
                "clip": clip.id,
                "sha256": clip.sha256,
                "emotion": clip.emotion,
                "duration-us": str(clip.duration_us),
                "language": clip.language,
                "engine": clip.engine,
                "created": clip.created.isoformat(),
            },
            tags={"app": "voxledger", "emotion": clip.emotion, "language": clip.language, "engine": clip.engine},
            record=acknowledged(event).decode(),
        )

    def _ending(self, error: BaseException) -> Fact:
        """The event of an attempt that made no clip."""
        elapsed = round((time.monotonic() - self.started) * 1e6)
        if isinstance(error, Exception):
            return GenerationFailed(
                channel=self.channel,
                engine=self.info.name,
                language=self.language,
                failure=getattr(error, "failure_class", None) or _snake(type(error).__name__),
                stage=getattr(error, "stage", "request" if isinstance(error, SynthesisError) else "storage"),
                emotion=self.request.emotion.dominant,
                text_length=len(self.request.text),
                elapsed_us=elapsed,
                actor_label=self.request.actor,
            )
        return GenerationCancelled(
            channel=self.channel,
            engine=self.info.name,
            text_length=len(self.request.text),
            elapsed_us=elapsed,
            actor_label=self.request.actor,
        )


def _path(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value


def _snake(name: str) -> str:
    """`DiskFull` -> `disk_full`: classes of failures are written alike, whoever raised them."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
