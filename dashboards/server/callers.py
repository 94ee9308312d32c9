"""Callers: who asks, and whether they may."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastapi import Request

from voxledger.catalog.access import PERMISSIONS, Permission, Principal
from voxledger.catalog.errors import AccessRefused, VoxledgerError
from voxledger.dashboards.server.answers import Refused
from voxledger.dashboards.server.principals import known, principal_of

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.catalog.events import Channel
    from voxledger.catalog.events.access import Denial
    from voxledger.dashboards.door import Door
    from voxledger.dashboards.server.site import Site

_TOKENS = "an admin makes tokens with `voxledger tokens create`"


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Whoever sent a request that is permitted. `ledger` records in their name."""

    principal: Principal
    ledger: Door
    site: Site

    def clip(self, reference: str) -> Clip:
        """A clip that this caller may see. Raises ClipNotFound for others, which are not there for them."""
        return self.ledger.catalog.clip(reference, actor=self.principal.sees)

    def made(
        self, make: Callable[[], Clip], *, text: str, speed: float | None, spoken_us: Callable[[], int] = lambda: 0
    ) -> Clip:
        """What `make` makes of a text for this caller, whose audio counts against their quota; what was there already costs nothing.

        What the text will be about is held back meanwhile; of what broke off, `spoken_us` counts. Raises Refused (429), and what
        `make` raises. Requests, and bytes that are sent, are counted without being told.
        """
        gate = self.site.gate
        with self.reserving(text, speed):
            try:
                clip = make()
            except VoxledgerError:
                if spoken := spoken_us():
                    gate.charge(self.principal, audio_us=spoken)
                raise
            if not clip.reused:
                gate.charge(self.principal, audio_us=clip.duration_us)
            return clip

    @contextmanager
    def reserving(self, text: str, speed: float | None = None) -> Iterator[None]:
        """What a text will be about is held back from this caller's quota until the block ends. Raises Refused (429)."""
        with ExitStack() as stack:
            try:
                stack.enter_context(self.site.gate.reserved(self.principal, text, speed))
            except AccessRefused as error:
                raise _refused(self.site, error) from None
            yield


class may:  # noqa: N801  # a dependency, named as it reads
    """A dependency of FastAPI: the caller, if role and limits permit this. Raises Refused (401, 403, 429)."""

    def __init__(self, permission: Permission) -> None:
        self.permission: Permission = permission

    async def __call__(self, request: Request) -> Caller:
        """Of FastAPI."""
        return permit(request, self.permission)


def permit(request: Request, permission: Permission) -> Caller:
    """The caller, if role and limits permit this; one request is counted. Raises Refused (401, 403, 429).

    What is made for somebody who is let in counts with `Caller.made`; so does what goes beyond a limit meanwhile.
    """
    site: Site = request.app.state.site
    principal = _paced(site, request)
    lacks = principal.lacks(permission)
    if lacks:
        site.gate.denied(lacks, principal=principal.id, address="")
        raise _forbidden(principal, permission, lacks)
    try:
        site.gate.admit(principal, speaking=permission == "speak")
    except AccessRefused as error:
        raise _refused(site, error, request) from None
    return Caller(principal=principal, ledger=site.ledger(principal, came_by(site, request)), site=site)


def came_by(site: Site, request: Request) -> Channel:
    """How somebody came: `web` for our own pages, which send no token but a visit, or nothing where nobody signs in; else `api`."""
    headers = request.headers
    if "authorization" in headers:
        return "api"
    ours = headers.get("sec-fetch-site") == "same-origin" or site.visits.given(request.scope["headers"])
    return "web" if ours else "api"


async def anyone(request: Request) -> Caller:
    """A dependency of FastAPI: whoever has a token, whatever they may and whatever they have used up. Raises Refused (401, 429)."""
    site: Site = request.app.state.site
    principal = _paced(site, request)
    return Caller(principal=principal, ledger=site.ledger(principal, came_by(site, request)), site=site)


def identified(site: Site, request: Request) -> Principal:
    """Who asks, looked up anew: a token may have ended since the request began. Raises Refused (401) for nobody known."""
    try:
        return principal_of(site, request.scope)
    except AccessRefused as error:
        raise _refused(site, error, request) from None


def still(caller: Caller, request: Request) -> None:
    """Whoever asks is, looked up anew, who they were: for answers that go on. Raises Refused (401)."""
    if identified(caller.site, request) != caller.principal:
        raise Refused("what this token may do has changed", status=401, code="token_changed", remedy="Ask again.")


def _paced(site: Site, request: Request) -> Principal:
    """Who asks, and no faster than they may. Raises Refused (401, 429)."""
    found = known(site, request.scope)
    if found.refusal is not None:
        raise _refused(site, found.refusal, request)
    assert found.principal is not None
    return found.principal


def _refused(site: Site, error: AccessRefused, request: Request | None = None) -> Refused:
    """The answer to somebody who is not let in, which is counted."""
    address = request.client.host if request and request.client else ""
    site.gate.denied(error.reason, principal=error.principal, address=address)
    if error.reason in ("rate", "quota"):
        seconds = max(1, math.ceil(error.retry_after))
        return Refused(
            str(error), status=429, code=error.reason, headers={"Retry-After": str(seconds)},
            remedy=f"Ask again in {seconds:,} s, or ask an admin for a token with other limits.",
        )  # fmt: skip
    return Refused(
        str(error), status=401, code=error.reason.replace(" ", "_"), headers={"WWW-Authenticate": "Bearer"},
        remedy=f"Send `Authorization: Bearer TOKEN`; {_TOKENS}.",
    )  # fmt: skip


def _forbidden(principal: Principal, permission: Permission, lacks: Denial) -> Refused:
    what = f"this takes the permission `{permission}` ({PERMISSIONS[permission]})"
    if lacks == "role":
        message, remedy = f"{what}, which the role {principal.role} lacks", "with another role"
    else:
        message, remedy = f"{what}, which is for those who see everybody's clips", "with the scope `all`"
    return Refused(message, status=403, code=lacks, remedy=f"Ask an admin for a token {remedy}.")
