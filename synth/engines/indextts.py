"""IndexTTS-2.5: voices from a few seconds of a recording, with emotions, in worker processes.

The model's code is the package `indextts25-inference`, under the Bilibili Model Use License; what it is asked and how its
emotions are scaled follows https://github.com/index-tts/index-tts (`indextts/infer_v2.py` and `webui.py`).
"""

from __future__ import annotations

import hashlib
import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from voxledger.catalog.errors import ModelError, SettingsError, VoxledgerError
from voxledger.catalog.home import default_path
from voxledger.catalog.models.local import place
from voxledger.catalog.settings import Settings
from voxledger.synth.emotion import ZERO, Emotion, Weights
from voxledger.synth.engines import indextts_worker, sampling
from voxledger.synth.engines.base import EngineInfo, Samples, Segment, SynthesisRequest
from voxledger.synth.engines.indextts_model import MODEL, Folder, Installed, devices, environ, installed
from voxledger.synth.engines.indextts_parts import Part, divided, plain
from voxledger.synth.engines.worker import Program, WorkerEnded, WorkerRefused
from voxledger.synth.engines.worker_pool import Pool
from voxledger.synth.errors import (
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    InvalidText,
    NotSupported,
    SynthesisError,
    UnknownVoice,
    VoiceMissing,
)
from voxledger.synth.text.language import match

LANGUAGES = ("en", "zh", "es", "ar")
JAPANESE = "ja"
"""Spoken where the package's extra `ja` is installed."""

BIAS = (0.9375, 0.875, 1.0, 1.0, 0.9375, 0.9375, 0.6875, 0.5625)
"""Factor of each weight, in the order of `EMOTIONS`: upstream's `normalize_emo_vec`."""
LARGEST_SUM = 0.8
"""Weights that sum up to more are scaled down; what is left to 1 stays with the voice's own emotion."""

SAMPLING: sampling.Bounds = {
    "speed": (0.5, 1.28), "temperature": (0.05, 2.0), "top_p": (0.01, 1.0), "top_k": (1, 1000), "num_beams": (1, 10),
    "repetition_penalty": (1.0, 30.0), "length_penalty": (-2.0, 2.0), "do_sample": (0, 1), "max_mel_tokens": (1, 1815),
    "diffusion_steps": (1, 200), "inference_cfg_rate": (0.0, 3.0),
}  # fmt: skip
"""What a request may set, and within which bounds. `speed` is a factor on the rate; beyond 1.28 the model gets no faster."""
_LASTING = frozenset(("endless", "silent", "memory"))
"""What the same words and seed bring again."""
_WHOLE = frozenset(("top_k", "num_beams", "do_sample", "max_mel_tokens", "diffusion_steps"))


class IndexTtsEngine:
    """The engine `indextts`. Costs nothing to construct; a worker is started by the first `synthesize`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = (settings or Settings()).indextts
        self._state = default_path() / self._settings.state
        self._folder = _folder(settings or Settings(), self._state / "checkpoint.json")
        self._pool = Pool(partial(_programs, self._settings, self._folder, self._state), idle_s=self._settings.idle)
        self._lock = threading.Lock()
        self._revision = ""
        # Also when the engine is forgotten, or the program ends, without close().
        weakref.finalize(self, self._pool.close)

    def prepare(self, ensure: Callable[[str], Path]) -> None:
        """Bring the version of `indextts.model` here, if it is set. Raises EngineUnavailable."""
        wanted = self._settings.model
        if not wanted:
            return
        try:
            path = ensure(wanted)
        except VoxledgerError as error:
            raise EngineUnavailable(
                f"the model {wanted} of the engine indextts is not here and cannot be had: {error}",
                remedy=f"Pull the model {wanted}, or set indextts.model to one that can be had.",
            ) from error
        if path != self._folder.path:
            self._folder.move(path, f"{path.parent.name}@{path.name}")

    def describe(self) -> EngineInfo:
        """What this engine is and can do. The checkpoint's files are hashed once, which takes seconds, and then known by
        their sizes and times.

        Raises EngineUnavailable when the package or a file of the checkpoint is missing, with what to do.
        """
        settings = self._settings
        found = installed(settings.python, settings.load_limit)
        if settings.attention == "flash" and not found.flash:
            raise EngineUnavailable(
                "indextts.attention = 'flash' needs the package flash-attn beside indextts25-inference",
                remedy="Install flash-attn, or set indextts.attention to sdpa.",
            )
        revision = self._folder.revision()
        chosen = devices(settings.devices, found.torch)
        names = sorted({f"{name} x{settings.threads}" if name == "cpu" else name for _, name in chosen})
        return EngineInfo(
            name="indextts",
            version=f"{found.package}+torch{found.torch.split('+')[0]}",
            model=" ".join(
                (
                    self._folder.model or MODEL,
                    *(["bf16"] if settings.fp16 else []),
                    *([] if settings.attention == "sdpa" else ["flash"]),
                )
            ),
            model_revision=revision,
            device=", ".join(names),
            languages=_languages(found),
            voices=(),
            emotion_modes=frozenset(("none", "vector", "reference")),
            reference_voices=True,
            sample_rate=indextts_worker.SAMPLE_RATE,
            streaming=True,
            determinism="seeded",
            concurrency=len(chosen),
            sampling=tuple(SAMPLING),
        )

    def effective(self, emotion: Emotion) -> Weights:
        """The weights times upstream's bias, scaled down where they sum up to more than 0.8, then times the strength."""
        biased = [weight * factor for weight, factor in zip(emotion.weights, BIAS, strict=True)]
        scale = min(1.0, LARGEST_SUM / total) if (total := sum(biased)) else 1.0
        return tuple(round(weight * scale * emotion.strength, 6) for weight in biased)  # type: ignore[return-value]  # eight

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        """Speak, some sentences a segment. Equal requests give equal samples; `seed` None counts as 0.

        `voice_audio` is required. Raises UnsupportedLanguage, UnknownVoice, VoiceMissing, NotSupported, InvalidText and
        EngineUnavailable at once; InvalidRequest for a recording that cannot be used, and EngineFailed, while iterating.
        A worker that dies is replaced once: what was given out is not spoken again.
        """
        asked = self._asked(request)
        parts = list(divided(request.text))
        if not parts:
            raise InvalidText("nothing in this text can be spoken: it has neither a letter nor a digit")
        return self._segments(asked, parts, request.seed or 0)

    def close(self) -> None:
        """End the workers, which frees the GPUs. Idempotent; a later `synthesize` starts them again."""
        self._pool.close()

    def workers(self) -> tuple[int, ...]:
        """The processes that hold a model now."""
        return self._pool.pids()

    def _asked(self, request: SynthesisRequest) -> dict[str, Any]:
        """What all parts share, as the worker wants it."""
        if request.voice_audio is None:
            what = f"no voice {request.voice!r}" if request.voice else "no voices of its own"
            raise UnknownVoice(
                f"the engine indextts has {what}: it speaks with registered recordings. Register one with `voxledger voices"
                " add NAME ref.wav --own` and give its name"
            )
        if request.emotion_words is not None:
            raise NotSupported(
                "an emotion in words is not supported by the engine indextts: give it as weights or as a recording",
                feature="emotion_words",
            )
        vector = self.effective(request.emotion) if request.emotion.mode == "vector" else ZERO
        if request.emotion_audio is not None and any(vector):
            raise NotSupported(
                "the engine indextts takes an emotion from weights or from a recording, not from both; leave one out",
                feature="emotion_clip",
            )
        for recording in (request.voice_audio, request.emotion_audio):
            if recording is not None and not recording.is_file():
                raise VoiceMissing("the recording of the voice is not where it should be; register it again")
        found = installed(self._settings.python, self._settings.load_limit)
        self._keep_up(self._folder.revision())
        chosen = sampling.checked("indextts", request.sampling, SAMPLING, whole=_WHOLE)
        return {
            "language": match(request.language, _languages(found)),
            "voice": str(request.voice_audio.absolute()),
            "emotion": str(request.emotion_audio.absolute()) if request.emotion_audio else None,
            "strength": float(request.emotion.strength),
            "vector": [float(weight) for weight in vector] if any(vector) else None,
            "speed": chosen.pop("speed", 1.0),
            "sampling": chosen,
        }

    def _keep_up(self, revision: str) -> None:
        """Let go of workers that hold another checkpoint than the one that is recorded."""
        with self._lock:
            if self._revision not in ("", revision):
                self._pool.close()
            self._revision = revision

    def _segments(self, asked: dict[str, Any], parts: list[Part], seed: int) -> Iterator[Segment]:
        drawn = [{"text": plain(part.text), "seed": _seed(seed, place)} for place, part in enumerate(parts)]
        loads: list[float] = []
        spoken = self._pool.speak(asked, drawn, voice=asked["voice"], novelty=asked["language"], loaded=loads.append)
        start = 0.0
        try:
            for part, (samples, rate) in zip(parts, spoken, strict=True):
                segment = Segment(
                    samples=_with_silence(samples, round(part.pause_s * rate)),
                    sample_rate=rate,
                    text=part.text,
                    start=start,
                    load_s=sum(loads, 0.0),
                )
                loads.clear()
                yield segment
                start += segment.duration
        except WorkerEnded as ended:
            raise self._failure(ended) from ended
        except WorkerRefused as refused:
            raise _translated(refused) from refused
        finally:
            spoken.close()

    def _failure(self, ended: WorkerEnded) -> EngineFailed:
        advice = {
            "ended": "Try again, or free memory for it.",
            "silent": "Try again, or raise indextts.segment_limit and indextts.load_limit.",
            "memory": "Raise indextts.memory, or give it shorter sentences.",
            "garbage": "Set indextts.python to a Python that prints nothing of its own.",
        }[ended.why]
        failed = EngineFailed(
            f"the worker of IndexTTS failed: {ended}. {advice} Its log lies in {self._state}",
            stage=ended.stage,
            remedy=advice,
        )
        # The pool has tried again where a worker died; one that hangs or grows does so again, after as long a time.
        failed.may_pass = False
        return failed


def _folder(settings: Settings, remembered: Path) -> Folder:
    """The folder of the checkpoint as far as it can be told without the store."""
    wanted = settings.indextts.model
    if not wanted:
        return Folder(default_path() / settings.indextts.model_dir, remembered)
    try:
        path = place(default_path() / settings.models.folder, wanted)
    except ModelError as error:
        raise SettingsError(f"indextts.model = {wanted!r} is not right: {error}", name="indextts.model") from error
    return Folder(path, remembered, f"{path.parent.name}@{path.name}" if path.parent.name == wanted else wanted)


def _programs(settings: Any, folder: Folder, state: Path) -> list[Program]:
    """What runs on each device. Raises EngineUnavailable."""
    found = installed(settings.python, settings.load_limit)
    return [
        Program(
            python=found.python,
            module=Path(indextts_worker.__file__),
            options={
                "model_dir": str(folder.path), "device": device, "threads": settings.threads, "attention": settings.attention,
                "fp16": settings.fp16,
            },
            log=state / f"worker-{device.replace(':', '-')}{f'-{place}' if place else ''}.log",
            environ=environ(settings.python),
            load_s=settings.load_limit,
            part_s=settings.segment_limit,
            memory=settings.memory,
        )
        for place, (device, _) in enumerate(devices(settings.devices, found.torch))
    ]  # fmt: skip


def _languages(found: Installed) -> tuple[str, ...]:
    return (*LANGUAGES, JAPANESE) if found.japanese else LANGUAGES


def _seed(seed: int, place: int) -> int:
    """A seed for each part, so that a part sounds the same whether or not those before it were spoken in this process."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{place}".encode()).digest()[:7], "big")


def _with_silence(samples: Samples, count: int) -> Samples:
    return np.concatenate([samples, np.zeros(count, dtype=np.float32)]) if count else samples


def _translated(refused: WorkerRefused) -> SynthesisError:
    """What the model raised, in words of ours."""
    if refused.stage == "load":
        advice = {
            "damaged": "Put the model back with `voxledger models restore NAME@VERSION`, or copy its files anew.",
            "config": "Put config.yaml back with `voxledger models restore NAME@VERSION`, or copy it anew.",
            "memory": "Free memory on the device, or choose another one with indextts.devices.",
        }.get(refused.kind, "See that indextts.devices names what torch has, and that the checkpoint is IndexTTS-2.5.")
        return EngineUnavailable(f"IndexTTS cannot be loaded: {refused}. {advice}", remedy=advice)
    if refused.kind in ("voice", "emotion_voice"):
        whose = "voice" if refused.kind == "voice" else "emotion"
        return InvalidRequest(f"the recording for the {whose} cannot be used: {refused}", stage="voice")
    advice = {
        "memory": "Give shorter sentences, or free memory on the device.",
        "endless": "Try another seed, or a lower temperature.",
        "silent": "Try another seed, or other words.",
        "device": "Try again; the worker starts anew.",
    }.get(refused.kind, "Try again; if it fails again, try another seed or a shorter text.")
    failed = EngineFailed(f"IndexTTS failed: {refused}. {advice}", remedy=advice)
    failed.may_pass = refused.kind not in _LASTING
    return failed
