"""Refilling: the journal's tables of voices made anew from what the log says. Pure but for opening what is sealed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.errors import EventRejected, VaultError
from voxledger.catalog.events import Event, SubjectErased, VoiceRegistered, VoiceWithdrawn, decode_fact
from voxledger.catalog.journal.voices import NameRow, VoiceRow
from voxledger.catalog.recorder import Recorder

_log = logging.getLogger(__name__)


class Filled(NamedTuple):
    """The tables, and the hashes of files (recordings, documents) that nobody may keep any more."""

    voices: list[VoiceRow]
    names: list[NameRow]
    gone: frozenset[str]


class _Told(NamedTuple):
    position: int
    event: Event
    fact: VoiceRegistered


def event_of(row: Mapping[str, Any]) -> Event:
    """A row of the log as the event that it is."""
    return Event(
        **{name: row[name] for name in ("position", "id", "source", "type", "subject", "actor", "version", "sealed")},
        time=row["time"].astimezone(UTC),
        recorded=row["recorded"].astimezone(UTC),
        data=msgspec.Raw(row["data"].encode()),
    )


def fill(events: Iterable[Event], recorder: Recorder, name_hash: Callable[[str], str]) -> Filled:
    """Fold events in the order of the log. Of a recording the newest registration counts that nobody erased.

    An actor who was erased, or whose key is not here, has registered nothing; a recording that only such actors had
    registered stays as a stone with its hash, so that it can be refused. Files go only with an erasure: a key that is
    missing may be in a backup.
    """
    told: dict[str, list[_Told]] = defaultdict(list)
    ended: dict[str, list[tuple[int, int]]] = defaultdict(list)
    erased: set[str] = set()
    keyless: set[str] = set()
    forgotten: dict[str, int] = {}
    for event in events:
        fact, opened = _read(event, recorder)
        if isinstance(fact, VoiceRegistered):
            told[event.subject].append(_Told(event.position, event, fact))
            if not opened:
                keyless.add(event.actor)
        elif isinstance(fact, VoiceWithdrawn):
            ended[event.subject].append((event.position, _microseconds(event)))
        elif isinstance(fact, SubjectErased) and fact.scope == "voice":
            forgotten[fact.target] = event.position
        elif isinstance(fact, SubjectErased) and fact.key_destroyed:
            erased.add(fact.target)
    voices: dict[str, VoiceRow] = {}
    standing: list[_Told] = []
    kept: set[str | None] = set()
    for sha256, steps in told.items():
        wanted = [step for step in steps if step.event.actor not in erased and step.position > forgotten.get(sha256, 0)]
        left = [step for step in wanted if step.event.actor not in keyless]
        kept.update(found for step in wanted for found in (sha256, step.fact.consent_sha256))
        standing += left
        ends = [moment for position, moment in ended[sha256] if left and position > left[-1].position]
        row = voice_row(left[-1].event, left[-1].fact, recorder) if left else _stone(steps[-1])
        voices[sha256] = row._replace(ended=ends[0] if ends else None)
    names: dict[str, NameRow] = {}
    for step in sorted(standing, key=lambda step: step.position):
        hashed = name_hash(step.fact.name)
        names[hashed] = name_row(step.event, step.fact, hashed, recorder)
    every = {
        found for steps in told.values() for step in steps for found in (step.fact.sha256, step.fact.consent_sha256)
    }
    gone = frozenset(found for found in every - kept if found)
    return Filled(sorted(voices.values(), key=lambda row: row.position), list(names.values()), gone)


def voice_row(event: Event, fact: VoiceRegistered, recorder: Recorder) -> VoiceRow:
    """The row of a recording that was just registered."""
    return VoiceRow(
        sha256=fact.sha256,
        position=event.position,
        actor=event.actor,
        event=event.id,
        registered=_microseconds(event),
        expires=None if fact.expires is None else round(fact.expires.timestamp() * 1e6),
        ended=None,
        erased=0,
        facts=recorder.seal(msgspec.to_builtins(fact), actor=recorder.known(event.actor), about=event.id),
    )


def name_row(event: Event, fact: VoiceRegistered, hashed: str, recorder: Recorder) -> NameRow:
    """The row of the name that it got."""
    name = recorder.seal(fact.name, actor=recorder.known(event.actor), about=event.id)
    return NameRow(hashed, fact.sha256, event.position, event.actor, event.id, name)


def _stone(step: _Told) -> VoiceRow:
    return VoiceRow(
        step.fact.sha256, step.position, step.event.actor, step.event.id, _microseconds(step.event), None, None, 1, None
    )


def _read(event: Event, recorder: Recorder) -> tuple[object, bool]:
    """What an event says, None when it cannot be read; and whether its actor's key is there."""
    keyless = recorder.vault.key(event.actor) is None
    try:
        return decode_fact(event, None if keyless else recorder.unsealed(event)), not keyless
    except (EventRejected, VaultError, ValueError, msgspec.MsgspecError) as error:
        _log.warning("event %s about a voice cannot be read and does not count: %s", event.id, error)
        return None, not keyless


def _microseconds(event: Event) -> int:
    return round(event.time.timestamp() * 1e6)
