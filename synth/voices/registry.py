"""The registry: which recording has which name, and whether somebody still consents to its use."""

from __future__ import annotations

import logging
import time
import unicodedata
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from voxledger.catalog.errors import JournalError, VaultError
from voxledger.catalog.events import Event, VoiceRegistered, VoiceWithdrawn
from voxledger.catalog.interrupts import held_back
from voxledger.catalog.journal import Transaction
from voxledger.catalog.journal.voices import Looked, NameRow, VoiceRow, VoiceTables
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import ActorKey
from voxledger.synth.errors import ConsentEnded, UnknownVoice
from voxledger.synth.hints import meant
from voxledger.synth.voices.records import VoiceState
from voxledger.synth.voices.refilling import event_of, fill, name_row, voice_row

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

SQL = load("voices.sql", "voxledger.synth.voices")
_T = TypeVar("_T")
_TRIES = 5
_NEAR = 1000
"""Among how many names a similar one is looked for."""
_log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """A recording that was found: its row, and the name that led to it as it was registered (None: no name did)."""

    row: VoiceRow
    name: str | None

    @property
    def state(self) -> VoiceState:
        """As of now."""
        if self.row.erased:
            return "erased"
        if self.row.ended is not None:
            return "withdrawn"
        expired = self.row.expires is not None and self.row.expires <= time.time() * 1e6
        return "expired" if expired else "registered"


class Registry:
    """Look-ups take microseconds and are right in every process at once, because they ask the journal.

    When the journal cannot know (it was restored or made anew, or events about voices came from elsewhere), its tables
    are filled from the log before anything is answered. `dropped` hears the hashes of files that nobody may keep.
    """

    def __init__(
        self, recorder: Recorder, keeper: Callable[[], Keeper], dropped: Callable[[Iterable[str]], None]
    ) -> None:
        self._recorder = recorder
        self._journal = recorder.journal
        self._tables = VoiceTables(recorder.journal)
        self._keeper = keeper
        self._dropped = dropped

    def named(self, name: str) -> Entry | None:
        """The recording that has this name now; names differ by more than case."""
        hashed = self._hash(name)
        looked = self._asked(lambda: self._tables.named(hashed))
        if not looked.rows:
            return None
        assert looked.name is not None
        actor, event, sealed = looked.name
        return Entry(looked.rows[0], self._opened(sealed, actor=actor, event=event))

    def with_sha256(self, prefix: str) -> Entry | None:
        """The recording whose SHA-256 begins like this. Raises UnknownVoice when that is true of several."""
        looked = self._asked(lambda: self._tables.with_sha256(prefix))
        if len(looked.rows) > 1:
            raise UnknownVoice(f"more than one voice's SHA-256 begins with {prefix!r}; give more digits of it")
        return Entry(looked.rows[0], None) if looked.rows else None

    def all(self) -> list[tuple[Entry, tuple[str, ...]]]:
        """Every recording that was ever registered, oldest first, with the names that lead to it now."""
        self._ensure()
        rows, names = self._tables.all(), self._tables.names()
        return [(Entry(row, None), self.names_of(row.sha256, names)) for row in rows]

    def names_of(self, sha256: str, among: Iterable[NameRow] | None = None) -> tuple[str, ...]:
        """The names that lead to a recording now."""
        rows = self._tables.names() if among is None else among
        found = [self._opened(row.name, actor=row.actor, event=row.event) for row in rows if row.sha256 == sha256]
        return tuple(name for name in found if name)

    def facts(self, row: VoiceRow) -> dict[str, Any]:
        """What was registered, as JSON has it. Raises ConsentEnded when the key to it is gone."""
        try:
            found: dict[str, Any] = self._recorder.unseal(row.facts or b"", actor=row.actor, about=row.event)
        except VaultError as error:
            raise ConsentEnded(
                f"voice {row.sha256[:12]} was erased: the key of who registered it is not there any more"
            ) from error
        return found

    def unknown(self, name: str) -> UnknownVoice:
        """The error for a name that leads nowhere, with names that come near."""
        names = [
            found
            for row in self._tables.names()[-_NEAR:]
            if (found := self._opened(row.name, actor=row.actor, event=row.event))
        ]
        hint = meant(name, names) or "`voxledger voices list` shows them all"
        return UnknownVoice(f"there is no registered voice {name!r}; {hint}")

    def register(
        self, fact: VoiceRegistered, *, actor: ActorKey, put_up: Callable[[Transaction, Event], None]
    ) -> Event:
        """ONE journal transaction: the event, the recording, its name, and the uploads that `put_up` adds."""
        draft = self._recorder.draft(fact, subject=fact.sha256, actor=actor)

        def change(write: Transaction) -> Event:
            self._recorder.require_key(actor)
            event = write.append([draft])[0]
            row = voice_row(event, fact, self._recorder)
            self._tables.register(write, row, name_row(event, fact, self._hash(fact.name), self._recorder))
            put_up(write, event)
            return event

        return self._changed(change)

    def withdraw(self, fact: VoiceWithdrawn, *, actor: ActorKey) -> Event | None:
        """ONE journal transaction: the event and the end. None when somebody else ended it meanwhile."""
        draft = self._recorder.draft(fact, subject=fact.sha256, actor=actor)

        def change(write: Transaction) -> Event | None:
            found = self._tables.with_sha256(fact.sha256).rows
            if not found or found[0].ended is not None or found[0].erased:
                return None
            event = write.append([draft])[0]
            self._tables.end(write, fact.sha256, ended=round(event.time.timestamp() * 1e6), position=event.position)
            return event

        return self._changed(change)

    def _changed(self, change: Callable[[Transaction], _T]) -> _T:
        for _ in range(_TRIES):
            self._ensure()
            with held_back(), self._journal.transaction() as write:
                if self._tables.is_current():
                    return change(write)
        raise self._restless()

    def _asked(self, ask: Callable[[], Looked]) -> Looked:
        for _ in range(_TRIES):
            looked = ask()
            if looked.current:
                return looked
            self._refill()
        raise self._restless()

    def _ensure(self) -> None:
        if not self._tables.is_current():
            self._refill()

    def _refill(self) -> None:
        """Read the log, and believe it unless another event about voices has come since."""
        with self._keeper().reading() as reading:
            through = int(reading.tuples(SQL["through"])[0][0])
            steps = [event_of(row) for row in reading.rows(SQL["steps"])]
        filled = fill(steps, self._recorder, self._hash)
        with self._journal.transaction() as write:
            if self._tables.wanted() > through:
                return
            self._tables.replace(write, filled.voices, filled.names, through=through)
        _log.info("the journal's voices were read from the log again: %d recordings", len(filled.voices))
        self._dropped(filled.gone)

    def _restless(self) -> JournalError:
        return JournalError(
            f"the voices in {self._journal.path} could not be brought up to date with the log, because events about voices keep"
            " coming in; try again"
        )

    def _opened(self, sealed: bytes, *, actor: str, event: str) -> str | None:
        try:
            return str(self._recorder.unseal(sealed, actor=actor, about=event))
        except VaultError:
            return None

    def _hash(self, name: str) -> str:
        """Names are personal: in the open they stand as a hash under this node's secret."""
        plain = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        return self._recorder.vault.keyed_hash(plain.encode(), purpose="voice")
