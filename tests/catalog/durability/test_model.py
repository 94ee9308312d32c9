"""Any history, told to the real thing and to a plain model in Python: the tables say the same, now and about every moment of the past."""

from __future__ import annotations

import contextlib
import copy
import shutil
import tempfile
import time
from collections.abc import Callable
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
from tests.soak import FULL, told_of_soak
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


def born(clip: str, time: datetime, tags: str) -> Clip:
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


def _purge(variant: int) -> dict[str, str]:
    return {"plan": "pqr"[variant], "rule": "r", "bucket": "b"}


def _days(variant: int) -> datetime:
    return now() + timedelta(days=(-1, 1, 2)[variant])


FACTS: dict[str, Callable[[int], Fact]] = {
    "tag": lambda variant: ClipTagged(tag="abc"[variant]),
    "untag": lambda variant: ClipUntagged(tag="abc"[variant]),
    "pin": lambda variant: ClipPinned(reason=(None, "good", "better")[variant]),
    "unpin": lambda _: ClipUnpinned(),
    "rate": lambda variant: ClipRated(rating=1 + 2 * variant),
    "hold": lambda variant: HoldPlaced(hold="h1", kind="ordinary", until=_days(variant), review=None, reason="why"),
    "hold for ever": lambda variant: HoldPlaced(hold="h2", kind="ordinary", until=None, review=None, reason="why"),
    "hold by law": lambda _: HoldPlaced(hold="h3", kind="legal", until=None, review=now(), reason="why"),
    "release": lambda variant: HoldReleased(hold=("h1", "h2", "h3")[variant], kind="ordinary", reason=None),
    "mark": lambda variant: ClipMarked(plan="pqr"[variant], rule="r", delete_after=_days(variant)),
    "unmark": lambda _: ClipUnmarked(plan="p", reason="undone"),
    "start of a purge": lambda variant: PurgeStarted(**_purge(variant)),
    "failure of a purge": lambda _: PurgeFailed(plan="p", bucket="b", failure="AccessDenied"),
    "end of a purge": lambda variant: ClipPurged(**_purge(variant), bytes=1),
    "restore": lambda variant: ClipRestored(
        bucket="b", source=("grace", "backup", "cache")[variant], plan=None, bytes=1, key="k"
    ),
    "play": lambda _: AudioAccessed(channel="cli", purpose="play"),
    "reuse": lambda _: GenerationReused(
        channel="cli", features=(), engine="espeak", language="en", emotion="happy", text_length=3, duration_us=5,
        saved_us=7, actor_label="ann",
    ),
    "store": lambda _: AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"),
    "refuse": lambda variant: AudioUploadFailed(bucket="b", failure=("Full", "Denied", "No")[variant], attempts=3, key="k"),
    "evict": lambda _: CacheEvicted(bytes=1, last_used=now(), path="p"),
    "see": lambda _: ObjectVerified(bucket="b", method="head", bytes=1, etag="e", key="k"),
    "miss": lambda _: ObjectMissing(bucket="b", state="absent", bytes=1, found_bytes=None, found_etag=None, key="k"),
}  # fmt: skip
"""What can happen to a clip, each in three variants."""

hours = st.sampled_from([0, 0, -5, -1])
happenings = st.lists(
    st.tuples(st.sampled_from(sorted(FACTS)), st.integers(0, 3), st.integers(0, 2), hours), min_size=1, max_size=6
)
"""What happens to which clip in which variant, and how many hours late it is told."""


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
        """Something happens to one of the newest clips, perhaps to one that is not made yet."""
        known = [*self.waiting, *reversed(self.clips)]
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
        self.make("a", 0, False)

    @rule(tags=st.sampled_from(["", "a", "abc"]), hour=hours, foretold=st.booleans())
    def make(self, tags: str, hour: int, foretold: bool) -> None:
        clip = next(iter(self.waiting)) if foretold else new_id()
        if foretold:
            self.waiting[new_id()] = []
        when = self.emit(completed(tags=tuple(tags)), clip, hour)
        self.attempts += 1
        self.clips[clip] = born(clip, when, tags)
        for fact, earlier in self.waiting.pop(clip, []):
            happened(self.clips[clip], fact, earlier)

    @rule(happenings=happenings)
    def happen(self, happenings: list[tuple[str, int, int, int]]) -> None:
        for name, which, variant, hour in happenings:
            self.say(FACTS[name](variant), which, hour)

    @rule(happenings=happenings)
    def happen_too(self, happenings: list[tuple[str, int, int, int]]) -> None:
        """The same, so that it comes about twice as often as each of the others."""
        self.happen(happenings)

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
    @rule(which=st.integers(0, 20), by_time=st.booleans())
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
            max_examples=100 if FULL else 5,
            stateful_step_count=50,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # to make a history that failed small takes minutes: add Phase.shrink then
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
    )
    steps = Histories.steps + Histories.events  # an event is a step, and so is everything else that is done
    assert steps >= (6_000 if FULL else 300)
    told_of_soak(
        "histories against a model", steps=steps, events=Histories.events, looks=Histories.looks,
        seconds=time.monotonic() - begun,
    )  # fmt: skip
