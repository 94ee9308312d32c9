"""Tokens and roles: who may come in, as what, with which limits, who was turned away, and who one is oneself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from voxledger.catalog.access import PERMISSIONS, ROLES, SCOPES
from voxledger.catalog.queries import load
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.catalog.access import Token
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/tokens", name=later("Tokens and roles"), icon="key-round", key="t", permission="read", place=80)
MAY: Mapping[str, str] = MappingProxyType({
    "read": later("find and hear clips, their texts and histories; see voices and models"),
    "usage": later("see metrics, reports, the state of the node, and what retention would do"),
    "sql": later("ask SQL, export, and follow events"),
    "speak": later("make clips and batches of them"),
    "curate": later("tag, rate and pin clips"),
    "voices": later("register voices"),
    "retain": later("place and release holds, apply retention plans, undo and restore"),
    "admin": later("everything else: tokens, legal holds, speaking in other names, sending reports"),
})  # fmt: skip
"""What each permission allows, in the words of `PERMISSIONS`."""
FOR: Mapping[str, str] = MappingProxyType({
    "viewer": later("Listens, and reads numbers and reports"),
    "analyst": later("The same, and asks SQL and exports"),
    "creator": later("Makes clips, sees only what was made in the own name"),
    "curator": later("Makes, judges, keeps and lets go"),
    "admin": later("May do everything"),
})  # fmt: skip
"""Whom each role is for."""
WHY: Mapping[str, str] = MappingProxyType({
    "no token": later("sent no token"),
    "unknown token": later("sent a token that opens nothing"),
    "expired": later("sent a token that has expired"),
    "revoked": later("sent a token that was revoked"),
    "role": later("wanted what the role does not permit"),
    "scope": later("wanted what is for those who see everybody's clips"),
    "quota": later("had used up the quota of the day"),
    "rate": later("asked faster than allowed"),
})  # fmt: skip
"""Why somebody was turned away."""
SQL = load("tokens.sql", "voxledger.dashboards.pages")
_LATELY = timedelta(days=7)
_DENIALS = 30
_PAGE = 50
_SOON = timedelta(days=7)
Looker = Annotated[Caller, Depends(entering("read"))]


def router(site: Site, page: Page) -> APIRouter:
    """`/tokens`. Tokens are made and revoked with `/api/tokens`."""
    routes = page.routes()
    denied: Kept[Sequence[dict[str, Any]]] = Kept(10.0, gone=site.gone.place)

    @routes.get("/tokens")
    def show(
        request: Request,
        caller: Looker,
        every: bool = False,
        q: Annotated[str, Query(max_length=200)] = "",
        after: Annotated[str, Query(max_length=12)] = "",
    ) -> Response:
        """For everybody who they are and what roles may; for admins also the tokens."""
        values: dict[str, Any] = {
            **_myself(site, caller),
            "permissions": MAY,
            "roles": ROLES,
            "for": FOR,
            "scopes": SCOPES,
        }
        if caller.principal.may("admin"):
            values |= _listed(caller, every=every, q=q.strip(), after=after)
            values["denials"] = denied.get("", lambda: denials(caller))
            values["why"] = WHY
        return page.show(request, caller, "tokens/tokens.html.j2", values, blocks={"list"})

    return routes


def denials(caller: Caller) -> Sequence[dict[str, Any]]:
    """Who was turned away in the last days, the newest first. Raises QueryError."""
    with asked(caller, fresh=False) as reading:
        return reading.rows(SQL["denied"], {"since": datetime.now(UTC) - _LATELY, "limit": _DENIALS})


def _myself(site: Site, caller: Caller) -> dict[str, Any]:
    principal = caller.principal
    return {
        "allowed": [name for name in PERMISSIONS if principal.may(name)], "used": site.gate.used(principal),
        "resets": site.gate.day().end,
    }  # fmt: skip


def _listed(caller: Caller, *, every: bool, q: str, after: str) -> dict[str, Any]:
    """One page of tokens, the newest first."""
    known = caller.ledger.tokens.list(every=True)[::-1]
    found = [(at, token) for at, token in enumerate(known) if (every or token.state == "valid") and _fits(token, q)]
    # The token where the page before ended keeps its place among all of them, also when it is not listed any more.
    place = next((at for at, token in enumerate(known) if token.id == after), -1)
    rest = [token for at, token in found if at > place]
    shown, more = rest[:_PAGE], len(rest) > _PAGE
    return {
        "tokens": shown, "total": len(found), "others": len(known) - sum(token.state == "valid" for token in known), "every": every,
        "q": q, "after": after, "next": shown[-1].id if more else None, "names": {token.id: token.name for token in known},
        "soon": datetime.now(UTC) + _SOON,
    }  # fmt: skip


def _fits(token: Token, q: str) -> bool:
    return (
        not q
        or q.casefold() in (token.name or "").casefold()
        or token.id.startswith(q.lower())
        or token.role == q.lower()
    )
