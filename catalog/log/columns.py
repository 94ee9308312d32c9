"""Columns: acknowledged bytes as Arrow columns of the log, and the bytes again from the columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import Event, digest, encode

_MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("source", pa.string()),
        ("type", pa.string()),
        ("subject", pa.string()),
        ("time", _MOMENT),
        ("recorded", _MOMENT),
        ("actor", pa.string()),
        ("version", pa.int16()),
        ("data", pa.string()),
        ("sealed", pa.binary()),
        ("digest", pa.binary()),
    ]
)
"""The columns of `log.events`."""


class _Envelope(msgspec.Struct, gc=False):
    """The envelope with its times as they are written: Arrow reads a column of them at once, far faster than one by one."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    position: int
    recorded: str
    actor: str
    version: int
    data: msgspec.Raw
    sealed: bytes | None = None


_read = msgspec.json.Decoder(_Envelope).decode


def arrange(rows: Sequence[tuple[int, bytes]]) -> pa.Table:
    """Acknowledged bytes with their positions as columns of `SCHEMA`. Raises LogCorrupt for bytes that are no event."""
    events = []
    for position, body in rows:
        try:
            event = _read(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise LogCorrupt(
                f"the bytes at position {position} are not an event: {error}", position=position
            ) from error
        if event.position != position:
            raise LogCorrupt(
                f"the event at position {position} says that it is number {event.position}", position=position
            )
        events.append(event)
    return pa.table(
        [
            [position for position, _ in rows],
            [event.id for event in events],
            [event.source for event in events],
            [event.type for event in events],
            [event.subject for event in events],
            _moments([event.time for event in events]),
            _moments([event.recorded for event in events]),
            [event.actor for event in events],
            [event.version for event in events],
            pa.array([bytes(event.data) for event in events], pa.binary()).cast(pa.string()),
            pa.array([event.sealed for event in events], pa.binary()),
            pa.array([digest(body) for _, body in rows], pa.binary()),
        ],
        schema=SCHEMA,
    )


def _moments(written: list[str]) -> pa.Array:
    """ISO 8601 times, as every event writes them, in UTC."""
    column = pa.array(written, pa.string())
    if not pc.all(pc.ends_with(column, "Z")).as_py():  # an event from elsewhere may name its zone by an offset
        return pa.array([datetime.fromisoformat(moment) for moment in written], _MOMENT)
    return column.cast(_MOMENT)


def bodies(rows: pa.Table) -> Iterator[tuple[int, bytes, bytes]]:
    """Position, acknowledged bytes and noted digest of each row of `log.events`: the bytes are a function of the columns."""
    names = (
        "id",
        "source",
        "type",
        "subject",
        "time",
        "recorded",
        "actor",
        "version",
        "data",
        "sealed",
        "position",
        "digest",
    )
    for identity, source, kind, subject, time, recorded, actor, version, data, sealed, position, noted in zip(
        *(rows.column(name).to_pylist() for name in names), strict=True
    ):
        event = Event(
            id=str(identity),
            source=source,
            type=kind,
            subject=subject,
            time=time.astimezone(UTC),
            position=position,
            recorded=recorded.astimezone(UTC),
            actor=actor,
            version=version,
            data=msgspec.Raw(data.encode()),
            sealed=sealed,
        )
        yield position, encode(event), noted
