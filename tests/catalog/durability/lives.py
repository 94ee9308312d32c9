"""What the processes of these tests do until somebody ends them. They say what was acknowledged, each word as soon as it is true."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import logging
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import msgspec

from tests.building import Parts, completed
from tests.catalog.durability.judging import fingerprint, identity
from voxledger.catalog import LogCorrupt, VoxledgerError, platform
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
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
    GenerationFailed,
    GenerationReused,
    HoldPlaced,
    HoldReleased,
    PurgeStarted,
    now,
)
from voxledger.catalog.log import sealing, verify, writer

Say = Callable[..., None]


def small(seal: int, batch: int) -> None:
    """Segments and batches so small that a short life has many."""
    sealing.SEAL, writer.BATCH = seal, batch


class Speaker:
    """Emits calls of one to three numbered events about a few clips: anything that can happen to them, in any order."""

    def __init__(self, parts: Parts, say: Say, life: int) -> None:
        self._parts, self._say, self._life = parts, say, life
        self._draw = random.Random(life)
        self._clips: list[str] = []
        self._drafts: list[Draft] = []
        self.number = 0

    def speak(self) -> None:
        """One call; one that failed is repeated. `tried` tells its last number, `told` each event once it is acknowledged."""
        if not self._drafts:
            self._drafts = [self._next() for _ in range(self._draw.randint(1, 3))]
            self._say("tried", self._life, self.number)
        begun = time.monotonic()
        events = self._parts.journal.emit(*self._drafts)
        self._say("took", f"{time.monotonic() - begun:.4f}")
        for event in events:
            self._say("told", self._life, event.position, event.id)
        self._drafts = []

    def _next(self) -> Draft:
        self.number += 1
        event = identity(self._life, self.number)
        fact: Fact | None = self._draw.choice(_facts(self._draw)) if self._clips else None
        if fact is None:
            self._clips.append(event)
            fact = completed(tags=tuple(self._draw.sample("abc", 2)))
        parts, subject = self._parts, self._draw.choice(self._clips[-5:])
        return parts.recorder.draft(
            fact,
            subject=event if event in self._clips else subject,
            actor=parts.vault.actor(self._draw.choice(["ann", "bob"])),
            event_id=event,
        )


def _facts(draw: random.Random) -> list[Fact | None]:
    tag, hold = draw.choice("abc"), draw.choice(["h1", "h2"])
    return [
        None,
        None,
        ClipTagged(tag=tag),
        ClipUntagged(tag=tag),
        ClipPinned(reason=draw.choice([None, "good"])),
        ClipUnpinned(),
        ClipRated(rating=draw.randint(1, 5)),
        HoldPlaced(hold=hold, kind="ordinary", until=None, review=None, reason="why"),
        HoldReleased(hold=hold, kind="ordinary", reason=None),
        AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"),
        AudioAccessed(channel="cli", purpose="play"),
        ClipMarked(plan="p", rule="r", delete_after=now()),
        ClipUnmarked(plan="p", reason="used"),
        PurgeStarted(plan="p", rule="r", bucket="b"),
        ClipPurged(plan="p", rule="r", bucket="b", bytes=1),
        ClipRestored(bucket="b", source="backup", plan=None, bytes=1, key="k"),
        GenerationReused(channel="cli", features=(), engine="espeak", language="en", emotion="happy", text_length=3,
                         duration_us=5, saved_us=7, actor_label="ann"),
        GenerationFailed(channel="cli", engine="espeak", language=None, failure="timeout", stage="engine", emotion="sad",
                         text_length=3, elapsed_us=9, actor_label="bob"),
    ]  # fmt: skip


def all_steps(home: Path, say: Say, /, *, life: int, rounds: int, rebuild: bool) -> None:
    """Emits, drains, seals, prunes and, if asked to, rebuilds, each of them in every round, and ends by itself."""
    small(seal=8, batch=9)
    parts = Parts(home)
    speaker = Speaker(parts, say, life)
    for _ in range(rounds):
        for call in range(8):
            speaker.speak()
            if call % 4 == 3:
                parts.keeper.drain()
        if rebuild:
            parts.keeper.rebuild()
    parts.close()


def backlog(home: Path, say: Say, /, *, life: int, first: int, then: int) -> None:
    """Drains some events and closes; then drains more in many small batches."""
    parts = Parts(home)
    speaker = Speaker(parts, say, life)
    while speaker.number < first:
        speaker.speak()
    parts.keeper.drain()
    small(seal=10_000, batch=7)
    while speaker.number < first + then:
        speaker.speak()
    parts.keeper.drain()
    parts.close()


def cramped(home: Path, say: Say, /, *, step: str, how: str, rooms: list[int]) -> None:
    """Does a step where there is too little room for it, and again where there is enough; once for each of `rooms`."""
    small(seal=8, batch=20)
    parts = Parts(home)
    speaker = Speaker(parts, say, 1)
    steps: dict[str, Callable[[], object]] = {
        "emit": lambda: [speaker.speak() for _ in range(20)],
        "drain": parts.keeper.drain,
        "rebuild": parts.keeper.rebuild,
    }
    for room in rooms:
        for _ in range(10):
            speaker.speak()
        with _limited(room) if how == "limit" else _filled(home / "segments", room):
            for _ in range(2):
                try:
                    steps[step]()
                    say("went", room)
                except VoxledgerError as error:
                    say("refused", room, type(error).__name__, error)
        steps[step]()
    parts.keeper.drain()
    parts.close()


@contextlib.contextmanager
def _limited(size: int) -> Iterator[None]:
    """No file may grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def _filled(folder: Path, room: int) -> Iterator[None]:
    """The disk under a folder has only so much room left."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while (left := platform.free_disk(folder) - room) > 0:
            file.write(bytes(min(left, 1 << 20)))
    try:
        yield
    finally:
        filler.unlink()


def look(home: Path, say: Say, /) -> None:
    """Opens HOME as anybody would, and tells what it finds, as JSON."""
    told = Told()
    parts = Parts(home)
    for again in (True, True, False):
        try:
            tables, verdict = fingerprint(parts.keeper), verify.verify(parts.keeper)
            break
        except LogCorrupt as error:
            told.words.append(str(error))
            if not (again and "ask again" in str(error)):
                raise
    findings = [msgspec.to_builtins(found) for found in verdict.findings]
    say("found", json.dumps({"tables": tables, "findings": findings, "told": told.words, "events": verdict.events}))
    parts.close()


def raw(home: Path, say: Say, /) -> None:
    """What is in the two files as DuckDB alone sees them, every row of every table: a hash, or what DuckDB says."""
    found: dict[str, str] = {}
    for name in ("log", "catalog"):
        hashed = hashlib.sha256()
        try:
            with duckdb.connect(str(home / f"{name}.duckdb")) as connection:
                tables = "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL"
                for schema, table in connection.execute(tables).fetchall():
                    rows = connection.sql(f"FROM {schema}.{table} ORDER BY ALL").to_arrow_table().to_pylist()
                    hashed.update(repr((table, rows)).encode())
            found[name] = hashed.hexdigest()
        except duckdb.Error as error:
            found[name] = str(error)
    say("found", json.dumps(found))


class Told(logging.Handler):
    """Keeps what is said at the level of a warning or above."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.words: list[str] = []
        logging.getLogger("voxledger").addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        words = record.getMessage()
        if "was copied or moved here" not in words:  # that is right, and not what these tests are about
            self.words.append(words)


def write(home: Path, say: Say, /, *, life: int, pause: float) -> None:
    """Emits for ever, with pauses of so many seconds at most, so that it does not outrun who drains."""
    parts, draw = Parts(home), random.Random(life)
    speaker = Speaker(parts, say, life)
    while True:
        speaker.speak()
        time.sleep(draw.random() * pause)


def pour(home: Path, say: Say, /, *, life: int, events: int, at_once: int) -> None:
    """Emits so many small events, so many with a call, and ends."""
    parts = Parts(home)
    actor, clip, number = parts.vault.actor("ann"), identity(life, 0), 0
    while number < events:
        drafts = []
        for _ in range(min(at_once, events - number)):
            number += 1
            fact = completed() if number == 1 else ClipRated(rating=1 + number % 5)
            event = identity(life, number)
            drafts.append(parts.recorder.draft(fact, subject=clip, actor=actor, event_id=event))
        say("tried", life, number)
        parts.journal.emit(*drafts)
        say("poured", life, number)
    parts.close()


def fill(home: Path, say: Say, /, *, size: int) -> None:
    """Emits full events, and some that are large, until the journal has this size (bytes)."""
    parts, draw = Parts(home), random.Random(size)
    actor, number = parts.vault.actor("ann"), 0
    while (home / "journal.sqlite").stat().st_size < size:
        drafts = []
        for _ in range(1000):
            number += 1
            event = identity(1, number)
            text = draw.randbytes(50_000).hex() if number % 100 == 0 else f"The tide turned {number} times."
            drafts.append(parts.recorder.draft(completed(text=text), subject=event, actor=actor, event_id=event))
        parts.journal.emit(*drafts)
    say("filled", number)
    parts.close()


def drain_all(home: Path, say: Say, /) -> None:
    """Drains what is there, and says how much memory that took (bytes)."""
    parts = Parts(home)
    position = parts.keeper.drain()
    say("drained", position, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    parts.close()


def ask(home: Path, say: Say, /, *, until: int, patience: float) -> None:
    """Asks again and again how much there is, until there is enough, and how long each answer took."""
    parts = Parts(home)
    position = 0
    while position < until:
        begun = time.monotonic()
        with parts.keeper.reading(patience=patience) as reading:
            found = [  # one by one: they are all of one moment
                reading.tuples(f"SELECT {query}")[0][0] or 0
                for query in (
                    "count(*) FROM events",
                    "max(position) FROM events",
                    "count(*) FROM ratings",
                    "sum(ratings)::BIGINT FROM clips",
                    "position FROM projections",
                )
            ]
        say("asked", f"{time.monotonic() - begun:.4f}", *found)
        position = found[1]
    parts.close()


def serve(home: Path, say: Say, /) -> None:
    """Keeps the files open and answers, for ever."""
    parts = Parts(home)
    with parts.keeper.serving():
        say("serving")
        while True:
            time.sleep(1)


def keep(home: Path, say: Say, /, *, seal: int, batch: int, rebuild: int) -> None:
    """Drains whatever comes, for ever, and rebuilds after every so many drains."""
    small(seal, batch)
    parts = Parts(home)
    for turn in itertools.count(1):
        position = parts.keeper.drain()
        if turn % rebuild == 0:
            parts.keeper.rebuild()
        say("kept", position)
        while parts.journal.head() == position:
            time.sleep(0.001)
