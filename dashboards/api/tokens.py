"""Tokens over HTTP: who am I, and for admins who else may come in."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import JSONResponse, Response

from voxledger.catalog.access import ROLES, Limits, Principal, Rate, Scope, Used
from voxledger.catalog.access.token import TokenState
from voxledger.catalog.errors import QueryError, TokenError
from voxledger.catalog.events.access import Role
from voxledger.catalog.query.moment import end_of
from voxledger.dashboards.api.shapes import Shape, faults
from voxledger.dashboards.server.callers import Caller, anyone, may

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

Admin = Annotated[Caller, Depends(may("admin"))]
_ID = "3f9c2e10aa51"
_LIMITS: dict[str, Any] = {"rate": "60/min", "requests": 20_000, "audio_s": 7200.0, "bytes": 5_000_000_000}
_USED: dict[str, Any] = {"requests": 214, "audio_s": 388.2, "bytes": 18_630_144}
_TOKEN: dict[str, Any] = {
    "id": _ID, "name": "ann", "role": "creator", "scope": "own", "state": "valid", "issued": "2026-03-02T09:30:00Z",
    "expires": "2026-05-31T09:30:00Z", "revoked": None, "used": "2026-03-04T11:02:12Z", "limits": _LIMITS, "today": _USED,
}  # fmt: skip


class LimitsShape(Shape):
    """What may be used in a day of the node's time zone; null = as much as one likes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_LIMITS]})

    rate: str | None = Field(
        default=None, description="Requests in a time, such as 60/min: so many at once.", max_length=40
    )
    requests: int | None = Field(default=None, ge=1, le=2**53 - 1)
    audio_s: float | None = Field(default=None, ge=0.001, le=1e9, description="Seconds of audio that are made.")
    bytes: int | None = Field(default=None, ge=1, le=2**53 - 1, description="Bytes that are sent.")

    def limits(self) -> Limits:
        """As the floors below know them. Raises TokenError."""
        return Limits(
            rate=None if self.rate is None else Rate.parse(self.rate), requests=self.requests,
            audio_us=None if self.audio_s is None else round(self.audio_s * 1e6), bytes=self.bytes,
        )  # fmt: skip


class UsedShape(Shape):
    """What was used in a day: requests, seconds of audio made, bytes sent."""

    requests: int
    audio_s: float
    bytes: int


class LeftShape(Shape):
    """What is left of a day; null = there is no limit."""

    requests: int | None
    audio_s: float | None
    bytes: int | None


class TokenShape(Shape):
    """A token. `used` and `today` lag by a few seconds; the name is null once its actor was erased."""

    model_config = ConfigDict(json_schema_extra={"examples": [_TOKEN]})

    id: str
    name: str | None = Field(description="The actor in whose name is recorded what it does.")
    role: Role
    scope: Scope
    state: TokenState
    issued: datetime
    expires: datetime | None
    revoked: datetime | None
    used: datetime | None
    limits: LimitsShape
    today: UsedShape


class IssuedShape(TokenShape):
    """A token that was just made."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_TOKEN, "used": None, "token": f"vox_{_ID}_…"}]})

    token: str = Field(description="What its owner sends as `Authorization: Bearer`. It is not shown again.")


class TokenList(Shape):
    """Tokens, the oldest first."""

    tokens: list[TokenShape]


class Issuing(Shape):
    """A token that is asked for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"role": "creator", "name": "ann", "expires": "90d", "limits": _LIMITS}]},
    )

    role: Role
    name: str | None = Field(default=None, description="Who it is for; without one, token-ID.", max_length=400)
    expires: str | None = Field(
        default=None, description="30d from now, 2027-12-31, or a time with an offset.", max_length=80
    )
    scope: Scope | None = Field(default=None, description="Whose clips it sees; without it own for creators, else all.")
    limits: LimitsShape = LimitsShape()


class Me(Shape):
    """Who asks, what they may, and what is left of their limits."""

    id: str = Field(description="The token's id; `local` for the owner of the node.")
    name: str
    role: Role
    scope: Scope
    permissions: list[str]
    limits: LimitsShape
    today: UsedShape
    left: LeftShape
    resets: float = Field(description="When the day of the limits ends, in seconds since 1970.")


def router(site: Site) -> APIRouter:
    """`/api/me` and `/api/tokens`."""
    routes = APIRouter(tags=["tokens"])
    zone = site.settings.general.time_zone

    @routes.get("/api/me", summary="Who am I?", response_model=Me, responses=faults(401, 429))
    async def me(caller: Annotated[Caller, Depends(anyone)]) -> Response:
        """Answers also those whose limits are used up, and does not count as a request."""
        principal, used = caller.principal, site.gate.used(caller.principal)
        return JSONResponse(
            {
                "id": principal.id, "name": principal.name, "role": principal.role, "scope": principal.scope,
                "permissions": [permission for permission in sorted(ROLES[principal.role]) if principal.may(permission)],
                "limits": principal.limits.as_dict(), "today": used.as_dict(), "left": _left(principal, used),
                "resets": site.gate.day().end,
            }
        )  # fmt: skip

    @routes.get("/api/tokens", summary="Who may come in", response_model=TokenList)
    def list_tokens(
        caller: Admin, every: Annotated[bool, Query(description="Also those that opened something once.")] = False
    ) -> Response:
        """Tokens without their secrets, which nobody knows."""
        return _answer({"tokens": [token.as_dict() for token in caller.ledger.tokens.list(every=every)]})

    @routes.post("/api/tokens", status_code=201, summary="Make a token", response_model=IssuedShape)
    def create_token(asked: Issuing, caller: Admin) -> Response:
        """The only answer that ever holds it."""
        try:
            until = end_of("expires", asked.expires, zone)
        except QueryError as error:
            raise TokenError(str(error)) from None
        made = caller.ledger.tokens.create(
            asked.role, name=asked.name, expires=until, scope=asked.scope, limits=asked.limits.limits()
        )
        return _answer(made.as_dict(), 201)

    @routes.delete("/api/tokens/{token}", summary="Revoke a token", response_model=TokenShape, responses=faults(404))
    def revoke_token(
        caller: Admin,
        token: Annotated[str, Path(description="Its id, or the first 4 digits of it; never the token itself.")],
        reason: Annotated[str | None, Query(max_length=1000, description="For the record; sealed.")] = None,
    ) -> Response:
        """Within a second nobody gets in with it."""
        return _answer(caller.ledger.tokens.revoke(token, reason=reason).as_dict())

    return routes


def _left(principal: Principal, used: Used) -> dict[str, Any]:
    limits = principal.limits
    left = {
        name: None if limit is None else max(0, limit - spent)
        for name, limit, spent in (
            ("requests", limits.requests, used.requests),
            ("audio_s", limits.audio_us, used.audio_us),
            ("bytes", limits.bytes, used.bytes),
        )
    }
    return {**left, "audio_s": None if left["audio_s"] is None else left["audio_s"] / 1e6}


def _answer(content: dict[str, Any], status: int = 200) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"})
