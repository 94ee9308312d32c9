"""A HOME with clips of any age, a folder that answers like a store, and retention over both."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from voxledger.catalog.errors import StoreUnavailable
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    ClipPinned,
    ClipTagged,
    Fact,
    GenerationCompleted,
    decode,
    new_id,
)
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.deleting import Answer
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule, Prices, Settings
from voxledger.catalog.settings import Retention as Section
from voxledger.catalog.vault import Vault

BUCKET = "indextts-audio"
DAY = timedelta(days=1)
ALL_CLIPS = ExpireRule(name="all", keep_for=5 * 86400, match="all")
_numbers = itertools.count()


class FolderStore:
    """Objects as files of a folder. `down` makes it unreachable, `stubborn` keys survive their deletion, `answers` are given instead."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.down = False
        self.stubborn: set[str] = set()
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str]] = []

    def put(self, bucket: str, key: str, content: bytes) -> None:
        path = self.root / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def head(self, bucket: str, key: str) -> dict[str, int] | None:
        self._ask("head", key)
        path = self.root / bucket / key
        return {"size": path.stat().st_size} if path.is_file() else None

    def purge(self, bucket: str, keys: Iterable[str], *, perhaps: Iterable[str] = ()) -> dict[str, Answer]:
        wanted = [*keys, *perhaps]
        answers = {key: self._deleted(bucket, key) for key in wanted}
        return {key: self._seen(bucket, answer) for key, answer in answers.items()}

    def _deleted(self, bucket: str, key: str) -> Answer:
        try:
            self._ask("delete", key)
        except StoreUnavailable as error:
            return Answer(key=key, code="StoreUnavailable", reason=str(error))
        if key not in self.stubborn:
            (self.root / bucket / key).unlink(missing_ok=True)
        return self.answers.get(key, Answer(key=key))

    def _seen(self, bucket: str, answer: Answer) -> Answer:
        try:
            there = answer.gone and self.head(bucket, answer.key)
        except StoreUnavailable as error:
            return Answer(key=answer.key, code="StoreUnavailable", reason=str(error))
        return Answer(key=answer.key, code="StillThere", reason=f"it still has {answer.key}") if there else answer

    def names(self) -> set[str]:
        return {str(path.relative_to(self.root / BUCKET)) for path in self.root.rglob("*") if path.is_file()}

    def _ask(self, what: str, key: str) -> None:
        self.asked.append((what, key))
        if self.down:
            raise StoreUnavailable("nobody answers at http://127.0.0.1:1; is the store running?")


class World:
    """Everything a test of retention needs, on real files."""

    def __init__(self, path: Path) -> None:
        self.home = Home.open(path / "home")
        self.recorder = Recorder(Journal(self.home.journal), Vault(self.home.vault))
        self.keeper = Keeper(self.home, self.recorder)
        self.store = FolderStore(path / "objects")
        self.now = datetime.now(UTC)

    def close(self) -> None:
        self.recorder.journal.close()
        self.recorder.vault.close()

    def retention(self, *rules: ExpireRule, prices: Prices | None = None, **section: Any) -> Retention:
        given = {"max_percent": 100.0, **section}
        settings = Settings(retention=Section(rules=rules, **given), prices=prices or Prices())
        return Retention(self.home, settings, self.recorder, self.keeper, lambda: self.store)

    def clip(self, age: timedelta = 10 * DAY, *, stored: bool = True, task: bool = False, **fields: Any) -> str:
        """Record a clip with a cached file; `stored` puts it into the store, `task` leaves its upload waiting."""
        clip, number = new_id(), next(_numbers)
        key = fields.setdefault("key", f"ann/default/clip-{number}-{clip}.wav")
        fields.setdefault("path", str(self.home.cache / key))
        fact = completed(**fields)
        path = Path(fact.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"audio")
        ann = self.recorder.vault.actor(fact.actor_label)
        with self.recorder.journal.transaction() as write:
            write.append([self.recorder.draft(fact, subject=clip, actor=ann, time=self.now - age)])
            if task:
                write.add_task("upload", subject=clip, actor=ann.id, payload=b"")
        if stored:
            self.store.put(BUCKET, fact.key, b"audio")
            self.store.put(BUCKET, record_key(fact.key), b"record")
            self.record(
                AudioStored(bucket=BUCKET, bytes=5, etag="e", attempts=1, transfer_us=1, waited_us=1, key=fact.key),
                clip,
            )
        return clip

    def record(self, fact: Fact, clip: str) -> None:
        self.recorder.emit(fact, subject=clip, actor=self.recorder.vault.actor("ann"))

    def pin(self, clip: str, reason: str | None = None) -> None:
        self.record(ClipPinned(reason=reason), clip)

    def play(self, clip: str) -> None:
        self.record(AudioAccessed(channel="python", purpose="play"), clip)

    def tag(self, clip: str, tag: str) -> None:
        self.record(ClipTagged(tag=tag), clip)

    def events(self, clip: str | None = None) -> list[tuple[str, dict[str, Any]]]:
        """Types and open data of all events, or of those about one clip."""
        import msgspec

        found = [decode(body) for _, body in self.recorder.journal.read(0, 100_000)]
        return [(event.type, msgspec.json.decode(event.data)) for event in found if clip in (None, event.subject)]

    def types(self, clip: str) -> list[str]:
        """What happened to a clip because of retention, in order."""
        mine = {"ClipMarked", "ClipUnmarked", "PurgeStarted", "ClipPurged", "PurgeFailed"}
        return [name for name, _ in self.events(clip) if name in mine]

    def cached(self) -> set[str]:
        return {str(path.relative_to(self.home.cache)) for path in self.home.cache.rglob("*") if path.is_file()}


def completed(**fields: Any) -> GenerationCompleted:
    given: dict[str, Any] = {
        "channel": "python", "features": (), "engine": "espeak", "engine_version": "1", "model": "m",
        "model_revision": "x", "device": "cpu", "determinism": "bytes", "language": "en", "language_detected": False,
        "voice_sha256": None, "emotion_mode": "none", "emotion": "neutral", "emotion_asked": (0.0,) * 8,
        "emotion_effective": (0.0,) * 8, "emotion_strength": 1.0, "dropped": (), "text_length": 5, "text_hash": "ab",
        "seed": None, "take": 1, "sampling": {}, "format": "wav", "sample_rate": 22050, "channels": 1,
        "duration_us": 1_000_000, "bytes": 5, "sha256": "cd", "loudness_lufs": None, "true_peak_dbtp": None,
        "queue_us": 1, "synthesis_us": 1, "audio_us": 1, "encode_us": 1, "segments": 1, "bucket": BUCKET,
        "fingerprint": "ef", "actor_label": "ann", "session": "default", "name": "clip", "text": "hello",
        "voice_name": None, "tags": (),
    }  # fmt: skip
    return GenerationCompleted(**{**given, **fields})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()
