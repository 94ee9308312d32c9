"""The studio: a text, a voice and an emotion become a clip, heard while it is made, and the best of several takes is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import FileResponse, Response

from voxledger.catalog.access import PERMISSIONS, ROLES
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.events import EMOTIONS
from voxledger.dashboards.api.making import Making
from voxledger.dashboards.api.models import presets_of
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.studio.casting import Casting
from voxledger.dashboards.pages.studio.offering import OTHER, RULES, Offering
from voxledger.dashboards.pages.studio.reading import fault, read
from voxledger.dashboards.pages.studio.setting import Setting
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller
from voxledger.synth.formats import FORMATS
from voxledger.synth.studio.request import DEFAULT_SESSION

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/studio", name=later("Studio"), icon="audio-waveform", key="s", permission="speak", place=40)
Looker = Annotated[Caller, Depends(entering("read"))]
Speaker = Annotated[Caller, Depends(entering("speak"))]
_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "ogg": "audio/ogg"}


def router(site: Site, page: Page) -> APIRouter:
    """`/studio`, and what it asks for while somebody writes."""
    routes = page.routes()
    studio = Studio(site, page)
    site.at_stop(studio.offering.close)

    @routes.get("/studio")
    def show(request: Request, caller: Looker, q: Annotated[str, Query(max_length=200)] = "") -> Response:
        """All of it; for who may not speak, who can."""
        if not caller.principal.may("speak"):
            values: dict[str, Any] = {
                "why": PERMISSIONS["speak"],
                "who": [role for role in ROLES if "speak" in ROLES[role]],
            }
            return page.show(request, caller, "studio/closed.html.j2", values)
        values = studio.values(Setting.of(dict(request.query_params)), caller, q)
        return page.show(request, caller, "studio/studio.html.j2", values, blocks={"settings", "voices"})

    @routes.post("/studio/reading")
    def reading(wanted: Making, caller: Looker) -> dict[str, Any]:
        """What will become of this; nothing is made and nothing recorded, so that it is told also when a quota is used up."""
        return studio.reading(wanted, caller)

    @routes.get("/studio/recordings/{sha256}")
    def recording(caller: Speaker, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]) -> Response:
        """A registered recording, for whoever may speak with it: while the consent to it lasts."""
        found = caller.ledger.voices.resolve(sha256)
        kind = _TYPES.get(found.path.suffix[1:].lower(), "application/octet-stream")
        return FileResponse(found.path, media_type=kind, headers={"Cache-Control": "private, no-store"})

    return routes


class Studio:
    """What the page shows."""

    def __init__(self, site: Site, page: Page) -> None:
        self.offering = Offering(site.settings)
        self._casting = Casting(site)
        self._site = site
        self._page = page

    def values(self, setting: Setting, caller: Caller, searched: str) -> dict[str, Any]:
        """Everything that the template says."""
        engines = self.offering.all()
        chosen = self.offering.chosen(setting.engine)
        usual, info = self.offering.chosen(""), chosen.info if chosen else None
        try:
            presets: list[dict[str, Any]] = presets_of(self._site)
            unreadable = ""
        except VoxledgerError as error:  # a file that somebody wrote by hand
            presets, unreadable = [], str(error)
        limits = caller.principal.limits
        return {
            "setting": setting, "engines": engines, "chosen": chosen, "info": info, "emotions": EMOTIONS,
            "engine_name": chosen.name if chosen else setting.engine,
            "usual": usual.name if usual else "", "presets": presets, "unreadable": unreadable,
            "rule": RULES.get(chosen.name if chosen else "", OTHER), "cast": self._casting.of(caller, info, searched),
            "searched": searched, "voice": self._casting.named(caller, setting.voice) if setting.voice else None,
            "formats": tuple(FORMATS), "longest": self._site.settings.synth.max_text, "session": DEFAULT_SESSION,
            "usable": any(each.info for each in engines), "sparing": limits.rate is not None or limits.requests is not None,
        }  # fmt: skip

    def reading(self, wanted: Making, caller: Caller) -> dict[str, Any]:
        """What will become of a request. Raises InvalidEmotion, UnknownEngine, EngineUnavailable."""
        name = wanted.engine or self.offering.usual
        info = self.offering.info(name)
        told = read(wanted, info.languages if info else (), lambda emotion: self.offering.effective(name, emotion))
        if wanted.text.strip():
            try:
                caller.ledger.studio.asked(wanted.text, wanted.options(caller))  # type: ignore[arg-type]  # the model has the same keys
            except VoxledgerError as error:
                told = msgspec.structs.replace(told, faults=(*told.faults, fault("request", error)))
        shaped: dict[str, Any] = msgspec.to_builtins(told)
        return shaped
