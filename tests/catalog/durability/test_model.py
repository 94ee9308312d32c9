"""Any history, told to the real thing and to a plain model in Python: the tables say the same, now and about every moment of the past."""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.building import Parts, completed
from tests.soak import count, told_of_soak
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    AudioUploadFailed,
    CacheEvicted,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipRated,
    ClipRestored,
    ClipTagged,
    ClipUnmarked,
    ClipUnpinned,
    ClipUntagged,
    Draft,
    Fact,
    GenerationReused,
    HoldPlaced,
    HoldReleased,
    ObjectMissing,
    ObjectVerified,
    PurgeFailed,
    PurgeStarted,
    new_id,
    now,
)
from voxledger.catalog.log import sealing, writer
from voxledger.catalog.log.verify import verify

Clip = dict[str, Any]
COLUMNS = (
    "id", "tags", "pinned", "pin_reason", "rating", "ratings", "plays", "reuses", "last_used", "cached", "stored", "upload_failure",
    "verified", "missing", "mark_plan", "mark_rule", "delete_after", "purge_started", "purged", "restored", "holds", "legal_holds",
    "held_until", "held", "state",
)  # fmt: skip
QUERY = f"SELECT {', '.join(COLUMNS)} FROM {{relation}} ORDER BY position"


def born(clip: str, time: datetime, tags: tuple[str, ...]) -> Clip:
    """A clip as it begins."""
    return {
        "id": clip, "tags": set(tags), "pinned": False, "pin_reason": None, "rating": None, "ratings": 0, "plays": 0, "reuses": 0,
        "last_used": time, "cached": True, "stored": None, "upload_failure": None, "verified": None, "missing": None,
        "mark_plan": None, "mark_rule": None, "delete_after": None, "purge_started": None, "purged": None, "restored": None,
        "held_by": {},
    }  # fmt: skip


def happened(clip: Clip, fact: Any, time: datetime) -> None:
    """What an event makes of a clip."""
    match fact:
        case ClipTagged():
            clip["tags"].add(fact.tag)
        case ClipUntagged():
            clip["tags"].discard(fact.tag)
        case ClipPinned():
            clip |= {"pinned": True, "pin_reason": fact.reason}
        case ClipUnpinned():
            clip |= {"pinned": False, "pin_reason": None}
        case ClipRated():
            clip |= {"rating": fact.rating, "ratings": clip["ratings"] + 1}
        case HoldPlaced():
            clip["held_by"][fact.hold] = (fact.kind, fact.until)
        case HoldReleased():
            clip["held_by"].pop(fact.hold, None)
        case AudioAccessed():
            clip |= {"plays": clip["plays"] + 1, "last_used": max(clip["last_used"], time)}
        case GenerationReused():
            clip |= {"reuses": clip["reuses"] + 1, "last_used": max(clip["last_used"], time)}
        case CacheEvicted():
            clip["cached"] = False
        case AudioStored():
            clip |= {"stored": time, "upload_failure": None, "missing": None}
        case AudioUploadFailed():
            clip["upload_failure"] = fact.failure
        case ObjectVerified():
            clip |= {"verified": time, "missing": None}
        case ObjectMissing():
            clip["missing"] = time
        case ClipMarked():
            clip |= {"mark_plan": fact.plan, "mark_rule": fact.rule, "delete_after": fact.delete_after}
        case ClipUnmarked():
            clip |= {"mark_plan": None, "mark_rule": None, "delete_after": None}
        case PurgeStarted():
            clip |= {"mark_plan": fact.plan, "mark_rule": fact.rule, "purge_started": clip["purge_started"] or time}
        case ClipPurged():
            clip |= {"mark_plan": fact.plan, "mark_rule": fact.rule, "purged": clip["purged"] or time}
            clip |= {"cached": False, "missing": None}
        case ClipRestored():
            clip |= {"mark_plan": None, "mark_rule": None, "delete_after": None, "purge_started": None, "purged": None}
            clip |= {"restored": time, "cached": clip["cached"] or fact.source == "cache"}
            if fact.source != "grace":
                clip |= {"stored": time, "upload_failure": None, "missing": None}


def seen(clip: Clip, moment: datetime) -> Clip:
    """A clip as people see it at a moment."""
    row = {name: value for name, value in clip.items() if name != "held_by"} | {"tags": sorted(clip["tags"])}
    holds = list(clip["held_by"].values())
    ends = [until for _, until in holds]
    row["holds"] = len(holds)
    row["legal_holds"] = sum(kind == "legal" for kind, _ in holds)
    row["held_until"] = max(ends) if ends and None not in ends else None
    row["held"] = any(kind == "legal" or until is None or until > moment for kind, until in holds)
    signs = {
        "purged": "purged", "purging": "purge_started", "marked": "delete_after", "missing": "missing", "stored": "stored",
        "upload failed": "upload_failure",
    }  # fmt: skip
    row["state"] = next((state for state, sign in signs.items() if clip[sign] is not None), "local")
    return row


hours = st.sampled_from([0, 0, -5, -1])
tags = st.sampled_from("abc")
plans = st.sampled_from("pq")
holds = st.sampled_from(["h1", "h2"])
kinds = st.sampled_from(["ordinary", "legal"])
clips = st.integers(0, 99)


class Histories(RuleBasedStateMachine):
    """Emit, drain, ask, ask about the past, rebuild, seal, prune, close and open again, in any order."""

    steps = events = looks = 0
    """Of all histories together."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="voxledger-model-"))
        self.before = (sealing.SEAL, writer.BATCH)
        sealing.SEAL = 15
        self.clips: dict[str, Clip] = {}
        self.waiting: dict[str, list[tuple[Fact, datetime]]] = {}
        self.remembered: dict[int, list[Clip]] = {}
        self.last: Draft | None = None
        self.attempts = self.plays = 0

    def open(self, serving: bool) -> None:
        """Open HOME, as a process that keeps its files open or as one that does not."""
        self.opened = contextlib.ExitStack()
        self.parts = Parts(self.folder)
        self.opened.callback(self.parts.close)
        if serving:
            self.opened.enter_context(self.parts.keeper.serving())

    def teardown(self) -> None:
        try:
            self.check()
            assert verify(self.parts.keeper).intact
        finally:
            self.opened.close()
            sealing.SEAL, writer.BATCH = self.before
            shutil.rmtree(self.folder)

    @invariant()
    def one_more_step(self) -> None:
        Histories.steps += 1

    def emit(self, fact: Fact, subject: str, hour: int, actor: str = "ann") -> datetime:
        when = now() + timedelta(hours=hour)
        key = self.parts.vault.actor(actor)
        self.last = self.parts.recorder.draft(fact, subject=subject, actor=key, time=when)
        self.parts.journal.emit(self.last)
        Histories.events += 1
        return when

    def say(self, fact: Fact, which: int, hour: int) -> None:
        """Something happens to a clip, perhaps to one that is not made yet."""
        known = [*self.clips, *self.waiting]
        subject = known[which % len(known)]
        when = self.emit(fact, subject, hour)
        self.plays += isinstance(fact, AudioAccessed)
        self.attempts += isinstance(fact, GenerationReused)
        if subject in self.waiting:
            self.waiting[subject].append((fact, when))
        else:
            happened(self.clips[subject], fact, when)

    @initialize(batch=st.sampled_from([20_000, 4]), serving=st.sampled_from([True, True, False]))
    def begin(self, batch: int, serving: bool) -> None:
        writer.BATCH = batch
        self.open(serving)
        self.waiting[new_id()] = []
        self.make(("a",), 0, False)

    @rule(tags=st.sets(tags), hour=hours, foretold=st.booleans())
    def make(self, tags: Any, hour: int, foretold: bool) -> None:
        clip = next(iter(self.waiting)) if foretold else new_id()
        if foretold:
            self.waiting[new_id()] = []
        when = self.emit(completed(tags=tuple(tags)), clip, hour)
        self.attempts += 1
        self.clips[clip] = born(clip, when, tuple(tags))
        for fact, earlier in self.waiting.pop(clip, []):
            happened(self.clips[clip], fact, earlier)

    @rule(tag=tags, which=clips)
    def tag(self, tag: str, which: int) -> None:
        self.say(ClipTagged(tag=tag), which, 0)

    @rule(tag=tags, which=clips)
    def untag(self, tag: str, which: int) -> None:
        self.say(ClipUntagged(tag=tag), which, 0)

    @rule(reason=st.sampled_from([None, "good"]), which=clips)
    def pin(self, reason: str | None, which: int) -> None:
        self.say(ClipPinned(reason=reason), which, 0)

    @rule(which=clips)
    def unpin(self, which: int) -> None:
        self.say(ClipUnpinned(), which, 0)

    @rule(rating=st.integers(1, 5), which=clips)
    def rate(self, rating: int, which: int) -> None:
        self.say(ClipRated(rating=rating), which, 0)

    @rule(hold=holds, kind=kinds, days=st.sampled_from([None, -1, 1]), which=clips)
    def hold(self, hold: str, kind: Any, days: int | None, which: int) -> None:
        end = None if days is None or kind == "legal" else now() + timedelta(days=days)
        self.say(HoldPlaced(hold=hold, kind=kind, until=end, review=None, reason="why"), which, 0)

    @rule(hold=holds, kind=kinds, which=clips)
    def release(self, hold: str, kind: Any, which: int) -> None:
        self.say(HoldReleased(hold=hold, kind=kind, reason=None), which, 0)

    @rule(plan=plans, which=clips, hour=hours)
    def mark(self, plan: str, which: int, hour: int) -> None:
        end = now() + timedelta(days=1)
        self.say(ClipMarked(plan=plan, rule=f"rule of {plan}", delete_after=end), which, hour)

    @rule(plan=plans, which=clips, hour=hours)
    def unmark(self, plan: str, which: int, hour: int) -> None:
        self.say(ClipUnmarked(plan=plan, reason="undone"), which, hour)

    @rule(plan=plans, step=st.sampled_from(["start", "fail", "end"]), which=clips, hour=hours)
    def purge(self, plan: str, step: str, which: int, hour: int) -> None:
        steps: dict[str, Fact] = {
            "start": PurgeStarted(plan=plan, rule="r", bucket="b"),
            "fail": PurgeFailed(plan=plan, bucket="b", failure="AccessDenied"),
            "end": ClipPurged(plan=plan, rule="r", bucket="b", bytes=1),
        }
        self.say(steps[step], which, hour)

    @rule(source=st.sampled_from(["grace", "backup", "cache"]), which=clips, hour=hours)
    def restore(self, source: Any, which: int, hour: int) -> None:
        self.say(ClipRestored(bucket="b", source=source, plan=None, bytes=1, key="k"), which, hour)

    @rule(which=clips, hour=hours)
    def play(self, which: int, hour: int) -> None:
        self.say(AudioAccessed(channel="cli", purpose="play"), which, hour)

    @rule(which=clips, hour=hours)
    def reuse(self, which: int, hour: int) -> None:
        reused = GenerationReused(
            channel="cli", features=(), engine="espeak", language="en", emotion="happy", text_length=3, duration_us=5,
            saved_us=7, actor_label="ann",
        )  # fmt: skip
        self.say(reused, which, hour)

    @rule(
        what=st.sampled_from(["stored", "refused", "evicted", "verified", "missing"]),
        which=clips,
        hour=hours,
    )
    def store(self, what: str, which: int, hour: int) -> None:
        facts: dict[str, Fact] = {
            "stored": AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"),
            "refused": AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=3, key="k"),
            "evicted": CacheEvicted(bytes=1, last_used=now(), path="p"),
            "verified": ObjectVerified(bucket="b", method="head", bytes=1, etag="e", key="k"),
            "missing": ObjectMissing(bucket="b", state="absent", bytes=1, found_bytes=None, found_etag=None, key="k"),
        }
        self.say(facts[what], which, hour)

    @rule()
    def repeat(self) -> None:
        """Somebody who was not sure sends the newest event again."""
        head = self.parts.journal.head()
        assert self.last is not None
        assert self.parts.journal.emit(self.last)[0].position == head == self.parts.journal.head()

    @rule(how=st.sampled_from(["drain", "drain", "rebuild", "reopen"]), serving=st.booleans())
    def settle(self, how: str, serving: bool) -> None:
        if how == "drain":
            self.parts.keeper.drain()
        elif how == "rebuild":
            self.parts.keeper.rebuild()
        else:
            self.opened.close()
            self.open(serving)

    @rule()
    def check(self) -> None:
        with self.parts.keeper.reading() as reading:
            moment = now()
            assert reading.rows(QUERY.format(relation="clips")) == self.rows(self.clips.values(), moment)
            attempts = reading.tuples("SELECT (SELECT count(*) FROM generations), (SELECT count(*) FROM plays)")
            assert attempts == [(self.attempts, self.plays)]
        self.remembered[self.parts.journal.head()] = copy.deepcopy(list(self.clips.values()))

    @precondition(lambda self: self.remembered)
    @rule(which=clips, by_time=st.booleans())
    def look_back(self, which: int, by_time: bool) -> None:
        """The past at a position that was looked at when it was the present."""
        position = list(self.remembered)[which % len(self.remembered)]
        with self.parts.keeper.reading() as reading:
            (recorded, following) = reading.tuples(
                "SELECT max(recorded) FILTER (position = $position), min(recorded) FILTER (position > $position) FROM events",
                {"position": position},
            )[0]
            if not by_time or recorded == following:  # then its moment ends with a later event
                found = reading.rows(QUERY.format(relation=f"clips_at({position})"))
                assert found == self.rows(self.remembered[position], now())
                return
        with self.parts.keeper.reading(as_of=recorded) as reading:
            found = reading.rows(QUERY.format(relation="clips"))
            assert found == self.rows(self.remembered[position], recorded)

    def rows(self, clips: Any, moment: datetime) -> list[Clip]:
        Histories.looks += 1
        return [{name: seen(clip, moment)[name] for name in COLUMNS} for clip in clips]


def test_the_tables_say_what_a_plain_model_says() -> None:
    begun = time.monotonic()
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=count(270),
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
    assert Histories.steps >= count(10_000)
    told_of_soak(
        "histories against a model", steps=Histories.steps, events=Histories.events, looks=Histories.looks,
        seconds=time.monotonic() - begun,
    )  # fmt: skip
