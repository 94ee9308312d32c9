"""The catalog of a node: found, asked and changed over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.query.history import Happening
from voxledger.catalog.query.page import Page
from voxledger.catalog.query.result import Result
from voxledger.dashboards.remote.audio import RemoteAudio
from voxledger.dashboards.remote.clips import clip_of, named
from voxledger.dashboards.remote.connection import Connection

if TYPE_CHECKING:
    from voxledger.catalog.events import GenerationCompleted

_CLIPS = "/api/clips"
_ARROW = "application/vnd.apache.arrow.stream"


class RemoteCatalog:
    """Finds clips on a node and changes what is known about them, with the methods of `Catalog`."""

    def __init__(self, connection: Connection, audio: RemoteAudio) -> None:
        self._connection = connection
        self.audio = audio

    def clip(self, reference: str | Clip) -> Clip:
        """A clip by its id, or by as many of its last hex digits as make it unique. Raises ClipNotFound."""
        return self._clip(self._connection.get(self._path(reference)))

    def clips(
        self,
        *,
        where: str | None = None,
        order: str = "-created",
        limit: int = 50,
        after: str | None = None,
        as_of: datetime | None = None,
        actor: str | None = None,
        session: str | None = None,
        emotion: str | None = None,
        language: str | None = None,
        voice: str | None = None,
        tag: str | None = None,
        state: str | None = None,
    ) -> Page:
        """A page of the clips that fit all conditions given, as `Catalog.clips` gives them. Raises QueryError."""
        found = self._connection.get(
            _CLIPS,
            {
                "where": where, "order": order, "limit": limit, "cursor": after, "as_of": as_of and as_of.isoformat(), "actor": actor,
                "session": session, "emotion": emotion, "language": language, "voice": voice, "tag": tag, "state": state,
            },
        )  # fmt: skip
        return Page([self._clip(told) for told in found["clips"]], found["next"])

    def history(self, reference: str | Clip) -> list[Happening]:
        """Every event about a clip in words, the oldest first. Raises ClipNotFound."""
        found = self._connection.get(self._path(reference, "history"))
        return msgspec.convert(found["happenings"], list[Happening])

    def record(self, reference: str | Clip) -> GenerationCompleted:
        """What was recorded when a clip was made. Raises ClipNotFound."""
        from voxledger.catalog.events import GenerationCompleted

        return msgspec.convert(
            self._connection.get(self._path(reference, "record"))["record"], GenerationCompleted, strict=False
        )

    def sql(self, query: str, *, params: Mapping[str, Any] | None = None) -> Result:
        """The answer to one SELECT, from the node's last snapshot; `params` fill `$name`.

        `Catalog.sql` asks the log itself, and so knows `fresh` and `as_of`; a snapshot does not. Raises QueryError.
        """
        import pyarrow as pa

        with self._connection.answer(
            "POST", "/api/sql", body={"query": query, "params": params or {}}, headers={"Accept": _ARROW}, safe=True
        ) as response:
            return Result(pa.ipc.open_stream(io.BytesIO(response.content)).read_all())

    def tag(self, reference: str | Clip, *tags: str) -> Clip:
        """Put tags on a clip."""
        if not tags:
            return self.clip(reference)
        return self._clip(self._connection.send("POST", self._path(reference, "tags"), {"tags": tags}, safe=True))

    def untag(self, reference: str | Clip, *tags: str) -> Clip:
        """Take tags off a clip. Raises QueryError for one that it does not have."""
        if not tags:
            return self.clip(reference)
        return self._clip(self._connection.send("DELETE", self._path(reference, "tags"), params={"tag": tags}))

    def pin(self, reference: str | Clip, *, reason: str | None = None, until: datetime | None = None) -> Clip:
        """Keep a clip, for good or `until` (aware)."""
        body = {"reason": reason, "until": until and until.isoformat()}
        return self._clip(self._connection.send("PUT", self._path(reference, "pin"), body, safe=True))

    def unpin(self, reference: str | Clip) -> Clip:
        """Take the pin off a clip."""
        return self._clip(self._connection.send("DELETE", self._path(reference, "pin"), safe=True))

    def rate(self, reference: str | Clip, rating: int) -> Clip:
        """Say how good a clip is, from 1 to 5."""
        return self._clip(self._connection.send("PUT", self._path(reference, "rating"), {"rating": rating}, safe=True))

    def fetch(self, clip: str | Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """A file of this machine with a clip's audio; counts as use. Raises ClipNotFound, StoreError."""
        return self.audio.fetch(clip if isinstance(clip, Clip) else self.clip(clip), progress=progress)

    def url(self, clip: str | Clip, expires: int = 300) -> str:
        """A link that works for `expires` seconds, without a token; counts as use."""
        return self.audio.url(clip if isinstance(clip, Clip) else self.clip(clip), expires)

    def _path(self, reference: str | Clip, *parts: str) -> str:
        return "/".join((_CLIPS, named(reference), *parts))

    def _clip(self, told: Mapping[str, Any]) -> Clip:
        return clip_of(told.get("clip", told), self.audio)
