"""The catalog's own tables in memory, with clips put straight into them: for deciding about many at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import duckdb
import pyarrow as pa

from tests import templates
from voxledger.catalog.log import Reading

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
_SPACE = UUID("8f2b3c52-0000-7000-8000-000000000000")
_DEFAULTS = {
    "tail": 0, "actor": "ann", "actor_id": "a1", "session": "s", "emotion": "happy", "bucket": "b", "pinned": False,
    "bytes": 10, "duration_us": 1000, "ratings": 0, "plays": 0, "reuses": 0, "cached": True, "holds": 0, "legal_holds": 0,
    "changed": 1, "suspect": [],
}  # fmt: skip
_CHANGED = ("pinned", "ratings", "reuses", "cached", "actor_id")


def id_of(name: str) -> str:
    """The id of a clip that a test calls by a name; they sort as their names do."""
    return str(UUID(int=(int.from_bytes(name.encode()[:6].ljust(6, b"\0")) << 80) | (uuid5(_SPACE, name).int >> 64)))


class Tables:
    """A catalog in memory. `reading` answers queries as a HOME's would."""

    def __init__(self) -> None:
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("ATTACH ':memory:' AS catalog")
        templates.create(self._connection)
        self._connection.execute("USE catalog")
        self._connection.execute(
            "CREATE TABLE events (position BIGINT, type VARCHAR, version SMALLINT, subject VARCHAR, data VARCHAR, recorded TIMESTAMPTZ)"
        )
        self.reading = Reading(self._ask)
        self._added = 0

    def _ask(self, query: str, parameters: Any) -> pa.Table:
        return self._connection.sql(query, params=parameters).to_arrow_table()

    def clear(self) -> None:
        for table in ("folded.clips", "folded.changes", "folded.mark_steps", "events"):
            self._connection.execute(f"DELETE FROM {table}")

    def add(self, name: str, **facts: Any) -> str:
        """A clip, 100 days old unless `created` says otherwise; `used_since_mark`, `undone` and `linked_until` as the log tells them."""
        created = facts.pop("created", NOW - 100 * DAY)
        used, linked, undone = (facts.pop(key, None) for key in ("used_since_mark", "linked_until", "undone"))
        self._added += 1
        row = {"id": id_of(name), "position": self._added, "created": created, "last_used": created} | _DEFAULTS | facts
        if isinstance(row.get("tags"), list):
            row["tags"] = "[" + ",".join(f'"{tag}"' for tag in row["tags"]) + "]" if row["tags"] else None
        self._insert("folded.clips", row)
        if row.get("delete_after"):
            change = {key: row[key] for key in _CHANGED} | {
                "position": 2, "previous": 1, "recorded": NOW - DAY, "clip": row["id"], "kind": "ClipMarked",
                "last_used": row["last_used"], "plays": row["plays"] - bool(used),
            }  # fmt: skip
            self._insert("folded.changes", change)
        if undone:
            step = {"position": 2, "time": undone - DAY, "clip": row["id"], "actor_id": "a1", "kind": "ClipMarked"}
            self._insert("folded.mark_steps", step)
            self._insert(
                "folded.mark_steps", step | {"position": 3, "time": undone, "kind": "ClipUnmarked", "reason": "undone"}
            )
        if linked:
            data = f'{{"purpose":"link","expires":"{linked.isoformat()}"}}'
            event = {
                "position": 3,
                "type": "AudioAccessed",
                "version": 2,
                "subject": row["id"],
                "data": data,
                "recorded": NOW - DAY,
            }
            self._insert("events", event)
        return str(row["id"])

    def untagged(self, clip: str, tag: str) -> None:
        """A clip that had a tag once."""
        change = {
            "position": 5, "previous": 1, "recorded": NOW - DAY, "clip": clip, "kind": "ClipUntagged", "actor_id": "a1", "tag": tag,
            "pinned": False, "ratings": 0, "plays": 0, "reuses": 0, "last_used": NOW, "cached": True,
        }  # fmt: skip
        self._insert("folded.changes", change)

    def recorded(self, time: datetime) -> None:
        """When the newest event was acknowledged."""
        self._insert("events", {"position": 9, "type": "ClipRated", "version": 1, "recorded": time})

    def voice(self, sha256: str, *, scope: str | None = None, withdrawn: bool = False) -> None:
        step = {
            "position": 1,
            "time": NOW - DAY,
            "kind": "VoiceRegistered",
            "sha256": sha256,
            "actor_id": "a1",
            "scope": scope,
        }
        self._insert("folded.voice_steps", step)
        if withdrawn:
            self._insert("folded.voice_steps", step | {"position": 2, "kind": "VoiceWithdrawn"})

    def _insert(self, table: str, row: dict[str, Any]) -> None:
        names = ", ".join(row)
        marks = ", ".join("?" for _ in row)
        self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))
