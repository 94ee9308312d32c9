"""The viewer: how somebody wants to see the pages. Cookies remember it, and say nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple
from urllib.parse import unquote

from starlette.requests import Request

from voxledger.dashboards.pages.moments import ZONE, known
from voxledger.dashboards.pages.words import SPOKEN, TAGS, preferred

Theme = Literal["auto", "light", "dark"]
THEMES: tuple[Theme, ...] = ("auto", "light", "dark")


class Viewer(NamedTuple):
    """Language, IANA time zone and theme of whoever asks."""

    language: str
    zone: str
    theme: Theme

    @classmethod
    def of(cls, request: Request, *, zone: str) -> Viewer:
        """From cookies, else what the browser wishes, else the node's `zone`."""
        theirs = unquote(request.cookies.get("zone", ""))
        theme = request.cookies.get("theme")
        return cls(
            language=preferred(request.cookies.get("language"), request.headers.get("accept-language")),
            zone=theirs if theirs and len(theirs) < 64 and known(theirs) else zone,
            theme=next((each for each in THEMES if each == theme), "auto"),
        )

    @property
    def tag(self) -> str:
        """The language as HTML names it."""
        return TAGS[self.language]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Words and times are this viewer's until the block ends."""
        spoken, zone = SPOKEN.set(self.language), ZONE.set(self.zone)
        try:
            yield
        finally:
            SPOKEN.reset(spoken)
            ZONE.reset(zone)
