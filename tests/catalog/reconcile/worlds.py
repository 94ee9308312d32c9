"""A HOME with a store, and clips in both, for tests that compare them."""

from __future__ import annotations

import hashlib
import io
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tests.building import Parts, completed
from tests.s3 import S3Server
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import Event, decode, new_id
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.objects import Store, Uploader, object_key
from voxledger.catalog.objects.description import upload_of
from voxledger.catalog.reconcile import Around, Reconciled, reconcile
from voxledger.catalog.settings import Settings


def sound(seed: int = 0, *, frames: int = 2000, rate: int = 24_000) -> bytes:
    """A WAV of noise, another one for each seed."""
    samples = np.random.default_rng(seed).integers(-8000, 8000, frames, dtype=np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


class World:
    """A HOME at a server. `close` it."""

    def __init__(self, path: Path, server: S3Server, bucket: str, *, url: str | None = None) -> None:
        self.parts = Parts(path)
        self.server = server
        self.bucket = bucket
        records: Any = "auto" if server.keeps_metadata else "always"
        self.settings = Settings(store=server.settings(url=url, audio=bucket, records=records))
        self.store = Store(self.parts.home, self.settings.store)
        self.around = Around(
            home=self.parts.home, settings=self.settings, recorder=self.parts.recorder, keeper=self.parts.keeper, store=self.store,
            actor="ann",
        )  # fmt: skip

    def close(self) -> None:
        self.store.close()
        self.parts.close()

    def make(self, count: int = 1, *, actor: str = "ann", seed: int = 0, name: str = "tide") -> list[str]:
        """Clips as the studio leaves them: file, event, task. Gives their ids."""
        return [self._make(sound(seed + number), actor=actor, name=name) for number in range(count)]

    def _make(self, content: bytes, *, actor: str, name: str) -> str:
        clip = new_id()
        template = self.settings.store.key
        key = object_key(template, actor=actor, session="demo", name=name, clip=clip, ext="wav")
        path = self.parts.home.cache / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        fact = completed(
            actor_label=actor, session="demo", name=name, key=key, bucket=self.bucket, bytes=len(content), sha256=digest,
            path=str(path), duration_us=83_333, sample_rate=24_000,
        )  # fmt: skip
        event = self.parts.record(fact, clip, actor=actor)
        made = Clip(
            id=clip, created=event.time, actor=actor, session="demo", name=name, text=None, language="en", voice=None, emotion="happy",
            engine="espeak", format="wav", sample_rate=24_000, duration_us=83_333, bytes=len(content), sha256=digest,
            loudness_lufs=None, take=1, dropped=(), tags=(), bucket=self.bucket, key=key, path=path,
        )  # fmt: skip
        upload = upload_of(made, event, channels=1)
        owner = self.parts.vault.actor(actor)
        payload = self.parts.recorder.seal(msgspec.to_builtins(upload), actor=owner, about=clip)
        with self.parts.journal.transaction() as write:
            write.add_task(UPLOAD, subject=clip, actor=owner.id, payload=payload)
        return clip

    def upload(self) -> None:
        """See everything that waits into the store."""
        uploader = Uploader(self.parts.recorder, self.store, self.settings.store)
        try:
            assert uploader.flush(timeout=30) == 0, uploader.progress
        finally:
            uploader.close()

    def stored(self, count: int = 1, **changes: Any) -> list[str]:
        """Clips whose audio lies in the store."""
        made = self.make(count, **changes)
        self.upload()
        return made

    def reconcile(self, **options: Any) -> Reconciled:
        return reconcile(self.around, **{"grace": 0.0, **options})

    def key(self, clip: str) -> str:
        return str(self.clip(clip)["key"])

    def clip(self, clip: str) -> dict[str, Any]:
        with self.parts.keeper.reading() as reading:
            return reading.rows("FROM clips WHERE id = ?::UUID", [clip])[0]

    def path(self, clip: str) -> Path:
        return self.parts.home.cache / self.key(clip)

    def listed(self, bucket: str | None = None) -> list[str]:
        return [found.key for found in self.store.list(bucket or self.bucket)]

    def lose(self, clip: str, *, cached: bool = True) -> None:
        """The store loses a clip's audio, and the cache too where it is not `cached`."""
        key = self.key(clip)
        self.store.delete(self.bucket, key)
        if not cached:
            (self.parts.home.cache / key).unlink()

    def events(self, *kinds: str) -> list[Event]:
        found = [decode(body) for _, body in self.parts.journal.read(0, 100_000)]
        return [event for event in found if event.type in kinds]

    def personal(self, event: Event) -> dict[str, Any]:
        return self.parts.recorder.unsealed(event) or {}

    def purge(self, clips: Sequence[str], *, to: str = "ClipPurged") -> None:
        """Say that retention deleted clips, or only that it began to."""
        from voxledger.catalog.events import ClipPurged, PurgeStarted

        for clip in clips:
            self.parts.record(PurgeStarted(plan="p", rule="r", bucket=self.bucket), clip)
            if to == "ClipPurged":
                self.parts.record(ClipPurged(plan="p", rule="r", bucket=self.bucket, bytes=1), clip)
