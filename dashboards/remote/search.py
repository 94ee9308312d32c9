"""Search on a node."""

from __future__ import annotations

from datetime import datetime

import msgspec

from voxledger.catalog.search import Found
from voxledger.dashboards.remote.connection import Connection


class RemoteSearch:
    """Finds words in texts, names and tags, with the method of `SearchIndex`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def search(
        self,
        query: str,
        *,
        emotion: str | None = None,
        voice: str | None = None,
        language: str | None = None,
        since: datetime | None = None,
        limit: int = 20,
        after: str | None = None,
        newest: bool = False,
    ) -> Found:
        """A page of the clips in which all words of `query` stand. Raises SearchError."""
        asked = {
            "q": query, "emotion": emotion, "voice": voice, "language": language, "since": since and since.isoformat(), "limit": limit,
            "cursor": after, "newest": "true" if newest else None,
        }  # fmt: skip
        return msgspec.convert(self._connection.get("/api/search", asked), Found, strict=False)
