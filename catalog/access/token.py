"""A token: what a program proves with who it is. `vox_ID_SECRET`, shown once; the node keeps a hash of the secret.

The secret is 32 random bytes, so the hash is a plain SHA-256: nobody tries 2^256 secrets, and a slow hash would only cost.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.catalog.access.limits import Limits, Rate, Used
from voxledger.catalog.access.roles import Scope
from voxledger.catalog.events.access import Role
from voxledger.catalog.journal.tokens import TokenRow

TokenState: TypeAlias = Literal["valid", "expired", "revoked"]
_WRITTEN = re.compile(r"vox_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Credential(NamedTuple):
    """The two parts of a token as it is written. Never shown again, never stored."""

    id: str
    secret: str

    @classmethod
    def new(cls) -> Credential:
        """A token that nobody can guess."""
        return cls(secrets.token_hex(6), secrets.token_urlsafe(32))

    @classmethod
    def read(cls, written: str) -> Credential | None:
        """The parts of what somebody sent; None for what is no token."""
        found = _WRITTEN.fullmatch(written)
        return cls(found[1], found[2]) if found else None

    @property
    def written(self) -> str:
        """As it is sent: `Authorization: Bearer vox_…`."""
        return f"vox_{self.id}_{self.secret}"

    @property
    def hash(self) -> bytes:
        """What is stored of it."""
        return hashlib.sha256(self.secret.encode()).digest()

    def __repr__(self) -> str:
        """Secrets never show."""
        return f"Credential({self.id!r})"


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it stands. `name` is the actor it acts as, None once erased; `used` and `today` lag by seconds."""

    id: str
    name: str | None
    role: Role
    scope: Scope
    state: TokenState
    issued: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None
    limits: Limits
    today: Used

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints, and the API answers."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {**found, "limits": self.limits.as_dict(), "today": self.today.as_dict()}


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was just made, and the only time that it can be read."""

    token: Token
    written: str

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints, and the API answers."""
        return {**self.token.as_dict(), "token": self.written}

    def __repr__(self) -> str:
        """Secrets never show."""
        return f"Issued({self.token.id!r})"


def limits_of(row: TokenRow) -> Limits:
    """The limits in a row."""
    rate = Rate(requests=row.rate, seconds=row.rate_s) if row.rate and row.rate_s else None
    return Limits(rate=rate, requests=row.requests, audio_us=row.audio_us, bytes=row.bytes)


def state_of(row: TokenRow, now: float) -> TokenState:
    """What a token is worth at a time (s since 1970)."""
    if row.revoked is not None:
        return "revoked"
    return "expired" if row.expires is not None and row.expires <= now * 1e6 else "valid"


def token_of(row: TokenRow, *, name: str | None, today: Used, now: float) -> Token:
    """A row as people are shown it."""
    return Token(
        id=row.id, name=name, role=row.role, scope=row.scope, state=state_of(row, now), issued=_time(row.issued),  # type: ignore[arg-type]  # as they were written
        expires=_moment(row.expires), revoked=_moment(row.revoked), used=_moment(row.used), limits=limits_of(row),
        today=today,
    )  # fmt: skip


def _time(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1e6, UTC)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else _time(microseconds)
