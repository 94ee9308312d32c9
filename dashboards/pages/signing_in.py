"""Signing in and out, and how one wants to see the pages: the routes that need nobody to be known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from voxledger.catalog.errors import AccessRefused
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.page import Page, local
from voxledger.dashboards.pages.viewer import THEMES
from voxledger.dashboards.pages.words import LANGUAGES
from voxledger.dashboards.server.callers import Caller, anyone
from voxledger.dashboards.server.principals import known, written
from voxledger.dashboards.server.visits import LIFE

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_YEAR = 365 * 86400
_Next = Annotated[str, Query(alias="next", max_length=2000)]


def router(site: Site, page: Page) -> APIRouter:
    """`/sign-in`, `/sign-out` and `/preferences`."""
    routes = page.routes()
    _add_signing_in(routes, site, page)
    _add_signing_out(routes, site)
    _add_preferring(routes, site)
    return routes


def _add_signing_in(routes: APIRouter, site: Site, page: Page) -> None:
    @routes.get("/sign-in")
    def sign_in(request: Request, next: _Next = "/", code: Annotated[str, Query(max_length=100)] = "") -> Response:
        """The form; with a code straight on where the browser says that no page from elsewhere leads here: else somebody has to want it."""
        if code and request.headers.get("sec-fetch-site") in ("none", "same-origin"):
            return _with_code(code, next, request, site, page)
        if not code and known(site, request.scope).principal is not None:
            return RedirectResponse(local(next), 303)
        return _form(request, page, next=next, code=code)

    @routes.post("/sign-in")
    def signs_in(
        request: Request,
        token: Annotated[str, Form(max_length=200)] = "",
        code: Annotated[str, Form(max_length=100)] = "",
        next: Annotated[str, Form(max_length=2000)] = "/",
    ) -> Response:
        """A token, or the code of a link, for a visit."""
        if code:
            return _with_code(code, next, request, site, page)
        try:
            principal = site.gate.principal(token.strip())
            site.gate.pace(principal)
        except AccessRefused as error:
            return _refused(error, request, site, page, next=next)
        return _welcome(site.visits.begin(principal), next, request, site)

    @routes.post("/sign-in/link")
    def link(request: Request, caller: Annotated[Caller, Depends(anyone)]) -> Response:
        """A link that signs its maker in elsewhere, once: what `voxledger open` asks for. A visit makes none: it would never end."""
        if not written(request.headers.get("authorization", "").encode("latin-1"))[1]:
            raise Refused(
                "only a token makes a link to sign in with, not a visit", status=401, code="no_token",
                headers={"WWW-Authenticate": "Bearer"}, remedy="Send `Authorization: Bearer TOKEN`, or run `voxledger open`.",
            )  # fmt: skip
        return JSONResponse({"path": site.visits.link(caller.principal)}, headers={"Cache-Control": "no-store"})


def _add_signing_out(routes: APIRouter, site: Site) -> None:
    def gone(request: Request) -> Response:
        onward = RedirectResponse("/sign-in", 303, {"Clear-Site-Data": '"cache"'})
        onward.delete_cookie(
            site.visits.cookie, path="/", httponly=True, samesite="strict", secure=_secure(request, site)
        )
        return onward

    @routes.post("/sign-out")
    def sign_out(request: Request) -> Response:
        """The visit ends."""
        if value := site.visits.given(request.scope["headers"]):
            site.visits.end(value)
        return gone(request)

    @routes.post("/sign-out/everywhere")
    def sign_out_everywhere(request: Request) -> Response:
        """All visits of whoever asks end, in other browsers too, however fast they ask."""
        if (principal := known(site, request.scope).principal) is not None:
            site.visits.end_all(principal)
        return gone(request)


def _add_preferring(routes: APIRouter, site: Site) -> None:
    @routes.post("/preferences")
    def prefer(
        request: Request,
        theme: Annotated[str, Form(max_length=10)] = "",
        language: Annotated[str, Form(max_length=10)] = "",
        next: Annotated[str, Form(max_length=2000)] = "/",
    ) -> Response:
        """Theme and language, remembered for a year."""
        back = RedirectResponse(local(next), 303)
        kept: dict[str, Any] = {
            "max_age": _YEAR,
            "path": "/",
            "samesite": "lax",
            "secure": _secure(request, site),
        }
        if theme in THEMES:
            back.set_cookie("theme", theme, **kept)
        if language in LANGUAGES:
            back.set_cookie("language", language, **kept)
        return back


def _with_code(code: str, next: str, request: Request, site: Site, page: Page) -> Response:
    try:
        value = site.visits.follow(code)
    except AccessRefused as error:
        return _refused(error, request, site, page, next=next)
    return _welcome(value, next, request, site)


def _welcome(value: str, next: str, request: Request, site: Site) -> Response:
    """Onward, with the cookie that scripts cannot read and other sites cannot send."""
    before = site.visits.given(request.scope["headers"])
    if before:
        site.visits.end(before)
    onward = RedirectResponse(local(next), 303, {"Cache-Control": "no-store"})
    onward.set_cookie(
        site.visits.cookie, value, max_age=LIFE, path="/", httponly=True, samesite="strict",
        secure=_secure(request, site),
    )  # fmt: skip
    return onward


def _secure(request: Request, site: Site) -> bool:
    """Whether browsers send a cookie by https only: where people come by it, also through a proxy that does not say so."""
    return request.url.scheme == "https" or site.settings.serve.url.lower().startswith("https:")


def _refused(error: AccessRefused, request: Request, site: Site, page: Page, *, next: str) -> Response:
    address = request.client.host if request.client else ""
    site.gate.denied(error.reason, principal=error.principal, address=address)
    hasty = error.reason == "rate"
    shown = _form(request, page, next=next, error=str(error), hasty=hasty, status=429 if hasty else 401)
    if hasty:
        shown.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return shown


def _form(
    request: Request, page: Page, *, next: str, code: str = "", error: str = "", hasty: bool = False, status: int = 200
) -> Response:
    host = urlsplit(str(request.url)).netloc
    values = {"next": local(next), "code": code, "error": error, "hasty": hasty, "host": host}
    return page.show(request, None, "sign_in.html.j2", values, status=status)
