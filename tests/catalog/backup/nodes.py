"""Nodes for tests of backups: a HOME with a store, its buckets of their own, and everything set by the environment."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import forking
from tests.building import completed
from tests.s3 import S3Server
from voxledger.catalog.backup import Backups
from voxledger.catalog.events import AudioStored, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.log.verify import Verdict, verify
from voxledger.catalog.objects import Store
from voxledger.catalog.settings import load
from voxledger.ledger import Ledger

KEY, VAULT_KEY = "correct horse", "battery staple"


class Node:
    """A place on a machine. `open` opens its HOME; the server, its buckets and keys stand in the environment."""

    def __init__(self, path: Path, server: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.server, self.bucket = path, server, bucket
        self._monkeypatch = monkeypatch
        self.environ = {
            "VOXLEDGER_STORE_ENDPOINT": server.url, "VOXLEDGER_STORE_ACCESS_KEY": server.access_key,
            "VOXLEDGER_STORE_SECRET_KEY": server.secret_key, "VOXLEDGER_GENERAL_ACTOR": "ann",
        }  # fmt: skip
        self.environ |= {
            f"VOXLEDGER_STORE_{name.upper()}": f"{bucket}-{name}" for name in ("audio", "events", "voices", "backup")
        }
        for name, value in self.environ.items():
            monkeypatch.setenv(name, value)

    def use_key(self, key: str = KEY) -> None:
        """From now on backups are encrypted, or not."""
        self.environ["VOXLEDGER_BACKUP_KEY"] = key
        self._monkeypatch.setenv("VOXLEDGER_BACKUP_KEY", key)

    @contextmanager
    def open(self, path: Path | None = None) -> Iterator[Ledger]:
        with Ledger(path or self.path) as vox:
            yield vox

    def speak(self, count: int, **changes: Any) -> list[str]:
        """Record clips; gives their ids."""
        clips = [new_id() for _ in range(count)]
        with self.open() as vox:
            actor = vox.vault.actor("ann")
            drafts = [
                vox.recorder.draft(completed(**{"name": f"n{clip[-6:]}", **changes}), subject=clip, actor=actor)
                for clip in clips
            ]
            vox.journal.emit(*drafts)
        return clips

    def store_audio(self, count: int, size: int = 3000) -> dict[str, tuple[str, bytes]]:
        """Clips that lie in the store: key and content by id."""
        made: dict[str, tuple[str, bytes]] = {}
        with self.open() as vox:
            actor, bucket = vox.vault.actor("ann"), vox.settings.store.audio
            for _ in range(count):
                clip, content = new_id(), os.urandom(size)
                key, sha256 = f"ann/default/tide-{clip}.wav", hashlib.sha256(content).hexdigest()
                etag = vox.store.put(bucket, key, content, content_type="audio/wav", metadata={"clip": clip})
                fact = completed(key=key, sha256=sha256, bytes=size, bucket=bucket)
                vox.recorder.emit(fact, subject=clip, actor=actor)
                stored = AudioStored(
                    bucket=bucket, bytes=size, etag=etag, attempts=1, transfer_us=1, waited_us=1, key=key
                )
                vox.recorder.emit(stored, subject=clip, actor=actor)
                made[clip] = key, content
        return made

    @contextmanager
    def backups(self) -> Iterator[Backups]:
        """Backups without a HOME, as on a new machine."""
        home = Home(self.path.with_name("nowhere"))
        settings = load(home.path).settings
        store = Store(home, settings.store)
        try:
            yield Backups(home, settings, lambda: store)
        finally:
            store.close()

    def verified(self, path: Path | None = None) -> Verdict:
        """What `voxledger verify` says without asking the store, everything drained before."""
        with self.open(path) as vox:
            vox.keeper.drain()
            return verify(vox.keeper)

    def objects(self) -> dict[str, bytes]:
        """Everything in the bucket of backups."""
        with self.backups() as backups:
            bucket = backups.bucket
            return {info.key: bucket.store.get(bucket.name, info.key) for info in bucket.store.list(bucket.name)}

    def change(self, key: str, content: bytes | None) -> None:
        """Put other bytes there, or nothing."""
        with self.backups() as backups:
            bucket = backups.bucket
            if content is None:
                bucket.store.delete(bucket.name, key)
            else:
                bucket.store.put(bucket.name, key, content)

    def killed(self, failpoint: str, *arguments: str) -> None:
        """Run a command line that ends itself at a failpoint."""
        environ = {**os.environ, "VOXLEDGER_FAILPOINT": failpoint}
        done = forking.run(["-m", "tests.catalog.backup.backup_process", *arguments], env=environ)
        assert done.returncode == -9, done.stderr


def rows(vox: Ledger) -> list[dict[str, Any]]:
    """What the catalog shows of all clips."""
    with vox.keeper.reading() as reading:
        return reading.rows("SELECT * EXCLUDE (changed) FROM clips ORDER BY id")


def recorded(vox: Ledger, kind: str) -> list[dict[str, Any]]:
    """The facts of all events of a kind."""
    with vox.keeper.reading() as reading:
        return reading.rows(
            "SELECT position, subject, data FROM events WHERE type = $kind ORDER BY position", {"kind": kind}
        )
