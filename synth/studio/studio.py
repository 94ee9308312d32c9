"""The studio: where clips are asked for. Loads engines, and lets each work on as many requests as it can at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Unpack, get_args

from voxledger.catalog.catalog import Catalog
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import Channel
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.catalog.steps import OnStep, unheard
from voxledger.synth.emotion import EmotionLike
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.errors import EngineUnavailable, InvalidRequest, Stopped
from voxledger.synth.presets import Presets
from voxledger.synth.studio.answers import Answers
from voxledger.synth.studio.attempt import Attempt, Surroundings, unbegun
from voxledger.synth.studio.audience import Audience, Chunk, Hearing, Levelling
from voxledger.synth.studio.awaiting import Awaiting
from voxledger.synth.studio.loaded import Loaded
from voxledger.synth.studio.options import SpeakOptions
from voxledger.synth.studio.recordings import Recordings
from voxledger.synth.studio.request import SpeakRequest
from voxledger.synth.studio.rerender import Rerendered, compared, request_of, settings_of
from voxledger.synth.studio.speaking import NOBODY
from voxledger.synth.studio.speech_cache import SpeechCache
from voxledger.synth.studio.streaming import Stream, finished, making
from voxledger.synth.studio.turns import Priority, Turns
from voxledger.synth.studio.watching import Watch
from voxledger.synth.text.subtitles import written
from voxledger.synth.voices import Recording, Voices

if TYPE_CHECKING:
    from voxledger.synth.audio import Preview

_LEAVE = 5.0
"""Seconds that whatever is being made has to end when the studio is closed; then it counts as called off, and is left behind."""
_APART = ("engine", "reuse", "channel", "priority")


class Asked(NamedTuple):
    """A checked request, and what is no part of it: the engine, whether it may be answered, the door, and its rank."""

    request: SpeakRequest
    engine: str | None = None
    reuse: bool = True
    channel: Channel | None = None
    priority: Priority | None = None


class Studio:
    """Makes clips. Safe from many threads and from asyncio; engines are loaded on first use and closed with it."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        catalog: Catalog,
        *,
        actor: str,
        channel: Channel,
        voices: Callable[[], Voices],
        ensure_model: Callable[[str], Path] | None = None,
        on_recorded: Callable[[], None] = lambda: None,
        on_step: OnStep = unheard,
    ) -> None:
        """`ensure_model` gives engines the folder of a model version, pulled if it is not here."""
        self.settings = settings
        self.default_actor = actor
        self._catalog = catalog
        self.presets = Presets(home)
        self._around = Surroundings(
            home=home,
            settings=settings,
            recorder=recorder,
            access=catalog.audio,
            recordings=Recordings(voices),
            answers=Answers(home, recorder, catalog.audio),
            cache=SpeechCache(
                home.speech,
                limit=settings.synth.speech_cache,
                # Never longer than the clip itself is kept at least: what was purged must not sound on in here.
                life=min(settings.synth.speech_keep, settings.retention.minimum_age + settings.retention.grace),
                keep_free=settings.general.min_free_disk,
            ),
            on_recorded=on_recorded,
            on_step=on_step,
        )
        self._channel: Channel = channel
        self._loaded = Loaded(settings, ensure_model)
        self._making: list[Attempt] = []
        self._changed = threading.Condition()
        self._closed = False
        self._awaiting = Awaiting()

    def close(self) -> None:
        """Call off what is being made, which is recorded, and close all engines. Idempotent."""
        with self._changed:
            again, self._closed = self._closed, True
            for attempt in self._making:
                attempt.stop.set()
            self._changed.wait_for(lambda: not self._making, timeout=0 if again else _LEAVE)
            left = list(self._making)
        for attempt in left:
            attempt.abandon()
        self._loaded.close()
        self._awaiting.close()

    def speak(
        self,
        text: str,
        *,
        voice: str | Path | None = None,
        emotion: EmotionLike = None,
        emotion_strength: float = 1.0,
        emotion_reference: str | Path | None = None,
        emotion_words: str | None = None,
        language: str | None = None,
        actor: str | None = None,
        session: str | None = None,
        name: str | None = None,
        tags: Iterable[str] = (),
        format: str = "wav",  # the name people know
        seed: int | None = None,
        take: int = 1,
        speed: float | None = None,
        sampling: Mapping[str, float] | None = None,
        marks: bool = True,
        preset: str | None = None,
        reuse: bool = True,
        engine: str | None = None,
        channel: Channel | None = None,
        priority: Priority | None = None,
    ) -> Clip:
        """Speak `text` and record the clip; its upload goes on in the background.

        The same request of the same actor gives the same clip again, without engine time; `take=2` or `reuse=False` makes a
        new one. `language` is a BCP 47 tag, guessed when None: from the script, in Latin letters as en, es, de or fr by
        common words, else en; `voice` a registered voice or one of the engine's; `emotion` whatever `Emotion.of` reads, or
        else that of a registered recording (`emotion_reference`) or of a description (`emotion_words`), where the engine can.
        Emotions written into the text (`[sad:0.6] …` at the start of a line) hold for that line; `marks=False` speaks them.
        `speed` is a factor, `sampling` what the engine takes besides. `format` is wav, flac, opus, mp3, aac or pcm. `priority`
        says who goes first where requests wait for the engine: "interactive", or "batch", which lets those go before it for a while.

        Raises InvalidRequest for what cannot be spoken, EngineUnavailable, EngineFailed, AudioFailed, StudioBusy,
        ConsentEnded for a voice that was withdrawn, GenerationTimeout when another caller makes this clip and does not
        finish, DiskFull when there is no room. In each case nothing is left half done.
        """
        return self._speak(
            text, None, voice=voice, emotion=emotion, emotion_strength=emotion_strength, emotion_reference=emotion_reference,
            emotion_words=emotion_words, language=language, actor=actor, session=session, name=name, tags=tags, format=format,
            seed=seed, take=take, speed=speed, sampling=sampling, marks=marks, preset=preset, reuse=reuse, engine=engine,
            channel=channel, priority=priority,
        )  # fmt: skip

    async def aspeak(self, text: str, **options: Unpack[SpeakOptions]) -> Clip:
        """Like `speak`, awaited. Cancelled, it stops the engine within one segment and is recorded as cancelled."""
        stop = threading.Event()
        return await self._awaiting.result(partial(self._speak, text, stop, **options), stop)

    def stream(self, text: str, **options: Unpack[SpeakOptions]) -> Stream:
        """Like `speak`, heard from the first segment on: an iterator over chunks, whose `clip` is there at its end.

        A clip that is there already comes from its file, each sentence's text with the chunk that begins with it; of clips from
        before the places of sentences were kept with the answer, the first chunk has the whole text; where texts are not kept
        (general.store_text), no chunk has any. Close the stream to break off.
        """
        return self._stream(text, threading.Event(), **options)

    async def astream(self, text: str, **options: Unpack[SpeakOptions]) -> AsyncIterator[Chunk]:
        """Like `stream`, for `async for`. Closing the iterator, or cancelling its task, breaks off."""
        stop = threading.Event()
        stream = await self._awaiting.result(partial(self._stream, text, stop, **options), stop)
        try:
            while (chunk := await self._awaiting.result(partial(next, stream, None), stop)) is not None:
                yield chunk
        finally:
            await asyncio.shield(self._awaiting.result(stream.close))

    def make(
        self,
        request: SpeakRequest,
        *,
        engine: str | None = None,
        reuse: bool = True,
        channel: Channel | None = None,
        priority: Priority | None = None,
        stop: threading.Event | None = None,
        watch: Watch | None = None,
        audience: Audience | None = None,
    ) -> Clip:
        """Like `speak`, for a request that is checked already. `watch` hears how far it has come, or `audience` the clip itself,
        in this thread; never for a clip that is there.
        """
        attempt = self._begun(
            request, engine, channel, reuse=reuse, priority=priority, stop=stop, streamed=audience is not None
        )
        with self._at_work(attempt), attempt.claiming():
            answer = attempt.answered_or_claimed() if reuse else None
            if answer is not None:
                return answer
            if audience is None:
                return attempt.run(answers=reuse, listener=attempt.watched_by(watch) if watch else NOBODY)
            hearing = Hearing(audience, self._levelling(attempt, audience.rate))
            audience.begins(attempt.facts.clip_id)
            clip = attempt.run(answers=reuse, listener=hearing)
            hearing.ended()
            return clip

    def answered(self, asked: Iterable[tuple[SpeakRequest, str | None, Channel]]) -> list[Clip | None]:
        """The clips that are there already for these requests, each with its engine and channel; their uses are recorded together.

        None, and nothing recorded, where one must be made, or where `make` has to say why it cannot. Loads no engine. One thread that
        does this for many does not fight with others for the interpreter, as calls of `make` in threads of their own do.
        """
        attempts = [self._answerable(*each) for each in asked]
        known = [attempt for attempt in attempts if attempt is not None]
        try:
            answers = self._around.answers.each([attempt.facts.fingerprint for attempt in known])
            given = [(attempt, answer) for attempt, answer in zip(known, answers, strict=True) if answer is not None]
            uses = [attempt.use(answer) for attempt, answer in given]
            recorded = self._around.recorder.journal.emit_where_answered(uses) if uses else []
        except VoxledgerError:
            return [None] * len(attempts)
        clips = {
            attempt: attempt.reused(answer) for (attempt, answer), done in zip(given, recorded, strict=True) if done
        }
        return [clips.get(attempt) if attempt is not None else None for attempt in attempts]

    def _answerable(self, request: SpeakRequest, engine: str | None, channel: Channel) -> Attempt | None:
        """An attempt that may be answered with what is there; None where that cannot be told yet."""
        if not self.is_loaded(engine):
            return None
        try:
            attempt = self._attempt(request, engine, channel)
            attempt.check()
        except VoxledgerError:
            return None
        return attempt

    def existing(self, request: SpeakRequest, *, engine: str | None = None) -> Clip | None:
        """The clip that would answer this request, without counting as use; None when it would have to be made, or when its
        engine cannot say so.
        """
        try:
            attempt = self._attempt(request, engine, None)
        except EngineUnavailable:
            return None
        answer = self._around.answers.of(attempt.facts.fingerprint)
        return answer.clip if answer is not None else None

    def engine(self, name: str | None = None) -> Guarded:
        """An engine by name, loaded once. Raises UnknownEngine, and EngineUnavailable when it cannot start."""
        self._require_open()
        return self._loaded.get(name)

    def is_loaded(self, name: str | None = None) -> bool:
        """Whether an engine was asked for before, so that asking it takes no time."""
        return name in self._loaded

    def waiting(self, engine: str | None = None) -> int:
        """How many requests wait for a turn of this engine; 0 while nobody has asked for it."""
        turns = self._loaded.turns_of(engine)
        return turns.waiting if turns is not None else 0

    def turns(self) -> Mapping[str, Turns]:
        """The turns of each engine that was asked for so far, by its name."""
        return self._loaded.turns()

    def rerender(self, reference: str | Clip, *, watch: Watch | None = None) -> Rerendered:
        """Render a clip again from its record alone, and compare; nothing is recorded and nothing replaced.

        `watch` hears how far it has come. Raises ClipNotFound, InvalidRequest when the text was not kept, and what `speak` raises.
        """
        clip, then = self._catalog.clip(reference), self._catalog.record(reference)
        settings = settings_of(then, self.settings)
        request = request_of(then, settings, voice=then.voice_sha256, mood=then.emotion_sha256)
        if not self.engine(then.engine).describe().heeds_seed:
            request = replace(request, seed=None)  # older records hold seeds that never reached an engine
        attempt = self._attempt(request, then.engine, None, around=self._afresh(settings))
        with self._at_work(attempt):
            made = attempt.made() if watch is None else attempt.made(attempt.watched_by(watch))
        try:
            return compared(clip, then, made, attempt.facts.info)
        finally:
            made.discard()

    def subtitles(self, reference: str | Clip, format: Literal["srt", "vtt"] = "srt") -> str:
        """A clip's text with the times at which it is heard. Raises ClipNotFound, InvalidRequest when they were not kept."""
        record = self._catalog.record(reference)
        return written(record.text, record.timing, format)

    def _afresh(self, settings: Settings) -> Surroundings:
        """The surroundings without what was spoken before."""
        return replace(self._around, settings=settings, cache=SpeechCache(self._around.home.speech, limit=0, life=0.0))

    def recording(self, voice: str | Path) -> Recording:
        """A registered recording by name, hash, or a file with its bytes. Raises UnknownVoice, ConsentEnded."""
        return self._around.recordings.named(voice)

    def _speak(self, text: str, stop: threading.Event | None, **options: Unpack[SpeakOptions]) -> Clip:
        asked = self.asked(text, options)
        return self.make(
            asked.request,
            engine=asked.engine,
            reuse=asked.reuse,
            channel=asked.channel,
            priority=asked.priority,
            stop=stop,
        )

    def _stream(self, text: str, stop: threading.Event, **options: Unpack[SpeakOptions]) -> Stream:
        asked = self.asked(text, options)
        reuse = asked.reuse
        attempt = self._begun(
            asked.request, asked.engine, asked.channel, reuse=reuse, priority=asked.priority, stop=stop, streamed=True
        )
        with ExitStack() as at_work, attempt.claiming():
            at_work.enter_context(self._at_work(attempt))
            answer = attempt.answered_or_claimed() if reuse else None
            if answer is not None:
                return finished(answer, attempt.timing)
            return making(attempt, self._levelling(attempt), at_work, answers=reuse)

    def _levelling(self, attempt: Attempt, rate: Callable[[int], int] = lambda rate: rate) -> Levelling:
        """What gives a listener this attempt's speech; `rate` says at which rate (Hz) it is heard."""
        settings = self.settings.synth

        def previewed(sample_rate: int) -> Preview:
            from voxledger.synth.audio import Preview

            return Preview(
                sample_rate,
                target_rate=rate(settings.sample_rate or sample_rate),
                level_offset_db=attempt.level_offset,
                target_lufs=settings.loudness,
            )

        return Levelling(previewed, attempt.level_offset)

    def asked(self, text: str, options: SpeakOptions) -> Asked:
        """The checked request, and what is no part of it."""
        given = dict(options)
        for what in ("engine", "preset", "actor"):
            if given.get(what) is not None and not isinstance(given[what], str):
                raise InvalidRequest(f"the {what} must be a string, not {given[what]!r}")
        if not isinstance(given.get("reuse", True), bool):
            raise InvalidRequest(f"reuse must be True or False, not {given['reuse']!r}")
        if given.get("channel") not in (None, *get_args(Channel)):
            raise InvalidRequest(f"the channel must be one of {', '.join(get_args(Channel))}, not {given['channel']!r}")
        if given.get("priority") not in (None, *get_args(Priority)):
            raise InvalidRequest(
                f"the priority must be one of {', '.join(get_args(Priority))}, not {given['priority']!r}"
            )
        given["actor"] = given.get("actor") or self.default_actor
        preset = options.get("preset")
        if preset is not None:
            given = self.presets.get(preset).fill(given)
        apart: dict[str, Any] = {name: given.pop(name) for name in _APART if name in given}
        request = SpeakRequest.of(text, settings=self.settings, **given)  # type: ignore[arg-type]  # checked by it
        return Asked(request=request, **apart)

    @contextmanager
    def _at_work(self, attempt: Attempt) -> Iterator[None]:
        """While an attempt is made, closing the studio calls it off and waits for its end."""
        with self._changed:
            self._require_open()
            self._making.append(attempt)
        try:
            yield
        finally:
            with self._changed:
                self._making.remove(attempt)
                self._changed.notify_all()

    def _require_open(self) -> None:
        if self._closed:
            raise Stopped("this studio is closed, with its ledger; open it again with voxledger.open()")

    def _begun(
        self,
        request: SpeakRequest,
        engine: str | None,
        channel: Channel | None,
        *,
        reuse: bool,
        priority: Priority | None = None,
        stop: threading.Event | None,
        streamed: bool = False,
    ) -> Attempt:
        """An attempt that is recorded, whatever becomes of it: also when it cannot even begin.

        A request that is refused before its engine was asked anything is no attempt, and is not recorded.
        """
        since = time.monotonic()
        try:
            return self._attempt(request, engine, channel, reuse=reuse, priority=priority, stop=stop, streamed=streamed)
        except (InvalidRequest, Stopped):
            raise
        except BaseException as error:
            name = engine or self.settings.synth.engine
            unbegun(self._around, request, name, channel or self._channel, since=since, error=error)
            raise

    def _attempt(
        self,
        request: SpeakRequest,
        engine: str | None,
        channel: Channel | None,
        *,
        reuse: bool = True,
        priority: Priority | None = None,
        stop: threading.Event | None = None,
        streamed: bool = False,
        around: Surroundings | None = None,
    ) -> Attempt:
        found = self.engine(engine)
        turns = self._loaded.turns_of(engine)
        assert turns is not None
        return Attempt(
            around or self._around,
            request,
            found,
            turns,
            channel or self._channel,
            reuse=reuse,
            priority=priority,
            stop=stop,
            streamed=streamed,
        )
