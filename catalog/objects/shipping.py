"""Shipping: sealed segments and heads of the chain go to the store, and come back from there when they are missing here."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import now
from voxledger.catalog.journal import UPLOAD, Transaction
from voxledger.catalog.log import Head, Segment
from voxledger.catalog.log.heads import name, named
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.recorder import SYSTEM, Recorder

_SEGMENT = re.compile(r"(\d{12})-(\d{12})\.jsonl\.zst")
PUBLISHED = "heads"
"""The cursor that says up to where heads were published."""
_FRESH = 60.0
"""Seconds that a listing is believed: a lost folder of a thousand segments asks a thousand times."""
_log = logging.getLogger(__name__)


def ship(write: Transaction, segment: Segment, head: Head, *, recorder: Recorder, bucket: str) -> None:
    """Queue the uploads of a sealed segment, to `NODE/EPOCH/FILE` in the bucket of events, and of the head, to
    `NODE/heads/FILE`. A cloned HOME has its node's name but an epoch of its own, so that neither overwrites the other.
    """
    node = recorder.journal.node
    epoch = [epoch.epoch for epoch in recorder.journal.epochs() if epoch.first <= segment.first][-1]
    metadata = {"first": str(segment.first), "last": str(segment.last)}
    _queue(write, segment.path, f"{node}/{epoch}/{segment.path.name}", "application/zstd", metadata, recorder, bucket)
    _publish(write, head, segment.path.parent, recorder, bucket)


def _publish(write: Transaction, head: Head, folder: Path, recorder: Recorder, bucket: str) -> None:
    """Once for each head: the cursor moves in the same transaction, so what was not queued is not taken for queued."""
    node = recorder.journal.node
    if head.position <= recorder.journal.cursor(PUBLISHED):
        return
    path = folder / name(head)
    if not path.exists():  # a head says one thing for ever; the file of a change that was not committed will do
        platform.write_atomic(
            path, msgspec.json.encode(msgspec.structs.replace(head, node=node, published=now(), origin=""))
        )
    write.move_cursor(PUBLISHED, head.position)
    metadata = {"position": str(head.position), "digest": head.digest}
    _queue(write, path, f"{node}/heads/{path.name}", "application/json", metadata, recorder, bucket)


def _queue(
    write: Transaction,
    path: Path,
    key: str,
    content_type: str,
    metadata: dict[str, str],
    recorder: Recorder,
    bucket: str,
) -> None:
    content = path.read_bytes()
    upload = Upload(
        bucket=bucket,
        key=key,
        path=str(path),
        content_type=content_type,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        metadata=metadata,
        event=False,
    )
    system = recorder.vault.actor(SYSTEM)
    payload = recorder.seal(msgspec.to_builtins(upload), actor=system, about=path.name)
    write.add_task(UPLOAD, subject=path.name, actor=system.id, payload=payload)


def published(store: Store, bucket: str, node: str) -> list[Head]:
    """The heads of a node that lie in the store, by position. Raises StoreError."""
    found = (
        named(info.key.rpartition("/")[2], node=node, origin=f"the store ({store.endpoint})")
        for info in store.list(bucket, f"{node}/heads/")
    )
    return sorted((head for head in found if head), key=lambda head: head.position)


def given(store: Store, bucket: str, node: str) -> int:
    """The highest position that a node is known to have given: its segments and heads in the store say so. Raises StoreError."""
    highest = 0
    for info in store.list(bucket, f"{node}/"):
        file = info.key.rpartition("/")[2]
        segment, head = _SEGMENT.fullmatch(file), named(file, node=node, origin="")
        highest = max(highest, int(segment[2]) if segment else 0, head.position if head else 0)
    return highest


class Archive:
    """The copy of the segments and heads in the store."""

    def __init__(self, store: Store, bucket: str, recorder: Recorder, folder: Path) -> None:
        self._store = store
        self._bucket = bucket
        self._recorder = recorder
        self._journal = recorder.journal
        self._folder = folder
        self._listed: tuple[float, list[tuple[int, int, str]]] = (-_FRESH, [])

    def recover(self, position: int) -> bool:
        """Bring the segment with this position back into HOME; False when the store does not have it, or does not answer."""
        try:
            for first, last, key in self._segments():
                if first <= position <= last:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    self._store.download(self._bucket, key, self._folder / key.rpartition("/")[2])
                    _log.warning("the segment of positions %d to %d came back from the store", first, last)
                    return True
        except StoreError as error:
            _log.warning("no segment can be brought back from the store: %s", error)
        return False

    def publish(self, head: Head) -> bool:
        """Queue the upload of a head, unless it was published before; says whether it did."""
        if head.position <= self._journal.cursor(PUBLISHED):
            return False
        with self._journal.transaction() as write:
            _publish(write, head, self._folder, self._recorder, self._bucket)
        return True

    def _segments(self) -> list[tuple[int, int, str]]:
        asked, found = self._listed
        if time.monotonic() - asked > _FRESH:
            epochs = self._journal.epochs()
            ends = [*(epoch.first - 1 for epoch in epochs[1:]), None]
            mine = {epoch.epoch: (epoch.first, end) for epoch, end in zip(epochs, ends, strict=True)}
            found = []
            for info in self._store.list(self._bucket, f"{self._journal.node}/"):
                epoch, _, file = info.key.partition("/")[2].partition("/")
                name = _SEGMENT.fullmatch(file)
                if not name:
                    continue
                first, last = int(name[1]), int(name[2])
                # An epoch that this journal does not know is that of a clone, unless it ended before this journal began. One
                # that it knows may go on elsewhere, at a HOME that this one was restored from: what came there after the end
                # of the epoch here is another history.
                begin, end = mine.get(epoch, (0, epochs[0].first - 1))
                if begin <= first and (end is None or last <= end):
                    found.append((first, last, info.key))
            self._listed = (time.monotonic(), found)
        return found
