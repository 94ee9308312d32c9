"""Principals: who sends a request, told by its head alone, before anything of its body is read."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from voxledger.catalog.access import Principal
from voxledger.catalog.errors import AccessRefused
from voxledger.dashboards.server.hosts import means_loopback

if TYPE_CHECKING:
    from starlette.types import Scope

    from voxledger.dashboards.server.site import Site

_PASSED_ON = (b"forwarded", b"via", b"x-forwarded-", b"x-real-ip")
"""How headers begin that a proxy adds. Whoever stands before it is anybody, wherever the proxy itself is."""

_ELSEWHERE = (b"cross-site", b"same-site")
"""What `Sec-Fetch-Site` says of pages of others; those of other ports of this machine are `same-site`."""


class Known:
    """Who sends a request, and whether they may ask now: resolved once, and kept with the request for its route.

    Whether a denial counts is the route's to say: some need nobody to be known.
    """

    __slots__ = ("principal", "refusal")

    def __init__(self, site: Site, scope: Scope) -> None:
        """One request of the token's rate is taken."""
        self.principal: Principal | None = None
        self.refusal: AccessRefused | None = None
        try:
            self.principal = principal_of(site, scope)
            site.gate.pace(self.principal)
        except AccessRefused as error:
            self.refusal = error.with_traceback(None)  # which would hold all of the request


def known(site: Site, scope: Scope) -> Known:
    """Who sends this request; what was found before is found again."""
    state = scope.setdefault("state", {})
    found: Known | None = state.get("known")
    if found is None:
        found = state["known"] = Known(site, scope)
        if found.principal is not None:
            state["principal"] = found.principal
    return found


def principal_of(site: Site, scope: Scope) -> Principal:
    """Who sends a request. Raises AccessRefused for nobody known."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    scheme, given = written(next((value for name, value in headers if name == b"authorization"), b""))
    if not given:
        if visit := site.visits.given(headers):
            return site.visits.principal(visit)
        if site.settings.serve.tokens == "loopback" and site.loopback:
            return _whoever_is_here(site, headers)
        raise AccessRefused("no token was sent", reason="no token")
    if scheme.lower() != "bearer":
        raise AccessRefused("only the scheme `Bearer` is known here", reason="no token")
    if site.secret and hmac.compare_digest(given.encode(), site.secret.encode()):
        return site.owner
    return site.gate.principal(given)


def written(authorization: bytes) -> tuple[str, str]:
    """The scheme and the token of a header `Authorization`; both may be empty."""
    scheme, _, given = authorization.decode("latin-1").partition(" ")
    return scheme, given.strip()


def _whoever_is_here(site: Site, headers: list[tuple[bytes, bytes]]) -> Principal:
    """The owner, where `serve.tokens = "loopback"` and nothing says that the request comes from elsewhere. Raises AccessRefused."""
    if any(name.startswith(_PASSED_ON) for name, _ in headers):
        raise AccessRefused("a request that came through a proxy needs a token", reason="no token")
    heads = dict(reversed(headers))  # the first of each counts
    if heads.get(b"sec-fetch-site") in _ELSEWHERE and not _is_followed(heads):
        raise AccessRefused("a page from elsewhere asks nothing here without a token", reason="no token")
    if not means_loopback(heads.get(b"host", b"")):
        raise AccessRefused("without a token this node is asked under a name of loopback only", reason="no token")
    return site.owner


def _is_followed(heads: dict[bytes, bytes]) -> bool:
    """Whether somebody goes here by a link: then no page from elsewhere gets at the answer, or shows it within itself."""
    return heads.get(b"sec-fetch-mode") == b"navigate" and heads.get(b"sec-fetch-dest") == b"document"
