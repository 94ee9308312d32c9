"""Signing in and out, and how one wants to see the pages: the routes that need nobody to be known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from voxledger.catalog.errors import AccessRefused
from voxledger.dashboards.pages.page import Page, local
from voxledger.dashboards.pages.viewer import THEMES
from voxledger.dashboards.pages.words import LANGUAGES
from voxledger.dashboards.server.callers import Caller, anyone
from voxledger.dashboards.server.principals import known
from voxledger.dashboards.server.visits import LIFE

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

_YEAR = 365 * 86400
_Next = Annotated[str, Query(alias="next", max_length=2000)]


def router(site: Site, page: Page) -> APIRouter:
    """`/sign-in`, `/sign-out` and `/preferences`."""
    routes = page.routes()

    @routes.get("/sign-in")
    def sign_in(request: Request, next: _Next = "/", code: Annotated[str, Query(max_length=100)] = "") -> Response:
        """The form; with a code straight on, unless a page from elsewhere leads here: then somebody has to want it."""
        if code and request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
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
        except AccessRefused as error:
            return _refused(error, request, site, page, next=next)
        return _welcome(site.visits.begin(principal), next, request, site)

    @routes.post("/sign-in/link")
    def link(caller: Annotated[Caller, Depends(anyone)]) -> Response:
        """A link that signs its maker in elsewhere, once: what `voxledger open` asks for."""
        return JSONResponse({"path": site.visits.link(caller.principal)}, headers={"Cache-Control": "no-store"})

    @routes.post("/sign-out")
    def sign_out(request: Request) -> Response:
        """The visit ends."""
        if value := site.visits.given(request.scope["headers"]):
            site.visits.end(value)
        gone = RedirectResponse("/sign-in", 303, {"Clear-Site-Data": '"cache"'})
        gone.delete_cookie(site.visits.cookie, path="/", httponly=True, samesite="strict")
        return gone

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
            "secure": request.url.scheme == "https",
        }
        if theme in THEMES:
            back.set_cookie("theme", theme, **kept)
        if language in LANGUAGES:
            back.set_cookie("language", language, **kept)
        return back

    return routes


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
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return onward


def _refused(error: AccessRefused, request: Request, site: Site, page: Page, *, next: str) -> Response:
    address = request.client.host if request.client else ""
    site.gate.denied(error.reason, principal=error.principal, address=address)
    return _form(request, page, next=next, error=str(error), status=401)


def _form(request: Request, page: Page, *, next: str, code: str = "", error: str = "", status: int = 200) -> Response:
    values = {"next": local(next), "code": code, "error": error, "host": urlsplit(str(request.url)).netloc}
    return page.show(request, None, "sign_in.html.j2", values, status=status)
