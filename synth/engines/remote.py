"""Any server that answers `POST /v1/audio/speech`: OpenAI's, vLLM-Omni's, or one of your own.

What OpenAI documents is sent to every server (https://platform.openai.com/docs/api-reference/audio/createSpeech); what
vLLM-Omni adds only where the setting `remote.fields` names it
(https://docs.vllm.ai/projects/vllm-omni/en/stable/serving/speech_api/).
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from voxledger.catalog.settings import Settings
from voxledger.synth.emotion import ZERO, Emotion, EmotionMode, Weights
from voxledger.synth.engines import sampling
from voxledger.synth.engines.base import EngineInfo, Samples, Segment, SynthesisRequest
from voxledger.synth.engines.remote_answer import broken
from voxledger.synth.engines.remote_audio import STAGE, decoder
from voxledger.synth.engines.remote_connection import Connection, address, key, key_variable
from voxledger.synth.errors import EngineUnavailable, InvalidText, NotSupported, UnknownVoice
from voxledger.synth.hints import near
from voxledger.synth.text import sentences
from voxledger.synth.text.language import match

LONGEST_INPUT = 4096
"""Characters of one request at most, as OpenAI documents it."""

SAMPLING: sampling.Bounds = {"speed": (0.25, 4.0)}
"""What OpenAI documents of `speed`."""

LANGUAGES = (
    "af", "ar", "hy", "az", "be", "bs", "bg", "ca", "zh", "hr", "cs", "da", "nl", "en", "et", "fi", "fr", "gl", "de", "el",
    "he", "hi", "hu", "is", "id", "it", "ja", "kn", "kk", "ko", "lv", "lt", "mk", "ms", "mr", "mi", "ne", "no", "fa", "pl",
    "pt", "ro", "ru", "sr", "sk", "sl", "es", "sw", "sv", "tl", "ta", "th", "tr", "uk", "ur", "vi", "cy",
)  # fmt: skip
"""What OpenAI names for its own models (https://platform.openai.com/docs/guides/text-to-speech)."""

_HINTS = {
    "vector": "if the server takes the field emo_vector, name it in remote.fields",
    "reference": "if the server takes the field emo_audio, name it in remote.fields",
    "words": "if the model understands instructions, set remote.instructions = true",
    "seed": "if the server takes the field seed, name it in remote.fields",
}
_PAUSE_S, _PARAGRAPH_PAUSE_S = 0.25, 0.5
_FIRST_PIECE_S, _PIECE_S = 0.2, 1.0
_LARGEST_CLIP = 10_000_000  # bytes of a reference clip, vLLM-Omni's own limit for an upload
_CLIP_TYPES = {".wav": "wav", ".mp3": "mpeg", ".flac": "flac", ".ogg": "ogg", ".opus": "ogg"}


@dataclass(frozen=True, kw_only=True)
class _Passage:
    """What goes into one request; `pause_s` of silence come before it."""

    text: str
    pause_s: float


class RemoteEngine:
    """The engine `remote`. Costs nothing to construct; nothing is sent before the first `synthesize`."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = (settings or Settings()).remote
        self._lock = threading.Lock()
        self._connection: Connection | None = None
        self._owner = os.getpid()

    def describe(self) -> EngineInfo:
        """What the settings say of the server; it is not asked. Raises EngineUnavailable without an address or key."""
        settings = self._settings
        url = address(settings.url)
        key(key_variable(settings, url))
        decides = (settings.format, settings.sample_rate, settings.request, settings.voice, settings.instructions)
        seen = hashlib.sha256(msgspec.json.encode([url, decides, sorted(settings.fields)])).hexdigest()[:8]
        return EngineInfo(
            name="remote",
            version="v1",
            model=settings.model or "default",
            model_revision=seen,
            device="remote",
            languages=settings.languages or LANGUAGES,
            voices=settings.voices or ((settings.voice,) if settings.voice else ()),
            emotion_modes=self._modes(),
            reference_voices="ref_audio" in settings.fields,
            sample_rate=settings.sample_rate,
            streaming=True,
            determinism="none",
            takes_seed="seed" in settings.fields,
            concurrency=settings.concurrency,
            sampling=tuple(SAMPLING),
            hints=_HINTS,
        )

    def effective(self, emotion: Emotion) -> Weights:
        """The weights times the strength where the server takes a vector, else none."""
        return emotion.scaled if "emo_vector" in self._settings.fields else ZERO

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        """Speak. The audio of a request to the server comes in one or more segments as it arrives: the first bears the
        text, the others go on with it and bear none; silences between requests are segments without text too.

        Raises UnsupportedLanguage, UnknownVoice and NotSupported at once; InvalidText, InvalidRequest,
        EngineUnavailable and EngineFailed while iterating. Closing the iterator closes the connection.
        """
        body = self._body(request)
        return self._segments(request.text, body, request.sampling.get("speed", 1.0))

    def close(self) -> None:
        """Close what is kept alive. Idempotent; a later `synthesize` connects again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _connected(self) -> Connection:
        with self._lock:
            if self._connection is None or self._owner != os.getpid():
                # A forked child must not speak on its parent's sockets.
                self._connection, self._owner = Connection(self._settings), os.getpid()
            return self._connection

    def _modes(self) -> frozenset[EmotionMode]:
        fields = self._settings.fields
        modes: list[EmotionMode] = ["none"]
        modes += ["vector"] if "emo_vector" in fields else []
        modes += ["reference"] if "emo_audio" in fields else []
        modes += ["words"] if "emo_text" in fields or self._settings.instructions else []
        return frozenset(modes)

    def _body(self, request: SynthesisRequest) -> dict[str, Any]:
        """The fields of each request, but its text. Raises what cannot be asked of this server."""
        settings, fields = self._settings, self._settings.fields
        language = match(request.language, settings.languages or LANGUAGES)
        body: dict[str, Any] = {"response_format": settings.format}
        if settings.model:
            body["model"] = settings.model
        if voice := self._voice(request):
            body["voice"] = voice
        speed = sampling.checked("remote", request.sampling, SAMPLING).get("speed", 1.0)
        if speed != 1.0:
            body["speed"] = speed
        elif "stream_format" in fields:  # vLLM-Omni streams at its own speed only
            body["stream_format"] = "audio"
        if "seed" in fields and request.seed is not None:
            body["seed"] = request.seed
        if request.voice_audio is not None:
            self._need("ref_audio", "speaker_clip", "a reference clip for the voice")
            body["ref_audio"] = _data_url(request.voice_audio)
        extra = self._emotion(request, body)
        if "lang" in fields:
            extra["lang"] = language.split("-")[0].lower()
        if extra:
            body["extra_params"] = extra
        return body

    def _voice(self, request: SynthesisRequest) -> str:
        settings = self._settings
        if request.voice is None:
            return settings.voice
        if settings.voices and request.voice not in settings.voices:
            raise UnknownVoice(f"remote.voices has no {request.voice!r}; {near(request.voice, settings.voices)}")
        return request.voice

    def _emotion(self, request: SynthesisRequest, body: dict[str, Any]) -> dict[str, Any]:
        """The emotion as vLLM-Omni's `extra_params`, or as OpenAI's `instructions` in the body itself."""
        extra: dict[str, Any] = {}
        if request.emotion.mode == "vector":
            self._need("emo_vector", "emotion", "an emotion as weights")
            extra["emo_vector"] = list(request.emotion.scaled)
        if request.emotion_audio is not None:
            self._need("emo_audio", "emotion_clip", "a reference clip for the emotion")
            extra["emo_audio"] = _data_url(request.emotion_audio)
            extra["emo_alpha"] = request.emotion.strength
        if request.emotion_words is not None:
            if "emo_text" in self._settings.fields:
                extra |= {
                    "use_emo_text": True,
                    "emo_text": request.emotion_words,
                    "emo_alpha": request.emotion.strength,
                }
            elif self._settings.instructions:
                body["instructions"] = request.emotion_words
            else:
                raise NotSupported(
                    f"the engine remote does not send an emotion in words: {_HINTS['words']}",
                    feature="emotion_words",
                )
        return extra

    def _need(self, field: str, feature: str, what: str) -> None:
        if field not in self._settings.fields:
            raise NotSupported(
                f"the engine remote does not send {what}: if the server takes the field {field}, name it in remote.fields",
                feature=feature,
            )

    def _segments(self, text: str, body: dict[str, Any], speed: float) -> Iterator[Segment]:
        start, rate, any_spoken = 0.0, 0, False
        for passage in _passages(text, whole=self._settings.request == "text"):
            if any_spoken:
                silence = np.zeros(round(passage.pause_s * rate), dtype=np.float32)
                yield Segment(samples=silence, sample_rate=rate, text="", start=start)
                start += passage.pause_s
            spoken = passage.text
            for samples, came_at in self._speak(passage.text, body, speed):
                if rate and came_at != rate:
                    raise broken(f"the server changed its rate from {rate} to {came_at} Hz", stage=STAGE)
                rate = came_at
                segment = Segment(samples=samples, sample_rate=rate, text=spoken, start=start)
                yield segment
                start += segment.duration
                spoken = ""
            any_spoken = True
        if not any_spoken:
            raise InvalidText("nothing in this text can be spoken: it has neither a letter nor a digit")

    def _speak(self, text: str, body: dict[str, Any], speed: float) -> Iterator[tuple[Samples, int]]:
        """The audio of one request in pieces, each with its rate. Raises EngineFailed for what is none, or no end."""
        longest_s = 30 + 1.5 * len(text) / min(speed, 1.0)  # several times what the slowest speaker needs
        answer = self._connected().post({**body, "input": text})
        try:
            decode = decoder(self._settings.format, answer.content_type, self._settings.sample_rate)
            waiting: list[Samples] = []
            held = total = 0
            least_s = _FIRST_PIECE_S
            for piece in answer.chunks():
                samples = decode.feed(piece)
                waiting.append(samples)
                held += len(samples)
                if held and total + held > longest_s * decode.rate:
                    raise broken(
                        f"the server sent more than {longest_s:.0f} s of audio for {len(text)} characters", stage=STAGE
                    )
                if held and held >= least_s * decode.rate:
                    yield np.concatenate(waiting), decode.rate
                    waiting, total, held, least_s = [], total + held, 0, _PIECE_S
            decode.end()
            if held:
                yield np.concatenate(waiting), decode.rate
            elif not total:
                raise broken("the server answered without any audio", stage=STAGE)
        finally:
            answer.close()


def _passages(text: str, *, whole: bool) -> Iterator[_Passage]:
    """What goes into each request: a sentence, or as many as fit. What has no letter or digit is not sent."""
    start = end = 0
    pause_s = 0.0
    for sentence in sentences(text):
        if not any(unicodedata.category(character)[0] in "LN" for character in sentence.text):
            continue
        if whole and end and sentence.end - start <= LONGEST_INPUT:
            end = sentence.end
            continue
        if end:
            yield _Passage(text=text[start:end], pause_s=pause_s)
        start, end = sentence.start, sentence.end
        pause_s = _PARAGRAPH_PAUSE_S if sentence.paragraph else _PAUSE_S
    if end:
        yield _Passage(text=text[start:end], pause_s=pause_s)


def _data_url(clip: Path) -> str:
    """A recording as vLLM-Omni takes it in a request. Raises NotSupported for one that is too large for that."""
    kind = _CLIP_TYPES.get(clip.suffix.lower(), "wav")
    try:
        content = clip.read_bytes() if clip.stat().st_size <= _LARGEST_CLIP else None
    except OSError as error:
        raise EngineUnavailable(f"the recording cannot be read: {error.strerror}", stage="voice") from error
    if content is None:
        raise NotSupported(
            f"the recording is larger than the {_LARGEST_CLIP // 10**6} MB that a request may carry; use a shorter one",
            feature="speaker_clip",
        )
    return f"data:audio/{kind};base64,{base64.b64encode(content).decode()}"
