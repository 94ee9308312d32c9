"""Reviving: an object that says what it is becomes the clip it was, with as much of its record as can still be read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

import msgspec

from voxledger.catalog.errors import EventRejected, VaultError
from voxledger.catalog.events import AudioAdopted, AudioStored, Draft, Event, GenerationCompleted, decode_fact, now
from voxledger.catalog.reconcile.identity import event_id, plausible
from voxledger.catalog.reconcile.telling import Found, Told, form
from voxledger.catalog.recorder import Recorder

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def revive(told: Told, found: Found, recorder: Recorder, *, template: str, actor: str) -> tuple[list[Draft], bool]:
    """The events that make a clip of an object again, and whether they are whole: as they were acknowledged once.

    That is so where there is a record, the vault has its key, and the object still lies where the record says. Else the
    clip is adopted, with what is known in the open; whose it is and what it is called then stand in its key, if that was
    made by `template`; else it is `actor`'s. Raises VaultError when that person was erased.
    """
    if told.event is not None and _is_whole(told.event, found, recorder):
        return _again(told.event, found, recorder), True
    return [_adopted(told, found, recorder, template=template, actor=actor)], False


def named_by(template: str, key: str) -> Mapping[str, str]:
    """Actor, session and name as they stand in a key, where `store.key` made it; empty where it did not."""
    matched = _pattern(template).fullmatch(key)
    return {} if matched is None else {name: value for name, value in matched.groupdict().items() if value}


@cache
def _pattern(template: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return "(?:[^/]+)"
        seen.add(name)
        return {"clip": _UUID, "ext": r"[0-9a-z]+"}.get(name) or f"(?P<{name}>[^/]+)"

    pieces = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(re.sub(r"\{(\w+)\}", group, piece) if piece.startswith("{") else re.escape(piece) for piece in pieces)
    )


def _is_whole(event: Event, found: Found, recorder: Recorder) -> bool:
    try:
        personal = recorder.unsealed(event)
        fact = decode_fact(event, personal)
    except (VaultError, EventRejected, ValueError, msgspec.MsgspecError):
        return False
    return (
        bool(personal)
        and isinstance(fact, GenerationCompleted | AudioAdopted)
        and (fact.bucket, fact.key) == (found.bucket, found.key)
    )


def _again(event: Event, found: Found, recorder: Recorder) -> list[Draft]:
    begun = Draft(
        id=event.id,
        type=event.type,
        subject=event.subject,
        time=event.time,
        actor=event.actor,
        version=event.version,
        data=bytes(event.data),
        sealed=event.sealed,
    )
    stored = AudioStored(
        bucket=found.bucket, bytes=found.bytes, etag=found.etag, attempts=0, transfer_us=0, waited_us=0, key=found.key
    )
    when = plausible(found.modified)
    draft = recorder.draft(
        stored, subject=event.subject, actor=recorder.known(event.actor), time=when,
        event_id=event_id(recorder.vault, when, "stored", event.subject),
    )  # fmt: skip
    return [begun, draft]


def _adopted(told: Told, found: Found, recorder: Recorder, *, template: str, actor: str) -> Draft:
    what, names = told.description, named_by(template, found.key)
    owner = names.get("actor", actor)
    made = plausible(what.created)
    fact = AudioAdopted(
        source="store",
        made=made,
        format=form(found.key, what.format) or "",
        sample_rate=what.sample_rate,
        channels=what.channels,
        duration_us=what.duration_us,
        bytes=found.bytes,
        sha256=what.sha256,
        bucket=found.bucket,
        stored=True,
        etag=found.etag,
        actor_label=owner,
        session=names.get("session"),
        name=names.get("name"),
        key=found.key,
        origin=None,
        tags=(),
        language=what.language or None,
        emotion=what.emotion or None,
        engine=what.engine or None,
    )
    return recorder.draft(
        fact, subject=what.clip, actor=recorder.vault.actor(owner), time=now(),
        event_id=event_id(recorder.vault, made, "adopted", what.clip),
    )  # fmt: skip
