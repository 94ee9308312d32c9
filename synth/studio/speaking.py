"""Speaking: the pieces of one request through the engine, with turns, retries, and what was spoken before."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from voxledger.catalog.steps import OnStep, Step, unheard
from voxledger.synth.engines.base import EngineInfo, Samples, Segment, SynthesisRequest
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.errors import EngineFailed, InvalidText, Stage, Stopped
from voxledger.synth.studio.pieces import Piece
from voxledger.synth.studio.speech_cache import SpeechCache, Stretch
from voxledger.synth.studio.turns import Priority, Turns
from voxledger.synth.text import sentences


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """Speech for the characters `start` to `end` of the text: mono float32 of shape (n,), and the silence (s) before it."""

    samples: Samples
    sample_rate: int
    start: int
    end: int
    silence: float
    piece: Piece

    @property
    def duration(self) -> float:
        """Length in seconds, without the silence."""
        return len(self.samples) / self.sample_rate


class Listener(Protocol):
    """Somebody who hears a clip while it is made."""

    def heard(self, spoken: Spoken) -> None:
        """Called with each stretch of speech as it comes. May wait; raises Stopped when nobody listens any more."""

    def delivered_us(self, *, failed: bool) -> int:
        """How much audio (µs) was handed over, when the attempt ends without a clip because it `failed` or was stopped."""


class Nobody:
    """The listener of a clip that is only wanted when it is finished."""

    def heard(self, spoken: Spoken) -> None:
        """Nothing."""

    def delivered_us(self, *, failed: bool) -> int:  # noqa: ARG002  # the protocol's
        """None of it."""
        return 0


NOBODY = Nobody()


@dataclass(kw_only=True)
class Tally:
    """What speaking cost so far (µs), and what it gave."""

    queue_us: int = 0
    load_us: int = 0
    synthesis_us: int = 0
    first_us: int | None = None
    segments: int = 0
    cached: int = 0
    stage: Stage = "request"
    """How far it has come: where it failed, if it fails now with an error that does not say so itself."""


@dataclass(frozen=True, kw_only=True)
class Speaker:
    """One request's way through one engine. `asked` is what all its pieces share; `keyed` hashes under this node's key."""

    engine: Guarded
    info: EngineInfo
    turns: Turns
    cache: SpeechCache
    keyed: Callable[[bytes], str]
    asked: SynthesisRequest
    actor: str
    priority: Priority
    patience: float
    retries: int
    allowed: Callable[[], None] = lambda: None
    """Asked before each piece: raises when the voice may not be used any more."""
    clip: str = ""
    """The id of the clip that it is for."""
    on_step: OnStep = unheard

    def speak(self, pieces: Iterator[Piece], tally: Tally, stop: threading.Event) -> Generator[Spoken, None, None]:
        """Yields speech in order, each stretch as soon as it is there.

        Raises Stopped once `stop` is set, StudioBusy, InvalidRequest and EngineFailed; what the engine raises
        otherwise becomes EngineFailed. A piece that fails is tried again, unless some of it was given away.
        """
        for piece in pieces:
            if stop.is_set():
                raise Stopped
            yield from self._piece(piece, tally, stop)
        if not tally.segments:
            raise InvalidText("nothing in this text can be spoken by this engine")

    def _piece(self, piece: Piece, tally: Tally, stop: threading.Event) -> Iterator[Spoken]:
        self.allowed()
        key = None if piece.alone or self.info.determinism == "none" else self._key(piece)
        found = self.cache.get(self.actor, key) if key else None
        if found is not None:
            tally.cached += len(found)
            yield from self._counted(found, piece, tally)
            return
        made: list[Stretch] = []
        for attempt in range(self.retries + 1):
            try:
                with closing(self._heard(piece, made, tally, stop)) as heard:
                    # A sentence among others is given away when its turn is over, so that a slow listener holds nobody up.
                    yield from self._counted(heard if piece.alone else list(heard), piece, tally)
                break
            except InvalidText:
                if not piece.alone and not made:
                    return  # a sentence of signs alone within a text that can be spoken
                raise
            except EngineFailed as error:
                if attempt == self.retries or not error.may_pass or stop.is_set() or (made and piece.alone):
                    raise
                made.clear()
        if key and made:
            self.cache.put(self.actor, key, made)

    def _heard(
        self, piece: Piece, made: list[Stretch], tally: Tally, stop: threading.Event
    ) -> Generator[Stretch, None, None]:
        """What the engine says, with a turn of its own; `made` gathers it."""
        waiting = time.perf_counter()
        tally.stage = "queue"
        with self.turns.taken(
            actor=self.actor,
            priority=self.priority,
            voice=self._voice,
            patience=self.patience,
            stop=stop,
            goes_on=tally.first_us is not None,
        ) as mine:
            begun = time.perf_counter()
            tally.queue_us += round((begun - waiting) * 1e6)
            self.on_step(Step(name="queue", seconds=begun - waiting, engine=self.info.name, clip=self.clip))
            if not mine or stop.is_set():
                raise Stopped
            self.allowed()
            tally.stage = "engine"
            load_us = 0
            try:
                with closing(self.engine.synthesize(self._request(piece))) as segments:
                    at = 0
                    for segment in segments:
                        load_us += round(segment.load_s * 1e6)
                        if tally.first_us is None:
                            tally.first_us = round((time.perf_counter() - begun) * 1e6)
                        stretch, at = _placed(segment, piece.text, at)
                        made.append(stretch)
                        yield stretch
                        if stop.is_set():
                            raise Stopped
            finally:
                took = time.perf_counter() - begun
                tally.load_us += load_us
                tally.synthesis_us += max(0, round(took * 1e6) - load_us)
                self.on_step(Step(name="synthesis", seconds=took, engine=self.info.name, clip=self.clip))

    def _counted(self, stretches: Iterable[Stretch], piece: Piece, tally: Tally) -> Iterator[Spoken]:
        silence = piece.silence
        for stretch in stretches:
            tally.segments += 1
            yield Spoken(
                samples=stretch.samples,
                sample_rate=stretch.sample_rate,
                start=piece.start + stretch.start,
                end=piece.start + stretch.end,
                silence=silence,
                piece=piece,
            )
            silence = 0.0

    def _request(self, piece: Piece) -> SynthesisRequest:
        asked = replace(self.asked, text=piece.text, emotion=piece.emotion)
        return replace(asked, emotion_audio=None, emotion_words=None) if piece.marked else asked

    @property
    def _voice(self) -> str | None:
        return str(self.asked.voice_audio) if self.asked.voice_audio else self.asked.voice

    def _key(self, piece: Piece) -> str:
        """Everything that decides how a piece sounds, hashed."""
        asked, info = self._request(piece), self.info
        facts = {
            "engine": [info.name, info.version, info.model, info.model_revision, info.device],
            "text": piece.text,
            "language": asked.language,
            "voice": self._voice,
            "effective": piece.effective,
            "emotion_audio": str(asked.emotion_audio) if asked.emotion_audio else None,
            "emotion_strength": piece.emotion.strength,
            "emotion_words": asked.emotion_words,
            "seed": asked.seed,
            "sampling": dict(sorted(asked.sampling.items())),
        }
        return self.keyed(json.dumps(facts, ensure_ascii=False, sort_keys=True).encode())


def _placed(segment: Segment, text: str, at: int) -> tuple[Stretch, int]:
    """A segment with its place in the text; one that the engine wrote anew has the place of the next sentence."""
    said = segment.text.strip()
    start = text.find(said, at) if said else at
    end = start + len(said)
    if start < 0:
        ahead = next(sentences(text[at:]), None)
        start, end = (at + ahead.start, at + ahead.end) if ahead else (at, at)
    return Stretch(samples=segment.samples, sample_rate=segment.sample_rate, start=start, end=end), end
