"""The gate: who comes in. It knows tokens by what they prove, and what each may still do today.

What it is asked costs microseconds and waits for nobody: tokens are remembered, and looked at again when the journal has
changed, a quarter of a second later at most.
"""

from __future__ import annotations

import hmac
import time
from typing import NamedTuple

from voxledger.catalog.access.principal import Principal
from voxledger.catalog.access.token import Credential, limits_of, state_of
from voxledger.catalog.errors import AccessRefused
from voxledger.catalog.journal.tokens import TokenReader, TokenRow
from voxledger.catalog.recorder import Recorder

_LOOK = 0.25
"""Seconds for which what is remembered of tokens is believed."""
_REMEMBERED = 10_000
_NOBODY = bytes(32)


class _Known(NamedTuple):
    row: TokenRow
    principal: Principal


class Gate:
    """Lets principals in, one for a whole process. Safe from many threads."""

    def __init__(self, recorder: Recorder, *, zone: str) -> None:
        self._recorder = recorder
        self._reader = TokenReader(recorder.journal.path)
        self._known: dict[str, _Known] = {}
        self._names: dict[str, str] = {}
        self._looked = 0.0

    def close(self) -> None:
        """Let go of the journal."""
        self._reader.close()

    def principal(self, written: str) -> Principal:
        """Whose token this is. Raises AccessRefused: `unknown token`, `expired` or `revoked`."""
        credential = Credential.read(written)
        known = self._looked_up(credential.id) if credential else None
        proved = hmac.compare_digest(known.row.hash if known else _NOBODY, credential.hash if credential else b"")
        if known is None or not proved:
            raise AccessRefused("this token opens nothing", reason="unknown token")
        state = state_of(known.row, time.time())
        if state != "valid":
            raise AccessRefused(
                "this token has expired" if state == "expired" else "this token was revoked",
                reason=state, principal=known.row.id,
            )  # fmt: skip
        return known.principal

    def _looked_up(self, token: str) -> _Known | None:
        present = time.monotonic()
        if present - self._looked > _LOOK:
            if self._reader.changed():
                self._known.clear()
            self._looked = present
        known = self._known.get(token)
        if known is None and (row := self._reader.one(token)) is not None:
            known = self._remember(row)
        return known

    def _remember(self, row: TokenRow) -> _Known | None:
        name = self._name(row.actor)
        if name is None:
            return None
        principal = Principal(id=row.id, name=name, role=row.role, scope=row.scope, limits=limits_of(row))  # type: ignore[arg-type]  # as they were written
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        known = self._known[row.id] = _Known(row, principal)
        return known

    def _name(self, actor: str) -> str | None:
        """What an actor is called; None where the vault does not know it, after an erasure say. The first answer stays good: a name
        goes only with its tokens.
        """
        name = self._names.get(actor)
        if name is None:
            key = self._recorder.vault.key(actor)
            if key is None or key.label is None:
                return None
            name = self._names[actor] = key.label
        return name
