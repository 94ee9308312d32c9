"""eSpeak NG: more than a hundred languages, no model to fetch, and emotions as prosody and voice quality.

The library and its data come with the PyPI package `espeakng-loader`; eSpeak NG is free software under the GPL 3.
It runs in processes of its own (`espeak_library` says why), so nothing of its global state is shared between threads
or inherited by a fork.
"""

from __future__ import annotations

import importlib
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from voxledger.catalog.settings import Settings
from voxledger.synth import prosody
from voxledger.synth.emotion import Emotion, Weights
from voxledger.synth.engines import espeak_library, sampling
from voxledger.synth.engines.base import EngineInfo, Samples, Segment, SynthesisRequest
from voxledger.synth.engines.espeak_process import AT_MOST, Speech, Utterance, Workers
from voxledger.synth.engines.espeak_text import kana, plain, questioning, speakable
from voxledger.synth.engines.espeak_voices import digest, voice_file, voices
from voxledger.synth.errors import EngineUnavailable, InvalidText, NotSupported, UnknownVoice
from voxledger.synth.hints import near
from voxledger.synth.prosody import Prosody
from voxledger.synth.text import Sentence, sentences
from voxledger.synth.text.language import match

SAMPLE_RATE = 22050
"""Hz. What the data that ships with the library is made for."""

WORDS_PER_MINUTE = 175
"""eSpeak's normal rate; it takes 80 to 450."""

MAPPING = 2
"""To be raised with every change of how a prosody or a text is handed to eSpeak: it changes the sound."""

SAMPLING: sampling.Bounds = {"speed": (0.5, 2.5)}
"""`speed` is a factor on the rate."""

# How far above its floor a voice's mean F0 lies, and the point its range widens around, in parts of the floor. The
# first is measured, and about the same in all voices; the second is 18 Hz of 73 in SetPitch2.
_MEAN, _PIVOT = 0.4, 0.25

_CLAUSE_PAUSE_S = (
    0.2  # what a factor of 2 adds at a comma; eSpeak's own pauses there cannot be scaled apart from the rate
)


@dataclass(frozen=True, kw_only=True)
class _Manner:
    """How the sentences of one request are spoken."""

    voice: bytes
    seed_c: bool
    parameters: tuple[tuple[int, int], ...]
    prosody: Prosody
    speed: float
    japanese: bool


class EspeakEngine:
    """The engine `espeak`. Costs nothing to construct; processes are started by the first `synthesize`."""

    def __init__(self, _settings: Settings | None = None) -> None:
        self._workers = Workers(_installed)
        # Also when the engine is forgotten, or the program ends, without close().
        weakref.finalize(self, self._workers.close)

    def describe(self) -> EngineInfo:
        """What this engine is and can do. A few milliseconds once, then nothing; starts no process."""
        return _info()

    def effective(self, emotion: Emotion) -> Weights:
        """The weights that are applied: times the strength, scaled down where their sum exceeds 1."""
        return prosody.effective(emotion)

    def synthesize(self, request: SynthesisRequest) -> Iterator[Segment]:
        """Speak, a segment for each sentence. Equal requests give equal samples; `seed` has nothing to decide.

        `voice` is one of `describe().voices`, `language` any tag that `language.match` finds there, and
        `sampling["speed"]` a factor on the rate. Raises UnsupportedLanguage, UnknownVoice and NotSupported at once;
        InvalidText (nothing to speak in it), NotSupported (kanji without readings) and EngineFailed while iterating.
        """
        manner = _manner(request)
        return self._segments(request.text, manner)

    def _segments(self, text: str, manner: _Manner) -> Iterator[Segment]:
        start, pending = 0.0, None
        for sentence in sentences(text):
            speech = self._speak(sentence, manner) if speakable(sentence.text) else None
            if speech is None or not speech.samples.any():
                continue
            if pending is not None:
                # Only now is it known that something follows, and how long to pause before it.
                pause_s = prosody.pause(manner.prosody, paragraph=sentence.paragraph, speed=manner.speed)
                segment = _segment(*pending, start, pause_s)
                yield segment
                start += segment.duration
            pending = (sentence.text, speech)
        if pending is None:
            raise InvalidText(
                "nothing in this text can be spoken: it has no letters, digits or symbols that are read out"
            )
        yield _segment(*pending, start, 0.0)

    def _speak(self, sentence: Sentence, manner: _Manner) -> Speech:
        text = kana(sentence.text) if manner.japanese else sentence.text
        text = plain(text)
        if manner.prosody.rise >= 0.5:  # a question or no question: eSpeak has no degrees between the two
            text = questioning(text)
        speech = self._workers.speak(
            Utterance(text=text, voice=manner.voice, parameters=manner.parameters, seed_c=manner.seed_c)
        )
        return _with_pauses(speech, (manner.prosody.pause - 1) * _CLAUSE_PAUSE_S / (manner.prosody.rate * manner.speed))

    def close(self) -> None:
        """End the processes. Idempotent; a later `synthesize` starts them again."""
        self._workers.close()


def _manner(request: SynthesisRequest) -> _Manner:
    for feature, given, instead in (
        ("speaker_clip", request.voice_audio, "choose one of its voices by name"),
        ("emotion_clip", request.emotion_audio, "give the emotion as weights"),
        ("emotion_words", request.emotion_words, "give the emotion as weights"),
    ):
        if given is not None:
            raise NotSupported(
                f"the engine espeak cannot take a {feature.replace('_', ' ')}: {instead}", feature=feature
            )
    _, data = _installed()
    known = voices(data)
    language = match(request.language, known.languages)
    if request.voice is not None and request.voice not in known.variants:
        raise UnknownVoice(f"the engine espeak has no voice {request.voice!r}; {near(request.voice, known.variants)}")
    how = prosody.blend(prosody.effective(request.emotion))
    voice, seed_c = voice_file(data, language, request.voice, how)
    speed = sampling.checked("espeak", request.sampling, SAMPLING).get("speed", 1.0)
    return _Manner(
        voice=voice,
        seed_c=seed_c,
        parameters=(
            (espeak_library.RATE, round(WORDS_PER_MINUTE * (how.rate * speed))),
            *_intonation(how),
        ),
        prosody=how,
        speed=speed,
        japanese=language == "ja",
    )


def _intonation(how: Prosody) -> tuple[tuple[int, int], tuple[int, int]]:
    """eSpeak's pitch and range for a prosody, both 50 when neutral and 99 at most.

    Its pitch moves only the floor of the voice, in 50 steps an octave (pitch_adjust_tab and SetPitch2 in wavegen.c);
    the speech lies above it by so many Hz as the range says, which widens around a point below the mean. So the floor
    moves by what is left of the change of the mean, and the range moves with the pitch, to be the same in semitones.
    """
    factor = 2 ** (how.pitch / 12)
    span = min(99 / 50, how.range * factor)
    floor = (1 + _MEAN) * factor - _MEAN - (_MEAN - _PIVOT) * (span - 1)
    pitch = min(99, round(50 + 50 * math.log2(max(0.5, floor))))
    return (espeak_library.PITCH, pitch), (espeak_library.RANGE, round(50 * span))


def _with_pauses(speech: Speech, longer_s: float) -> Speech:
    """The same speech with its inner pauses longer by so many seconds; shorter ones are left to the rate."""
    extra = round(longer_s * speech.rate)
    inner = [end for end in speech.ends if 0 < end < len(speech.samples)]
    if extra <= 0 or not inner:
        return speech
    silence = np.zeros(extra, dtype=np.float32)
    parts: list[Samples] = []
    for part in np.split(speech.samples, inner):
        parts += [part, silence]
    return Speech(samples=np.concatenate(parts[:-1]), rate=speech.rate, ends=speech.ends)


def _segment(text: str, speech: Speech, start: float, pause_s: float) -> Segment:
    silence = np.zeros(round(pause_s * speech.rate), dtype=np.float32)
    return Segment(samples=np.concatenate([speech.samples, silence]), sample_rate=speech.rate, text=text, start=start)


@cache
def _installed() -> tuple[Path, Path]:
    """The library and its data folder. Raises EngineUnavailable."""
    try:
        loader = importlib.import_module("espeakng_loader")
        library, data = Path(loader.get_library_path()), Path(loader.get_data_path())
    except ImportError as error:
        raise EngineUnavailable(
            "the engine espeak needs the package espeakng-loader: pip install 'voxledger[synth]'"
        ) from error
    except RuntimeError as error:
        raise EngineUnavailable(f"{error}: pip install --force-reinstall espeakng-loader") from error
    if not library.exists():
        raise EngineUnavailable(f"espeakng-loader has no library for this system: {library} is missing")
    return library, data


@cache
def _info() -> EngineInfo:
    library, data = _installed()
    try:
        number = espeak_library.version(str(library))
    except OSError as error:
        raise EngineUnavailable(f"the library of eSpeak NG cannot be loaded: {error}") from error
    known = voices(data)
    return EngineInfo(
        name="espeak",
        version=number,
        model="espeak-ng",
        model_revision=f"{digest(data)}-{prosody.revision()}.{MAPPING}{_readings()}",
        device="cpu",
        languages=tuple(known.languages),
        voices=tuple(known.variants),
        emotion_modes=frozenset(("none", "vector")),
        reference_voices=False,
        sample_rate=SAMPLE_RATE,
        streaming=True,
        determinism="bytes",
        concurrency=AT_MOST,
        sampling=tuple(SAMPLING),
    )


def _readings() -> str:
    """The edition of the dictionary that decides how kanji are read, if there is one."""
    try:
        return f"-{version('sudachidict-small')}"
    except PackageNotFoundError:
        return ""
