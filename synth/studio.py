"""The studio: where clips are asked for. Loads engines, and lets each work on as many requests as it can at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from voxledger.catalog.clip import Access, Clip
from voxledger.catalog.events import Channel
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.synth import engines
from voxledger.synth.attempt import Attempt, Surroundings
from voxledger.synth.emotion import EmotionLike
from voxledger.synth.engines.base import Engine
from voxledger.synth.request import SpeakRequest


class Studio:
    """Makes clips. Safe from many threads; engines are loaded on first use and closed with it."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        access: Access,
        *,
        actor: str,
        channel: Channel,
        on_recorded: Callable[[], None] = lambda: None,
    ) -> None:
        self.settings = settings
        self.default_actor = actor
        self._around = Surroundings(
            home=home, settings=settings, recorder=recorder, access=access, on_recorded=on_recorded
        )
        self._channel: Channel = channel
        self._engines: dict[str, Engine] = {}
        self._slots: dict[str, threading.Semaphore] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close all engines. Idempotent."""
        with self._lock:
            for engine in self._engines.values():
                engine.close()
            self._engines.clear()

    def speak(
        self,
        text: str,
        *,
        voice: str | None = None,
        emotion: EmotionLike = None,
        emotion_strength: float = 1.0,
        language: str | None = None,
        actor: str | None = None,
        session: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        format: str = "wav",  # the name people know
        seed: int | None = None,
        take: int = 1,
        reuse: bool = True,
        engine: str | None = None,
        channel: Channel | None = None,
    ) -> Clip:
        """Speak `text` and record the clip; its upload goes on in the background.

        The same request of the same actor gives the same clip again, without engine time; `take=2` or `reuse=False`
        makes a new one. `language` is a BCP 47 tag, found from the script when None; `emotion` is whatever
        `Emotion.of` reads; `format` is wav, flac, opus or mp3.

        Raises InvalidRequest for what cannot be spoken, EngineUnavailable, EngineFailed, AudioFailed, GenerationTimeout
        when another caller makes this clip and does not finish, DiskFull when there is no room. In each case nothing is
        left half done.
        """
        request = SpeakRequest.of(
            text, settings=self.settings, actor=actor or self.default_actor, voice=voice, emotion=emotion,
            emotion_strength=emotion_strength, language=language, session=session, name=name, tags=tags, format=format,
            seed=seed, take=take,
        )  # fmt: skip
        return self.make(request, engine=engine, reuse=reuse, channel=channel)

    def make(
        self, request: SpeakRequest, *, engine: str | None = None, reuse: bool = True, channel: Channel | None = None
    ) -> Clip:
        """Like `speak`, for a request that is checked already."""
        attempt = self._attempt(request, engine, channel)
        if not reuse:
            return attempt.run(None)
        answer = attempt.answered_or_claimed()
        return answer if answer is not None else attempt.run(attempt.fingerprint)

    def existing(self, request: SpeakRequest, *, engine: str | None = None) -> Clip | None:
        """The clip that would answer this request, without counting as use; None when it would have to be made."""
        attempt = self._attempt(request, engine, None)
        found = self._around.recorder.journal.fingerprint(attempt.fingerprint)
        return attempt.standing(found) if found else None

    def engine(self, name: str | None = None) -> Engine:
        """An engine by name, loaded once. Raises EngineUnavailable."""
        wanted = name or self.settings.synth.engine
        with self._lock:
            if wanted not in self._engines:
                engine = engines.load(wanted, self.settings)
                self._slots[wanted] = threading.Semaphore(engine.describe().concurrency)
                self._engines[wanted] = engine
            return self._engines[wanted]

    def _attempt(self, request: SpeakRequest, engine: str | None, channel: Channel | None) -> Attempt:
        found = self.engine(engine)
        return Attempt(
            self._around, request, found, self._slots[engine or self.settings.synth.engine], channel or self._channel
        )
