"""The page: a template with what every page shows around it, or the one part of it that htmx asks for."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import jinja2
import msgspec
import zstandard
from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from voxledger.analytics.report import wording
from voxledger.catalog.access import Permission
from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.api.answering import matches, tag
from voxledger.dashboards.observing.requests import template as route_of
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.assets import Assets
from voxledger.dashboards.pages.viewer import Viewer
from voxledger.dashboards.pages.words import LANGUAGES, say, say_many
from voxledger.dashboards.server.answers import UNEXPECTED, Refused, answer, meaning
from voxledger.dashboards.server.callers import Caller, may, permit
from voxledger.dashboards.server.principals import known

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may load and do: only what this node serves, and nothing that stands in the page itself.

A frame shows a weekly report, which is sandboxed; every other answer of this node lets nobody frame it. The page before may have
been loaded with any of ours, so all have the same policy.
"""
_LONGEST = 2000
_SMALL = 1000
_STREAM = "text/event-stream"
_log = logging.getLogger(__name__)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A page in the rail: `name` is English, `icon` a file of `icons/`, `key` the letter behind `g` that goes there."""

    path: str
    name: str
    icon: str
    key: str
    permission: Permission
    place: int
    """Where it stands; the smallest first."""


class entering(may):  # noqa: N801  # a dependency, named as it reads
    """A dependency of FastAPI: the caller of a page, as `may` finds them; who is nobody is sent to sign in."""

    async def __call__(self, request: Request) -> Caller:
        """Of FastAPI."""
        refusal = known(request.app.state.site, request.scope).refusal
        if refusal is not None and refusal.reason not in ("rate", "quota"):
            raise SignIn(request)
        caller = permit(request, self.permission)
        return replace(caller, ledger=caller.site.ledger(caller.principal, "web"))


class SignIn(Refused):
    """Nobody known asks for a page: they are sent to where one signs in, and come back from there."""

    def __init__(self, request: Request) -> None:
        super().__init__("sign in first", status=401, code="no_token", remedy="Sign in, and ask again.")
        if request.headers.get("hx-request") or request.method != "GET":
            # What a fragment asks for is no page; the page that it belongs to says where it is itself.
            current = urlsplit(request.headers.get("hx-current-url", ""))
            self.back = f"{current.path or '/'}{f'?{current.query}' if current.query else ''}"
        else:
            self.back = here(request)


class Page:
    """Renders the pages of one site."""

    def __init__(self, site: Site, entries: Sequence[Entry]) -> None:
        """`entries`: the pages that there are."""
        self.site = site
        self.assets = Assets()
        self.entries = tuple(sorted(entries, key=lambda entry: entry.place))
        self.zone = site.settings.general.time_zone
        """The node's own, for those who tell none."""
        self._templates = _environment(self.assets)

    def routes(self) -> APIRouter:
        """A router for pages: what goes wrong is told as a page too, or as JSON to what asks for a part of one."""
        page = self

        class PageRoute(APIRoute):
            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                handle = super().get_route_handler()
                return partial(page._guarded, handle)

        return APIRouter(route_class=PageRoute, include_in_schema=False)

    def viewer(self, request: Request) -> Viewer:
        """How whoever asks wants to see it."""
        return Viewer.of(request, zone=self.zone)

    def show(
        self,
        request: Request,
        caller: Caller | None,
        template: str,
        values: Mapping[str, Any],
        *,
        blocks: Collection[str] = (),
        status: int = 200,
    ) -> Response:
        """The whole page, or the block of it whose name is the id of htmx's target, if it is among `blocks`.

        Without a caller nothing around it is shown. An answer that the client has already is a 304.
        """
        body = self.rendered(request, caller, template, values, block=self.part(request, blocks)).encode()
        headers = {
            "Content-Security-Policy": POLICY,
            "Cache-Control": "private, no-cache",
            "Vary": "Cookie, Accept-Encoding, HX-Request, HX-Target",
            "Referrer-Policy": "same-origin",  # without one, forms would be sent as if by nobody's page
        }
        if status == 200:
            headers["ETag"] = tag(body)
            if matches(request.headers.get("if-none-match"), headers["ETag"]):
                return Response(status_code=304, headers=headers)
        coding, sent = _packed(body, request.headers.get("accept-encoding", ""))
        if coding:
            headers["Content-Encoding"] = coding
        return Response(sent, status, headers, "text/html; charset=utf-8")

    def part(self, request: Request, blocks: Collection[str]) -> str | None:
        """Which of these blocks htmx asks for; None for the whole page."""
        wanted = request.headers.get("hx-target", "")
        return wanted if wanted in blocks and _is_fragment(request) else None

    def rendered(
        self,
        request: Request,
        caller: Caller | None,
        template: str,
        values: Mapping[str, Any],
        *,
        block: str | None = None,
    ) -> str:
        """The same as text: for what is sent in another way."""
        viewer = self.viewer(request)
        found = self._templates.get_template(template)
        principal = caller.principal if caller else None
        told = {
            "viewer": viewer,
            "languages": LANGUAGES,
            "me": principal,
            "may": principal.may if principal else lambda _: False,
            "rail": [entry for entry in self.entries if principal and principal.may(entry.permission)],
            "path": request.url.path,
            "here": here(request),
            "version": self.site.version,
            "link": self.link,
            "signed_in": bool(self.site.visits.given(request.scope["headers"])),
            **values,
        }
        with viewer.looking():
            if block is None:
                return found.render(told)
            context = found.new_context(told)
            return "".join(found.blocks[block](context))

    def link(self, path: str) -> str | None:
        """The address of a page, with its query, if there is that page."""
        wanted = urlsplit(path).path
        return path if any(entry.path == wanted for entry in self.entries) else None

    def told(self, request: Request, refused: Refused) -> Response:
        """An error as a page."""
        caller = None
        found = known(self.site, request.scope)
        if found.principal is not None:
            caller = Caller(principal=found.principal, ledger=self.site.ledger(found.principal, "web"), site=self.site)
        said = {"message": str(refused), "remedy": refused.remedy, "status": refused.status, "code": refused.code}
        shown = self.show(request, caller, "error.html.j2", said, status=refused.status)
        shown.headers.update(refused.headers)
        return shown

    async def _guarded(self, handle: Callable[[Request], Coroutine[Any, Any, Response]], request: Request) -> Response:
        try:
            return await handle(request)
        except SignIn as error:
            return _to_sign_in(request, error)
        except VoxledgerError as error:
            refused = meaning(error)
        except RequestValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
            refused = Refused(
                f"{place or 'the address'}: {first['msg']}", status=422, code="invalid", remedy=say("Check the address."), param=place
            )  # fmt: skip
        except HTTPException:
            raise
        except Exception as error:  # noqa: BLE001  # a defect of ours is told as a page, too
            _log.error("%s %s failed", request.method, route_of(request.scope), exc_info=error)
            refused = UNEXPECTED
        part = request.headers.get("hx-request") and not request.headers.get("hx-boosted")
        if part or _STREAM in request.headers.get("accept", ""):
            return answer(refused)  # app.js shows it
        return self.told(request, refused)


def here(request: Request) -> str:
    """Path and query of a request."""
    query = request.url.query
    return f"{request.url.path}{f'?{query}' if query else ''}"


def local(target: str | None) -> str:
    """Where to go next, if that is a page of ours; `/` for everything else."""
    ours = target is not None and target.startswith("/") and not target.startswith(("//", "/sign-"))
    if target is None or not ours or "\\" in target or not target.isprintable() or len(target) > _LONGEST:
        return "/"
    return target


def _to_sign_in(request: Request, error: SignIn) -> Response:
    address = f"/sign-in?next={quote(local(error.back), safe='')}" if local(error.back) != "/" else "/sign-in"
    if _STREAM in request.headers.get("accept", ""):
        return answer(error)
    if request.headers.get("hx-request"):
        return Response(status_code=401, headers={"HX-Redirect": address})
    return RedirectResponse(address, 303)


def _packed(body: bytes, accepted: str) -> tuple[str, bytes]:
    """How a page travels: a fiftieth of the time that it takes to write it makes it a tenth as long."""
    if len(body) < _SMALL:
        return "", body
    if "zstd" in accepted:
        return "zstd", zstandard.compress(body, 3)
    if "gzip" in accepted:
        return "gzip", gzip.compress(body, 5, mtime=0)
    return "", body


def _is_fragment(request: Request) -> bool:
    """Whether htmx asks for a part: neither for a page that it goes to nor for one that it comes back to."""
    headers = request.headers
    return bool(headers.get("hx-request")) and not (
        headers.get("hx-boosted") or headers.get("hx-history-restore-request")
    )


def _environment(assets: Assets) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("voxledger.dashboards.pages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(say, say_many, newstyle=True)  # type: ignore[attr-defined]  # of the extension
    made.filters.update(moments.FILTERS)
    made.globals.update(title_of=wording.title, asset=assets, icon=icon, change=moments.change, NOTHING=moments.NOTHING)
    # Macros for all pages: `{{ ui.badge(…) }}`. Language and zone are those of whoever asks, so they need no context.
    made.globals["ui"] = made.get_template("parts/ui.html.j2").module
    return made


@cache
def icon(name: str, size: int = 16) -> Markup:
    """An icon of `icons/`, which says nothing to a screen reader. Raises FileNotFoundError."""
    drawn = (files("voxledger.dashboards.pages") / "icons" / f"{name}.svg").read_text(encoding="utf-8")
    return Markup(  # noqa: S704  # a file of ours
        f'<svg class="icon" width="{size}" height="{size}" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{drawn}</svg>'
    )
