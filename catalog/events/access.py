"""Access: who may do what, who was turned away, and who asked to be forgotten."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, TypeAlias

import msgspec

from voxledger.catalog.events.fact import About, Amount, Count, Fact, Moment, Personal

Role: TypeAlias = Literal["viewer", "analyst", "creator", "curator", "admin"]
Erased: TypeAlias = Literal["actor", "voice"]
Outcome: TypeAlias = Literal["done", "nothing", "waiting", "failed"]
Denial: TypeAlias = Literal["no token", "unknown token", "expired", "revoked", "role", "scope", "quota", "rate"]


class ErasureRequested(Fact, frozen=True, kw_only=True):
    """Somebody is to be forgotten. The subject is the request's id; `target` is an opaque actor id or a voice's SHA-256.

    `held` counts the clips that legal holds keep; erasure of those waits.
    """

    about: ClassVar[About] = "erasure"

    request: str
    scope: Erased
    target: str
    plan: str
    clips: Amount
    bytes: Amount
    held: Amount
    reason: Personal | None


class SubjectErased(Fact, frozen=True, kw_only=True):
    """What was held about somebody is gone, target by target. The subject is the request's id."""

    about: ClassVar[About] = "erasure"

    request: str
    scope: Erased
    target: str
    clips: Amount
    voices: Count
    objects: Amount
    bytes: Amount
    reports: Count
    key_destroyed: bool
    outcomes: dict[str, Outcome]


class TokenIssued(Fact, frozen=True, kw_only=True):
    """A token was made. The subject is its opaque id, the actor whoever it acts as; the token itself is never recorded.

    `by` is the opaque id of the actor who made it.
    """

    version: ClassVar[int] = 2
    about: ClassVar[About] = "token"

    token: str
    role: Role
    expires: Moment | None
    name: Personal | None
    scope: Literal["own", "all"] | None = None
    by: str | None = None


class TokenRevoked(Fact, frozen=True, kw_only=True):
    """A token no longer opens anything. The subject is its opaque id, the actor whoever it acted as.

    `by` is the opaque id of the actor who ended it.
    """

    version: ClassVar[int] = 2
    about: ClassVar[About] = "token"

    token: str
    role: Role
    name: Personal | None
    reason: Personal | None
    by: str | None = None


class AccessDenied(Fact, frozen=True, kw_only=True):
    """Requests were turned away: one event per principal, reason and minute. The subject is the principal's opaque id.

    `principal` is a token's id, or a keyed hash of the address where nobody said who asks; `others` where they were too many.
    """

    about: ClassVar[About] = "principal"

    principal: str
    reason: Denial
    minute: Moment
    count: Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
