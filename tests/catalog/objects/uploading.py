"""Clips that wait for their upload, as the studio leaves them."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.building import Parts, completed
from voxledger.catalog.events import AudioStored, Event, decode, encode, new_id
from voxledger.catalog.objects import object_key

_TEMPLATE = "{actor}/{session}/{name}-{clip}.{ext}"


@dataclass(frozen=True)
class Waiting:
    """A clip whose upload is a task in the journal."""

    clip: str
    key: str
    path: Path
    content: bytes
    record: str


def add_clip(
    parts: Parts, bucket: str, *, actor: str = "ann", name: str = "tide", size: int = 2000, **changes: Any
) -> Waiting:
    """File, event and task; `changes` go into the task's payload."""
    clip, content = new_id(), secrets.token_bytes(size)
    key = object_key(_TEMPLATE, actor=actor, session="demo", name=name, clip=clip, ext="wav")
    path = parts.home.cache / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    owner = parts.vault.actor(actor)
    fact = completed(actor_label=actor, key=key, bucket=bucket, bytes=size, sha256=digest, path=str(path))
    with parts.journal.transaction() as write:
        event = write.append([parts.recorder.draft(fact, subject=clip, actor=owner)])[0]
        payload = {
            "bucket": bucket,
            "key": key,
            "path": str(path),
            "content_type": "audio/wav",
            "sha256": digest,
            "bytes": size,
            "metadata": {"clip": clip, "emotion": "happy", "name": name},
            "tags": {"app": "voxledger", "emotion": "happy & calm"},
            "record": encode(event).decode(),
            **changes,
        }
        sealed = parts.recorder.seal(payload, actor=owner, about=clip)
        write.add_task("upload", subject=clip, actor=owner.id, payload=sealed)
    return Waiting(clip, key, path, content, encode(event).decode())


def events(parts: Parts, kind: type = AudioStored) -> list[Event]:
    """All recorded events of a type."""
    return [event for _, body in parts.journal.read(0, 100_000) if (event := decode(body)).type == kind.__name__]


def stored(parts: Parts) -> list[str]:
    """The clips of all AudioStored events, one entry an event."""
    return sorted(event.subject for event in events(parts))
