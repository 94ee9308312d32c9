"""Repairs: clips that the store has lost are uploaded again, where the cache still has them byte by byte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.catalog import clip_of
from voxledger.catalog.errors import VaultError
from voxledger.catalog.events import Event
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.journal import UPLOAD, Transaction
from voxledger.catalog.objects.description import upload_of
from voxledger.catalog.queries import load
from voxledger.catalog.query.page import COLUMNS
from voxledger.catalog.reconcile.around import Around
from voxledger.catalog.reconcile.since import Since

_SQL = load("repairing.sql", "voxledger.catalog.reconcile")


class Ready(NamedTuple):
    """An upload that can be queued. `payload` is sealed for the clip's actor."""

    clip: str
    actor: str
    payload: bytes


class Repairs:
    """Prepares uploads outside of journal transactions and queues them inside. Use it as a `with` block."""

    def __init__(self, around: Around, since: Since) -> None:
        self._around = around
        self._since = since
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="voxledger-repair")

    def __enter__(self) -> Repairs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def prepare(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Ready]:
        """The uploads of those clips whose audio the cache has, and that are not waiting for one already, by clip."""
        paths = self._pool.map(self._cached, rows)
        whole = {row["clip"]: path for row, path in zip(rows, paths, strict=True) if path is not None}
        if not whole:
            return {}
        with self._around.keeper.reading(fresh=False) as reading:
            clips = reading.rows(_SQL["clips"].format(columns=COLUMNS), {"clips": list(whole)})
            events = {row["subject"]: _event(row) for row in reading.rows(_SQL["begun"], {"clips": list(whole)})}
        ready = {}
        for row in clips:
            clip = msgspec.structs.replace(clip_of(row, self._around.home.cache), path=whole[str(row["id"])])
            event = events.get(clip.id)
            if event is None:
                continue
            upload = upload_of(clip, event, channels=row["channels"])
            try:
                owner = self._around.recorder.known(event.actor)
            except VaultError:
                continue  # erased meanwhile
            payload = self._around.recorder.seal(msgspec.to_builtins(upload), actor=owner, about=clip.id)
            ready[clip.id] = Ready(clip.id, owner.id, payload)
        return ready

    def queue(self, write: Transaction, ready: Ready) -> None:
        """Put up the upload, unless there is one already; in the transaction in which nothing else has happened to the clip."""
        if not self._around.recorder.journal.open_tasks(UPLOAD, [ready.clip]):
            write.add_task(UPLOAD, subject=ready.clip, actor=ready.actor, payload=ready.payload)

    def _cached(self, row: Mapping[str, Any]) -> Path | None:
        cache = self._around.home.cache.resolve()
        path = cache / row["key"]
        try:
            # Keys of adopted objects are anybody's words.
            if not path.resolve().is_relative_to(cache) or path.stat().st_size != row["bytes"]:
                return None
            digest = sha256_of(path)
        except (OSError, ValueError):
            return None
        return path if digest == row["sha256"] else None


def _event(row: Mapping[str, Any]) -> Event:
    times = {name: row[name].astimezone(UTC) for name in ("time", "recorded")}
    return Event(**{**row, **times, "data": msgspec.Raw(row["data"].encode())})
