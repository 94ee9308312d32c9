"""Shipping: sealed segments go to the store, the second copy of the truth off this machine."""

from __future__ import annotations

import hashlib

import msgspec

from voxledger.catalog.journal import UPLOAD, Transaction
from voxledger.catalog.log.segments import Segment
from voxledger.catalog.objects.transfer import Upload
from voxledger.catalog.recorder import SYSTEM, Recorder


def ship(write: Transaction, segment: Segment, *, recorder: Recorder, bucket: str) -> None:
    """Queue the upload of a sealed segment, to `NODE/FILE` in the bucket of events."""
    content = segment.path.read_bytes()
    upload = Upload(
        bucket=bucket,
        key=f"{recorder.journal.node}/{segment.path.name}",
        path=str(segment.path),
        content_type="application/zstd",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        metadata={"first": str(segment.first), "last": str(segment.last)},
        event=False,
    )
    system = recorder.vault.actor(SYSTEM)
    payload = recorder.seal(msgspec.to_builtins(upload), actor=system, about=segment.path.name)
    write.add_task(UPLOAD, subject=segment.path.name, actor=system.id, payload=payload)
