"""The recorder turns facts into drafts: it seals what is personal and names the actor by an opaque id."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from voxledger.catalog.accesses import Accesses
from voxledger.catalog.errors import VaultError
from voxledger.catalog.events import Draft, Event, Fact, new_id, now, packed, split, unpacked
from voxledger.catalog.events.envelope import check_size
from voxledger.catalog.forgetting import blanked
from voxledger.catalog.journal import Journal
from voxledger.catalog.vault import ActorKey, Vault

SYSTEM = "voxledger"
"""The actor in whose name Voxledger itself acts."""
_encode = msgspec.json.Encoder().encode


class Recorder:
    """Writes facts into the journal on behalf of actors. Safe from many threads."""

    def __init__(self, journal: Journal, vault: Vault) -> None:
        self.journal = journal
        self.vault = vault
        self.accesses = Accesses(journal)

    def draft(
        self, fact: Fact, *, subject: str, actor: ActorKey, time: datetime | None = None, event_id: str | None = None
    ) -> Draft:
        """An event ready for the journal. Raises EventRejected for what cannot be recorded."""
        identity = event_id or new_id()
        kind = type(fact)
        data, personal = split(fact)
        # Before packing: what packs well is as large again for every reader.
        check_size(kind.__name__, len(data) + len(personal or b""))
        return Draft(
            id=identity,
            type=kind.__name__,
            subject=subject,
            time=time or now(),
            actor=actor.id,
            version=kind.version,
            data=data,
            sealed=None if personal is None else actor.seal(packed(personal), about=identity),
        )

    def drafts(self, fact: Fact, *, subjects: Iterable[str], actor: ActorKey) -> list[Draft]:
        """The same fact about each of these subjects, at the same time: it is looked over and written only once.

        Raises EventRejected for what cannot be recorded.
        """
        kind, present = type(fact), now()
        data, personal = split(fact)
        check_size(kind.__name__, len(data) + len(personal or b""))
        sealed = None if personal is None else packed(personal)
        return [
            Draft(
                id=(identity := new_id()),
                type=kind.__name__,
                subject=subject,
                time=present,
                actor=actor.id,
                version=kind.version,
                data=data,
                sealed=None if sealed is None else actor.seal(sealed, about=identity),
            )
            for subject in subjects
        ]

    def emit(self, fact: Fact, *, subject: str, actor: ActorKey) -> Event:
        """Record one fact durably."""
        return self.journal.emit(self.draft(fact, subject=subject, actor=actor))[0]

    def known(self, actor: str) -> ActorKey:
        """The key behind an opaque id. Raises VaultError when it was destroyed."""
        key = self.vault.key(actor)
        if key is None:
            raise VaultError(f"there is no key for actor {actor}; it was destroyed, or the vault is not this HOME's")
        return key

    def seal(self, content: Any, *, actor: ActorKey, about: str) -> bytes:
        """Seal any JSON content, for tasks and answers that stay in the journal."""
        return actor.seal(_encode(content), about=about)

    def unseal(self, sealed: bytes, *, actor: str, about: str) -> Any:
        """The inverse of `seal`."""
        return msgspec.json.decode(self.known(actor).open(sealed, about=about))

    def unsealed(self, event: Event) -> dict[str, Any] | None:
        """The personal fields of an event; None when its actor's key was destroyed, {} when there are none.

        What names a voice that was erased is left out, or is None as if the key were gone.
        """
        if event.sealed is None:
            return {}
        key = self.vault.key(event.actor)
        if key is None:
            return None
        opened: bytes | None = unpacked(key.open(event.sealed, about=event.id))
        if forgotten := self.vault.forgotten_voices():
            opened = blanked(event.type, event.subject, bytes(event.data), event.position, opened, forgotten)
        found: dict[str, Any] | None = None if opened is None else msgspec.json.decode(opened)
        return found

    def require_key(self, actor: ActorKey) -> None:
        """Raises VaultError when an actor's key was destroyed since it was looked up, or when the actor is being erased.

        Ask within the journal's transaction that records what was made: an erasure takes the name away in one of its own.
        """
        found = self.vault.key(actor.id)
        if found is None or (found.label is None and actor.label is not None):
            raise VaultError(
                "whoever asked for this was erased while it was made; it is not kept. Ask again: under the same name it is"
                " somebody new's"
            )
