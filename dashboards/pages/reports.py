"""Reports: every week that was published, to whom it went and whether it arrived, and one of them to be read in place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.events import now
from voxledger.dashboards.api.answering import matches, tag
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.analytics.publishing import Listed, Standing
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/reports", name=later("Reports"), icon="file-text", key="w", permission="usage", place=60)
CURRENT = "current"
_SHOWN, _MOST = 80, 1000
_BUILT = 8
"""Reports that are kept as pages: each holds the audio that it plays, some megabytes."""
_FRAMED = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'self'; sandbox"
    ),
    "X-Frame-Options": "SAMEORIGIN",
    "Cache-Control": "private, no-cache",
    "Vary": "Cookie",
}
"""A report brings its own styles and holds no script: it may have those and nothing else, in a sandbox, and only our page frames it."""
_WEEK = re.compile(r"[0-9]{4}-W[0-9]{2}")
_Week = Annotated[str, Path(alias="week", max_length=20)]
_Revision = Annotated[int | None, Query(ge=1, le=1_000_000)]
Reader = Annotated[Caller, Depends(entering("usage"))]


class OfWeek(msgspec.Struct, frozen=True, kw_only=True):
    """A week with its revisions, the newest first; none where nothing was published."""

    week: str
    number: int
    first: date
    last: date
    revisions: tuple[Listed, ...] = ()

    @property
    def newest(self) -> Listed | None:
        """What was published last."""
        return self.revisions[0] if self.revisions else None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What is read: a revision as it was published, or, without one, the week as it is known now."""

    week: OfWeek
    listed: Listed | None
    running: bool

    @property
    def name(self) -> str:
        """As it stands in addresses."""
        return CURRENT if self.running else self.week.week

    @property
    def query(self) -> str:
        """What its address says besides."""
        return f"?revision={self.listed.revision}" if self.listed else ""


def router(site: Site, page: Page) -> APIRouter:
    """`/reports`, one of them, and its page."""
    routes = page.routes()
    reports = Reports(site)

    @routes.get("/reports")
    def every(request: Request, caller: Reader, all: bool = False) -> Response:
        """The list, and beside it the newest one."""
        return page.show(request, caller, "reports/reports.html.j2", reports.values(caller, None, None, every=all))

    @routes.get("/reports/{week}")
    def one(
        request: Request, caller: Reader, week: _Week, revision: _Revision = None, all: bool = False, now: bool = False
    ) -> Response:
        """One of them beside the list: as it was published last, as a revision, or (`now`) as it is known now."""
        values = reports.values(caller, week, revision, every=all, anew=now)
        return page.show(request, caller, "reports/reports.html.j2", values)

    @routes.get("/reports/{week}/page")
    def framed(request: Request, caller: Reader, week: _Week, revision: _Revision = None) -> Response:
        """The report itself, as one page."""
        body = reports.html(caller, week, revision).encode()
        headers = {**_FRAMED, "ETag": tag(body)}
        if matches(request.headers.get("if-none-match"), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="text/html; charset=utf-8")

    return routes


class Reports:
    """What the page shows, and what of it is remembered."""

    def __init__(self, site: Site) -> None:
        self._zone = site.settings.general.time_zone
        self._standing: Kept[Standing | None] = Kept(5.0)
        self._built: Kept[str] = Kept(30.0, most=_BUILT, gone=site.gone.place)

    def values(
        self, caller: Caller, week: str | None, revision: int | None, *, every: bool, anew: bool = False
    ) -> Mapping[str, Any]:
        """Everything that the template says. Raises InvalidWeek, and Refused for a revision that there is not."""
        found = caller.ledger.reports.listed(limit=_MOST if every else _SHOWN + 1)
        weeks = [self._of(name, tuple(listed)) for name, listed in groupby(found, key=lambda each: each.week)]
        chosen = self._chosen(weeks, week, revision, anew=anew)
        return {
            "weeks": weeks, "further": not every and len(found) > _SHOWN, "chosen": chosen, "asked": week is not None,
            "standing": self._standing.get("", lambda: _standing(caller)), "newer": _beside(weeks, chosen, newer=True),
            "older": _beside(weeks, chosen, newer=False), "current": CURRENT,
        }  # fmt: skip

    def html(self, caller: Caller, week: str, revision: int | None) -> str:
        """A report as one page. Raises InvalidWeek, and Refused for a revision that there is not."""
        from voxledger.analytics.publishing import NotPublished
        from voxledger.analytics.report import load_audio, render_html

        reports = caller.ledger.reports
        if revision is None:
            wanted = None if week == CURRENT else self._of(week).week

            def build() -> str:
                report = reports.weekly(wanted)
                return render_html(report, load_audio(report))

            return self._built.get(wanted, build)
        try:
            report = reports.published(week, revision)
        except NotPublished as error:
            raise _none(str(error)) from None
        return render_html(report, load_audio(report))

    def _of(self, name: str, revisions: Sequence[Listed] = ()) -> OfWeek:
        from voxledger.analytics.report import Week

        week = Week.parse(name, self._zone)
        return OfWeek(
            week=str(week), number=week.number, first=week.days[0], last=week.days[-1], revisions=tuple(revisions)
        )

    def _chosen(self, weeks: Sequence[OfWeek], week: str | None, revision: int | None, *, anew: bool) -> Chosen | None:
        if week is None:
            return Chosen(week=weeks[0], listed=weeks[0].newest, running=False) if weeks else None
        if week == CURRENT:
            from voxledger.analytics.report import Week

            return Chosen(week=self._of(str(Week.of(now(), self._zone))), listed=None, running=True)
        wanted = self._of(week)
        found = next((each for each in weeks if each.week == wanted.week), wanted)
        listed = None if anew else found.newest
        if revision is not None:
            listed = next((each for each in found.revisions if each.revision == revision), None)
            if listed is None:
                raise _none(f"there is no revision {revision} of {found.week}")
        return Chosen(week=found, listed=listed, running=False)


def _standing(caller: Caller) -> Standing | None:
    """How the schedule stands; None where the settings are wrong, which the schedule on `/nodes` says."""
    try:
        return caller.ledger.reports.standing(now())
    except SettingsError:
        return None


def _beside(weeks: Sequence[OfWeek], chosen: Chosen | None, *, newer: bool) -> str | None:
    """The path of the report before or after the one that is read."""
    if chosen is None or (chosen.running and newer):
        return None
    name = chosen.week.week
    if newer:
        after = [each.week for each in weeks if each.week > name]
        return f"/reports/{after[-1] if after else CURRENT}"
    before = [each.week for each in weeks if each.week < name or (chosen.running and each.week <= name)]
    return f"/reports/{before[0]}" if before else None


def _none(message: str) -> Refused:
    return Refused(message, status=404, code="not_published", remedy="The list shows the reports that were made.")
