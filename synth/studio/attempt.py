"""An attempt: the way of one clip from a checked request to an acknowledged record, or to an error that leaves nothing behind."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import msgspec

from voxledger.catalog.clip import Access, Clip
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import Channel, ClipTagged, GenerationReused, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.interrupts import held_back
from voxledger.catalog.journal import Use
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.catalog.steps import OnStep, Step
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.engines.guarded import Guarded
from voxledger.synth.errors import GenerationTimeout, InvalidText, Stopped
from voxledger.synth.prosody import level_offset
from voxledger.synth.studio.answers import Answer, Answers
from voxledger.synth.studio.filing import Facts, Unbegun, ended, ending, failed, record, record_end, write
from voxledger.synth.studio.pieces import Piece, moods, overall, pieces
from voxledger.synth.studio.production import Made, Order, produce
from voxledger.synth.studio.recordings import Recordings
from voxledger.synth.studio.request import SpeakRequest
from voxledger.synth.studio.speaking import NOBODY, Listener, Speaker, Tally
from voxledger.synth.studio.speech_cache import SpeechCache
from voxledger.synth.studio.turns import Priority, Turns
from voxledger.synth.studio.watching import Watch, Watching
from voxledger.synth.text import Passage, parse

_LOOK = 0.02
"""Seconds between two looks at a clip that somebody else is making."""
_LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What all attempts of a studio share."""

    home: Home
    settings: Settings
    recorder: Recorder
    access: Access
    recordings: Recordings
    answers: Answers
    cache: SpeechCache
    on_recorded: Callable[[], None]
    on_step: OnStep


class Attempt:
    """One generation. It ends in a clip, or in an error that is recorded and leaves nothing behind."""

    def __init__(
        self,
        around: Surroundings,
        request: SpeakRequest,
        engine: Guarded,
        turns: Turns,
        channel: Channel,
        *,
        priority: Priority | None = None,
        streamed: bool = False,
        reuse: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        info = engine.describe()
        request = request.heeded_by(info)
        self._around = around
        self.request = request
        self._engine = engine
        self._turns = turns
        self._priority: Priority = priority or ("batch" if channel == "batch" else "interactive")
        self.stop = stop or threading.Event()
        self._passages: tuple[Passage, ...] = (
            parse(request.text)
            if request.marks
            else (Passage(text=request.text, start=0, end=len(request.text), emotion=None),)
        )
        if not self._passages:
            raise InvalidText("nothing is left to speak beside the emotion marks; write the words after them")
        self._moods = moods(self._passages, request.emotion, engine)
        emotion, effective = overall(self._passages, self._moods)
        self._voice, self._mood = around.recordings.of(request, info, [mood.emotion for mood in self._moods])
        vault = around.recorder.vault
        decisive = request.decisive(
            info,
            [mood.effective for mood in self._moods],
            around.settings,
            voice_sha256=self._voice.sha256 if self._voice else None,
            emotion_sha256=self._mood.sha256 if self._mood else None,
        )
        self.facts = Facts(
            request=request,
            info=info,
            language=request.spoken_language(),
            emotion=emotion,
            effective=effective,
            voice=self._voice.name if self._voice else request.voice,
            voice_sha256=self._voice.sha256 if self._voice else None,
            emotion_sha256=self._mood.sha256 if self._mood else None,
            seed=_seed(request, info.determinism, reuse=reuse),
            channel=channel,
            streamed=streamed,
            fingerprint=vault.keyed_hash(decisive, purpose="fingerprint"),
            actor=vault.actor(request.actor),
            clip_id=new_id(),
            event_id=new_id(),
            started=time.monotonic(),
        )
        self._tally = Tally()
        self.timing = ""
        """Where the sentences of an answer stand in its text and sound, as it was recorded; "" where that is not known."""
        self._claims = False
        self._settling = threading.Lock()
        self._settled: Literal["", "here", "abandoned"] = ""
        """Who records how this ends: the attempt itself, or whoever waited for it in vain."""

    @property
    def level_offset(self) -> float:
        """How far the clip's loudness is to depart from the usual (dB)."""
        return level_offset(self.facts.effective)

    @contextlib.contextmanager
    def claiming(self) -> Iterator[None]:
        """What is claimed in this block, and not made in it or handed on, is given up when the block raises."""
        try:
            yield
        except BaseException:
            with held_back():
                if self._claims:
                    self._claims = False
                    self._around.recorder.journal.give_up(self.facts.fingerprint)
            raise

    def answered_or_claimed(self) -> Clip | None:
        """The clip that is there already; or None, and then it is ours to make. Waits for whoever is making it now.

        Raises ConsentEnded, and Stopped and GenerationTimeout, which are recorded.
        """
        try:
            clip = self._answered_or_claimed()
        except (Stopped, GenerationTimeout) as error:
            self._record_end(error, NOBODY)
            raise
        if clip is not None:
            self._tell("reused", clip)
        return clip

    def _answered_or_claimed(self) -> Clip | None:
        journal = self._around.recorder.journal
        patience = self._around.settings.synth.wait
        deadline = self.facts.started + patience
        while True:
            if self.stop.is_set():
                raise Stopped
            clip = self._reused()
            if clip is not None:
                return clip
            with journal.transaction() as write:
                journal.settle_claims(write)
                found = write.fingerprint(self.facts.fingerprint)
                if found is not None and self._around.answers.stands(found):
                    continue  # made just now
                if found is None or found.answer is not None or found.abandoned:
                    self._claims = True
                    write.claim(self.facts.fingerprint, clip=self.facts.clip_id, actor=self.facts.actor.id)
                    return None
            if time.monotonic() > deadline:
                raise GenerationTimeout(
                    f"another caller has been making this clip for {patience:g} s; try again, or make a take of your own"
                    " with reuse=False"
                )
            self._wait(deadline)

    def _reused(self) -> Clip | None:
        """The clip that is there already, and the record of its use, which shares a commit with others that come now."""
        self.check()
        answer = self._around.answers.of(self.facts.fingerprint)
        if answer is None or not all(self._around.recorder.journal.emit_where_answered([self.use(answer)])):
            return None
        return self._given(answer)

    def check(self) -> None:
        """Raises ConsentEnded where a voice may not be used any more."""
        self._around.recordings.check(self._voice, self._mood)

    def reused(self, answer: Answer) -> Clip:
        """The clip that answers, once its use is recorded."""
        clip = self._given(answer)
        self._tell("reused", clip)
        return clip

    def _given(self, answer: Answer) -> Clip:
        self.timing, clip = answer.timing, answer.clip
        tags = tuple(sorted({*clip.tags, *self.request.tags}))
        return msgspec.structs.replace(clip, reused=True, tags=tags).bound(self._around.access)

    def _wait(self, deadline: float) -> None:
        """While somebody makes the clip, only look: writing would hold up whoever makes it."""
        while True:
            time.sleep(_LOOK)
            found = self._around.recorder.journal.fingerprint(self.facts.fingerprint)
            in_the_making = found is not None and found.answer is None and not found.abandoned
            if not in_the_making or self.stop.is_set() or time.monotonic() > deadline:
                return

    def run(self, *, answers: bool, listener: Listener = NOBODY) -> Clip:
        """Make the clip and record it; a failure is recorded too, and the claim given up.

        `answers`: the clip is to answer the fingerprint. Raises Stopped when the attempt's `stop` was set.
        """
        clip: Clip | None = None
        made: Made | None = None
        try:
            if self._around.cache.lacks_room():
                self._around.cache.sweep()
            self._around.home.require_room(self._around.settings.general.min_free_disk)
            made = self.made(listener)
            self._tally.stage = "storage"
            self._require_ours()
            with held_back():
                clip = write(made, self.facts, self._around.home, self._around.settings).bound(self._around.access)
                record(
                    clip, made, self.facts, self._around.recorder, answer=answers,
                    store_text=self._around.settings.general.store_text,
                )  # fmt: skip
                self._claims = False
                self._around.on_recorded()
        except BaseException as error:
            # An interrupt may come after the commit: then the clip is acknowledged, and its file stays.
            with held_back():
                if not self._is_recorded():
                    if clip is not None and clip.path is not None:
                        clip.path.unlink(missing_ok=True)
                    self._give_up(error, listener, answers=answers)
            raise
        finally:
            if made is not None:
                made.discard()
        self._tell("completed", clip)
        return clip

    def made(self, listener: Listener = NOBODY) -> Made:
        """The finished file, not recorded and in no place yet; `discard` it, or put it somewhere."""
        request, facts, settings = self.request, self.facts, self._around.settings.synth
        asked = SynthesisRequest(
            text=request.text,
            language=facts.language,
            voice=None if self._voice else request.voice,
            voice_audio=self._voice.path if self._voice else None,
            emotion=request.emotion,
            emotion_audio=self._mood.path if self._mood else None,
            emotion_words=request.emotion_words,
            seed=facts.seed,
            sampling=request.sampling,
        )
        speaker = Speaker(
            engine=self._engine,
            info=facts.info,
            turns=self._turns,
            cache=self._around.cache,
            keyed=lambda said: self._around.recorder.vault.keyed_hash(said, purpose="speech"),
            asked=asked,
            actor=facts.actor.id,
            priority=self._priority,
            patience=settings.queue_wait,
            retries=settings.retries,
            allowed=lambda: self._around.recordings.check(self._voice, self._mood),
            clip=facts.clip_id,
            on_step=self._around.on_step,
        )
        order = Order(
            text="\n".join(passage.text for passage in self._passages),
            language=facts.language,
            speed=request.speed,
            audio_format=request.format,
            effective=facts.effective,
            settings=settings,
            folder=self._around.home.cache,
        )
        return produce(speaker, self._pieces(), order, self._tally, stop=self.stop, listener=listener)

    def watched_by(self, watch: Watch) -> Listener:
        """The listener that tells `watch` how far this attempt has come."""
        return Watching(watch, sum(1 for _ in self._pieces()))

    def _pieces(self) -> Iterator[Piece]:
        return pieces(self._passages, self._moods, speed=self.request.speed)

    def _is_recorded(self) -> bool:
        """Whether the clip was acknowledged; when that cannot be told, its file is better kept."""
        try:
            return self._around.recorder.journal.knows(self.facts.event_id)
        except VoxledgerError:
            return True

    def _give_up(self, error: BaseException, listener: Listener, *, answers: bool) -> None:
        """The claim first: where there is no room for the event, the next caller must not wait for us."""
        if answers:
            self._claims = False
            self._around.recorder.journal.give_up(self.facts.fingerprint)
        self._record_end(error, listener)

    def abandon(self) -> None:
        """Record that this was called off although it goes on, in an engine that does not answer: nobody waits any longer.

        What becomes of it later is recorded nowhere. Idempotent.
        """
        if self._settle("abandoned"):
            self._around.recorder.journal.give_up(self.facts.fingerprint)
            self._record(Stopped(), NOBODY)

    def _settle(self, by: Literal["here", "abandoned"]) -> bool:
        """Whether the end of this is recorded by the one who asks: by whoever asked first."""
        with self._settling:
            first = not self._settled
            self._settled = self._settled or by
            return first if by == "abandoned" else self._settled == by

    def _require_ours(self) -> None:
        if not self._settle("here"):
            raise Stopped

    def _record_end(self, error: BaseException, listener: Listener) -> None:
        if self._settle("here"):
            self._record(error, listener)

    def _record(self, error: BaseException, listener: Listener) -> None:
        recorder, facts = self._around.recorder, self.facts
        fact = ending(error, facts, self._tally, delivered_us=listener.delivered_us(failed=failed(error)))
        record_end(fact, recorder, subject=facts.clip_id, actor=facts.actor)
        self._around.on_step(ended(fact))

    def _tell(self, outcome: str, clip: Clip) -> None:
        self._around.on_step(
            Step(
                name="generation", seconds=time.monotonic() - self.facts.started, outcome=outcome, engine=clip.engine,
                format=clip.format, clip=clip.id, amount=clip.duration_us,
            )
        )  # fmt: skip

    def use(self, answer: Answer) -> Use:
        """What is to be recorded of a clip's use: that, and the request's tags on it; its session and name stay as they are."""
        facts, draft, clip = self.facts, self._around.recorder.draft, answer.clip
        fact = GenerationReused(
            channel=facts.channel,
            features=self.request.features(),
            engine=facts.info.name,
            language=facts.language,
            emotion=clip.emotion,
            text_length=len(self.request.text),
            duration_us=clip.duration_us,
            saved_us=answer.saved_us,
            actor_label=self.request.actor,
        )
        tags = [ClipTagged(tag=tag) for tag in self.request.tags if tag not in clip.tags]
        drafts = [draft(each, subject=clip.id, actor=facts.actor) for each in (fact, *tags)]
        return Use(fingerprint=facts.fingerprint, known=answer.known, drafts=drafts)


def unbegun(
    around: Surroundings, request: SpeakRequest, engine: str, channel: Channel, *, since: float, error: BaseException
) -> None:
    """Record an attempt that could not begin, because its engine could not be loaded or described, or its recording not be
    had, or because it was interrupted meanwhile. `since` is on the monotonic clock.
    """
    about = Unbegun(request=request, engine=engine, channel=channel, started=since)
    with held_back(), contextlib.suppress(VoxledgerError):
        fact = ending(error, about, Tally(stage="load"))
        record_end(fact, around.recorder, subject=new_id(), actor=around.recorder.vault.actor(request.actor))
        around.on_step(ended(fact))


def _seed(request: SpeakRequest, determinism: str, *, reuse: bool) -> int | None:
    """The seed that is used, so that the record can repeat the clip. Without one asked for, the take decides; without reuse, chance."""
    if request.seed is not None or determinism != "seeded":
        return request.seed
    return request.take if reuse else secrets.randbelow(_LARGEST_SEED)
