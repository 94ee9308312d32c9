"""Descriptions: what stands beside a clip's audio in the store, so that the object says what it is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.events import Event, encode
from voxledger.catalog.events.fact import Amount, Count, Sha256
from voxledger.catalog.objects.uploads.upload import Upload

_UUID = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_UNKNOWN = ("unknown", "und")
"""What a clip says of what nobody knows."""


class Description(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """The metadata of an object that holds a clip's audio; names of headers, values in ASCII.

    Nothing personal: `actor` and `node` are opaque ids. Older objects lack what has a default.
    """

    clip: Annotated[str, msgspec.Meta(pattern=_UUID)]
    sha256: Sha256
    created: datetime
    duration_us: Amount
    emotion: str = ""
    language: str = ""
    engine: str = ""
    format: str = ""
    sample_rate: Count | None = None
    channels: Count | None = None
    actor: str = ""
    node: str = ""

    def as_metadata(self) -> dict[str, str]:
        """As it is sent along with a PUT."""
        return {name: str(value) for name, value in msgspec.to_builtins(self).items() if value not in ("", None)}


def node_of(event: Event) -> str:
    """The node that acknowledged an event."""
    return event.source.removeprefix("voxledger:").partition("/")[0]


def upload_of(clip: Clip, event: Event, *, channels: int | None) -> Upload:
    """What the uploader needs for a clip that this event began: where from, where to, and what stands beside the bytes."""
    known = {name: "" if value in _UNKNOWN else value for name, value in _told(clip).items()}
    description = Description(
        clip=clip.id,
        sha256=clip.sha256,
        created=clip.created,
        duration_us=clip.duration_us,
        format=clip.format,
        sample_rate=clip.sample_rate or None,
        channels=channels,
        actor=event.actor,
        node=node_of(event),
        **known,
    )
    return Upload(
        bucket=clip.bucket,
        key=clip.key or "",
        path=str(clip.path),
        content_type=clip.content_type,
        sha256=clip.sha256,
        bytes=clip.bytes,
        metadata=description.as_metadata(),
        tags={"app": "voxledger", **{name: value for name, value in known.items() if value}},
        record=encode(event).decode(),
    )


def _told(clip: Clip) -> dict[str, str]:
    return {"emotion": clip.emotion, "language": clip.language, "engine": clip.engine}


def read_description(metadata: Mapping[str, str]) -> Description | None:
    """The description among an object's metadata; None when it has none, or not one that can be believed."""
    try:
        return msgspec.convert(dict(metadata), Description, strict=False)
    except msgspec.ValidationError:
        return None
