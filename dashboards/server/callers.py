"""Callers: who asks, and whether they may."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from voxledger.catalog.access import LOCAL, PERMISSIONS, Permission, Principal
from voxledger.catalog.errors import AccessRefused
from voxledger.dashboards.server.answers import Refused

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.dashboards.door import Door
    from voxledger.dashboards.server.site import Site


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent a request that is permitted. `ledger` records in their name."""

    principal: Principal
    ledger: Door
    site: Site

    def clip(self, reference: str) -> Clip:
        """A clip that this caller may see. Raises ClipNotFound for others, which are not there for them."""
        return self.ledger.catalog.clip(reference, actor=self.principal.sees)


def may(permission: Permission) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency of FastAPI: the caller, if their role permits this. Raises Refused (401, 403, 429)."""

    async def permitted(request: Request) -> Caller:
        site: Site = request.app.state.site
        principal = identified(site, request)
        request.state.principal = principal
        lacks = principal.lacks(permission)
        if lacks:
            raise _forbidden(principal, permission, lacks)
        return Caller(principal=principal, ledger=site.ledger(principal), site=site)

    return permitted


def _forbidden(principal: Principal, permission: Permission, lacks: str) -> Refused:
    if lacks == "role":
        message, remedy = f"the role {principal.role} may not {PERMISSIONS[permission]}", "with another role"
    else:
        message, remedy = f"whoever sees their own clips only may not {PERMISSIONS[permission]}", "with the scope `all`"
    return Refused(message, status=403, code=lacks, remedy=f"Ask an admin for a token {remedy}.")


def identified(site: Site, request: Request) -> Principal:
    """Who asks. Raises Refused (401) for nobody known."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip()
    if not given:
        if site.settings.serve.tokens == "loopback" and site.loopback:
            return _owner(site)
        raise _unknown("no token was sent", "no_token")
    if scheme.lower() != "bearer":
        raise _unknown(f"the scheme {scheme[:20]!r} is not known here", "no_token")
    if site.secret and hmac.compare_digest(given.encode(), site.secret.encode()):
        return _owner(site)
    try:
        return site.gate.principal(given)
    except AccessRefused as error:
        raise _unknown(str(error), error.reason.replace(" ", "_")) from None


def _owner(site: Site) -> Principal:
    return Principal(id=LOCAL, name=site.door.actor, role="admin")


def _unknown(message: str, code: str) -> Refused:
    return Refused(
        message,
        status=401,
        code=code,
        remedy="Send `Authorization: Bearer TOKEN`; an admin makes tokens with `voxledger tokens create`.",
        headers={"WWW-Authenticate": "Bearer"},
    )
