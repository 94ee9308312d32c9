"""Tokens: made, listed and revoked. Each is an event and a row, in one transaction."""

from __future__ import annotations

import re
import time
import unicodedata
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from voxledger.catalog.access.day import Day
from voxledger.catalog.access.limits import UNLIMITED, Limits, Used
from voxledger.catalog.access.roles import SCOPES, Scope
from voxledger.catalog.access.token import Credential, Issued, Token, token_of
from voxledger.catalog.errors import TokenError, TokenNotFound
from voxledger.catalog.events import TokenIssued, TokenRevoked
from voxledger.catalog.events.access import Role
from voxledger.catalog.interrupts import held_back
from voxledger.catalog.journal import Transaction
from voxledger.catalog.journal.tokens import TokenRow, TokenTables
from voxledger.catalog.recorder import SYSTEM, Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

_LONGEST = 200
_NONE = Used()


class Tokens:
    """Makes, lists and revokes tokens in the name of `actor`. `zone` says where a day begins."""

    def __init__(self, recorder: Recorder, *, actor: str, zone: str) -> None:
        self._recorder = recorder
        self._tables = TokenTables(recorder.journal)
        self._actor = actor
        self._zone = zone

    def create(
        self,
        role: Role,
        *,
        name: str | None = None,
        expires: datetime | None = None,
        scope: Scope | None = None,
        limits: Limits = UNLIMITED,
    ) -> Issued:
        """Make a token; the answer is the only place where it can be read.

        `name` is the actor whose clips it makes and, with the scope `own`, all that it sees; without one it is `token-ID`.
        `expires` is aware; the scope is that of the role when it is not given. Raises TokenError.
        """
        if role not in get_args(Role):
            raise TokenError(f"there is no role {role!r}; choose {_listed(get_args(Role))}")
        chosen = scope or SCOPES.get(role, "all")
        if chosen not in get_args(Scope):
            raise TokenError(f"there is no scope {scope!r}; choose {_listed(get_args(Scope))}")
        if role == "admin" and chosen == "own":
            raise TokenError("an admin sees everything; give another role, or leave the scope out")
        issued = time.time()
        if expires is not None and (expires.tzinfo is None or expires.timestamp() <= issued):
            raise TokenError("a token ends at a time that is still to come, with its time zone")
        credential = Credential.new()
        actor = self._recorder.vault.actor(f"token-{credential.id}" if name is None else _named(name))
        row = TokenRow(
            id=credential.id, hash=credential.hash, role=role, scope=chosen, actor=actor.id, issued=round(issued * 1e6),
            expires=None if expires is None else round(expires.timestamp() * 1e6), revoked=None, used=None,
            rate=limits.rate.requests if limits.rate else None, rate_s=limits.rate.seconds if limits.rate else None,
            requests=limits.requests, audio_us=limits.audio_us, bytes=limits.bytes,
        )  # fmt: skip
        fact = TokenIssued(
            token=row.id, role=role, expires=expires, name=actor.label, scope=chosen, by=self._recorder.vault.actor(self._actor).id
        )  # fmt: skip
        draft = self._recorder.draft(fact, subject=row.id, actor=actor)
        with held_back(), self._recorder.journal.transaction() as write:
            self._recorder.require_key(actor)
            write.append([draft])
            self._tables.issue(write, row)
        return Issued(token=self._token(row, _NONE), written=credential.written)

    def list(self, *, every: bool = False) -> list[Token]:
        """The tokens that open something, the oldest first; with `every` also those that did."""
        today = self._tables.usage(Day.of(time.time(), self._zone).number)
        found = [self._token(row, _used(today.get(row.id))) for row in self._tables.all()]
        return [token for token in found if every or token.state == "valid"]

    def revoke(self, token: str, *, reason: str | None = None) -> Token:
        """End a token, by its id or at least the first four digits of it. Raises TokenError when there is none, or it is over."""
        row = self._found(token)
        if row.revoked is not None:
            raise TokenError(f"token {row.id} was revoked already; nothing was changed")
        key = self._recorder.vault.key(row.actor) or self._recorder.vault.actor(SYSTEM)
        by = self._recorder.vault.actor(self._actor).id
        fact = TokenRevoked(token=row.id, role=row.role, name=key.label, reason=reason, by=by)  # type: ignore[arg-type]  # as it was written
        draft = self._recorder.draft(fact, subject=row.id, actor=key)
        at = round(time.time() * 1e6)
        with held_back(), self._recorder.journal.transaction() as write:
            if self._tables.revoke(write, row.id, at=at):
                write.append([draft])
        return self._token(row._replace(revoked=at), _NONE)

    def settle(self, keeper: Keeper) -> int:
        """Revoke what the log says was revoked, and this journal, because it is an older copy, does not know; gives how many."""
        standing = {row.id for row in self._tables.all() if row.revoked is None}
        if not standing or self._recorder.journal.epochs()[-1].reason == "created":
            return 0
        with keeper.reading() as reading:
            rows = reading.tuples("SELECT subject, max(time) FROM events WHERE type = 'TokenRevoked' GROUP BY subject")
        with self._recorder.journal.transaction() as write:
            return sum(
                self._tables.revoke(write, token, at=round(when.timestamp() * 1e6))
                for token, when in rows
                if token in standing
            )

    def none_yet(self) -> bool:
        """Whether no token was ever made here."""
        return self._tables.count() == 0

    def _found(self, reference: str) -> TokenRow:
        digits = reference.strip().lower()
        fits = re.fullmatch(r"[0-9a-f]{4,12}", digits)
        rows = [row for row in self._tables.all() if row.id.startswith(digits)] if fits else []
        if len(rows) > 1:
            raise TokenError("more than one token's id begins so; give more of its digits")
        if not rows:
            raise TokenNotFound(
                "there is no such token; name it by the id that `voxledger tokens list --every` shows, never by the token itself"
            )
        return rows[0]

    def _token(self, row: TokenRow, today: Used) -> Token:
        key = self._recorder.vault.key(row.actor)
        return token_of(row, name=key.label if key else None, today=today, now=time.time())


def end_tokens_of(actor: str, recorder: Recorder, write: Transaction) -> None:
    """Revoke all tokens of somebody who is being erased, in the transaction that takes the name away; nothing names them then."""
    system, tables = recorder.vault.actor(SYSTEM), TokenTables(recorder.journal)
    for token, role in tables.open_of(actor).items():
        fact = TokenRevoked(token=token, role=role, name=None, reason="erasure", by=system.id)  # type: ignore[arg-type]  # as it was written
        tables.revoke(write, token, at=round(time.time() * 1e6))
        write.append([recorder.draft(fact, subject=token, actor=system)])


def _used(row: Any) -> Used:
    return Used(requests=row.requests, audio_us=row.audio_us, bytes=row.bytes) if row else _NONE


def _named(name: str) -> str:
    """A name as it can stand in keys and paths. Raises TokenError."""
    clean = unicodedata.normalize("NFC", name).strip()
    if not clean or len(clean) > _LONGEST:
        raise TokenError(f"a token's name has 1 to {_LONGEST} characters; leave it out for none")
    if not clean.isprintable() or re.search(r"(^|[/\\])\.\.?([/\\]|$)", clean) or clean.startswith(("/", "\\")):
        raise TokenError(
            "a token's name is the name of an actor: plain words, no control characters, no path that climbs"
        )
    if clean == SYSTEM:
        raise TokenError(f"{SYSTEM!r} is Voxledger itself; choose another name")
    return clean


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
