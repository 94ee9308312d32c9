"""The exchange: events leave this log as CloudEvents, and come in from files of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from voxledger.catalog.errors import EventRejected, QueryError, VaultError
from voxledger.catalog.events import REGISTRY, Draft, Event, decode_fact, from_cloudevent, to_cloudevent
from voxledger.catalog.events.cloudevent_files import entries
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.recorder import Recorder

_PAGE = 20_000
_PAGE_BYTES = 32_000_000
_BATCH = 2_000
_BATCH_BYTES = 16_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVER = datetime(9999, 1, 1, tzinfo=UTC)
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_SQL = load("exchange.sql")


class TakenIn(msgspec.Struct, frozen=True, kw_only=True):
    """How many events were recorded, and how many of them this log knew already."""

    recorded: int
    known: int


def exported(
    keeper: Keeper,
    *,
    types: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    after: int = 0,
    progress: Counting | None = None,
) -> Iterator[bytes]:
    """Events of the log in its order, as CloudEvents: those that happened from `since` on and before `until`.

    Reads a page at a time and lets go of the log between pages, so memory is flat and nobody is locked out; what is
    recorded meanwhile is not part of it.
    """
    with keeper.reading() as reading:
        head = int(reading.tuples(_SQL["head"])[0][0])
    wanted = {"types": list(types), "since": _microseconds(since or _EPOCH), "until": _microseconds(until or _EVER)}
    while after < head:
        with keeper.reading(fresh=False) as reading:
            size = min(_PAGE, head - after)
            found = reading.tuples(_SQL["page_end"], {"after": after, "size": size, "bytes": _PAGE_BYTES})[0][0]
            end = after + size if found is None else int(found)
            rows = reading.rows(_SQL["page"], {**wanted, "after": after, "end": end})
        for row in rows:
            yield to_cloudevent(logged(row))
        after = end
        if progress:
            progress(after, head)


def find(keeper: Keeper, reference: str) -> Event | None:
    """The event with this id, or at this position."""
    with keeper.reading() as reading:
        if reference.isdecimal():
            rows = reading.rows(_SQL["by_position"], {"position": int(reference)}) if len(reference) < 19 else []
        else:
            rows = reading.rows(_SQL["by_id"], {"id": reference}) if _ID.fullmatch(reference) else []
    return logged(rows[0]) if rows else None


def counts(keeper: Keeper) -> dict[tuple[str, int], int]:
    """How many events of each type and version the log holds, also of types that this code does not know."""
    with keeper.reading() as reading:
        return {(name, version): count for name, version, count in reading.tuples(_SQL["counts"])}


def check_types(names: Collection[str], keeper: Keeper) -> None:
    """Raises QueryError for a name that is neither a type of ours nor one of the log's: it is a slip."""
    known = set(REGISTRY)
    if any(name not in known for name in names):
        known |= {name for name, _ in counts(keeper)}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {near[0]}?" if near else "; `voxledger events types` lists them"
            raise QueryError(f"{name!r} is no type of event{hint}")


def take_in(
    file: BinaryIO, recorder: Recorder, keeper: Keeper, *, actor: str, progress: Counting | None = None
) -> TakenIn:
    """Record the CloudEvents of a file that can be read twice: lines of JSON, or one JSON array.

    All of it is checked before anything is recorded: EventRejected names the first line that breaks a rule. What the
    log knows already, by id, is not recorded again, so an import that was cut off is simply repeated. `actor` is the
    opaque id put on events that name none.
    """
    size = file.seek(0, 2)
    recorded = total = 0
    for _ in _drafts(file, recorder, actor):
        total += 1
        if progress and total % 1000 == 0:
            progress(file.tell() // 2, size)
    for batch in _batches(_drafts(file, recorder, actor)):
        recorded += _record(batch, recorder, keeper)
        if progress:
            progress((size + file.tell()) // 2, size)
    return TakenIn(recorded=recorded, known=total - recorded)


def _record(batch: list[Draft], recorder: Recorder, keeper: Keeper) -> int:
    """What moves from the journal into the log meanwhile is seen in one of them, because the journal is asked first."""
    new = {draft.id: draft for draft in batch if not recorder.journal.knows(draft.id)}
    with keeper.reading(fresh=False) as reading:
        for (known,) in reading.tuples(_SQL["known"], {"ids": list(new)}):
            del new[known]
    if new:
        recorder.journal.emit(*new.values())
    return len(new)


def _batches(drafts: Iterable[Draft]) -> Iterator[list[Draft]]:
    batch: list[Draft] = []
    size = 0
    for draft in drafts:
        batch.append(draft)
        size += len(draft.data) + len(draft.sealed or b"")
        if len(batch) == _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _drafts(file: BinaryIO, recorder: Recorder, actor: str) -> Iterator[Draft]:
    for place, body in entries(file):
        try:
            draft = from_cloudevent(body, actor=actor)
            _check_sealed(draft, recorder)
        except EventRejected as error:
            raise EventRejected(f"{place}: {error}; nothing was recorded", field=error.field) from error
        yield draft


def _check_sealed(draft: Draft, recorder: Recorder) -> None:
    """A sealed part whose key is here must open: every later fold opens it."""
    event = _placed(draft)
    try:
        personal = recorder.unsealed(event)
    except (VaultError, ValueError, msgspec.DecodeError) as error:
        raise EventRejected(
            f"the sealed part of event {draft.id} was altered, or sealed for another event", field="sealed"
        ) from error
    if personal is None:
        return
    if not isinstance(personal, dict):
        raise EventRejected(f"the sealed part of event {draft.id} is not a JSON object", field="sealed")
    decode_fact(event, personal)


def _placed(draft: Draft) -> Event:
    return Event(
        id=draft.id,
        source="",
        type=draft.type,
        subject=draft.subject,
        time=draft.time,
        position=0,
        recorded=draft.time,
        actor=draft.actor,
        version=draft.version,
        data=msgspec.Raw(draft.data),
        sealed=draft.sealed,
    )


def logged(row: dict[str, Any]) -> Event:
    """The event of a row of the log, its times in µs since 1970."""
    times = {name: _EPOCH + timedelta(microseconds=row[name]) for name in ("time", "recorded")}
    return Event(**{**row, **times, "data": msgspec.Raw(row["data"].encode())})


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
