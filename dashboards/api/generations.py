"""Generations: attempts to make a clip, those that failed or were cancelled too."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.events import Channel
from voxledger.catalog.queries import load
from voxledger.catalog.query.moment import moment_of
from voxledger.dashboards.api.answering import Unchanged, asked, position
from voxledger.dashboards.api.audio import Reader
from voxledger.dashboards.api.listing import not_yours
from voxledger.dashboards.api.positions import Positions
from voxledger.dashboards.api.shapes import Shape, faults

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site

_SQL = load("generations.sql", "voxledger.dashboards.api")
_NAMED = ("outcome", "actor", "engine", "channel", "language", "emotion")


class Attempts(BaseModel):
    """Attempts that somebody asks for."""

    model_config = ConfigDict(extra="forbid")

    outcome: Literal["completed", "failed", "cancelled", "reused"] | None = None
    actor: str | None = Field(None, max_length=500)
    engine: str | None = Field(None, max_length=100, examples=["espeak"])
    channel: Channel | None = None
    language: str | None = Field(None, max_length=100, description="`en` includes `en-GB`.")
    emotion: str | None = Field(None, max_length=100)
    since: str | None = Field(None, max_length=100, description="A moment, a day, or `7d`.", examples=["7d"])
    until: str | None = Field(None, max_length=100, description="A moment, or a day; it ends before that.")
    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=100, description="`next` of the page before.")
    as_of: str | None = Field(None, max_length=100, description="How it was at that moment.")
    fresh: bool = True


class Attempt(Shape):
    """An attempt and how it ended. Times with `_us` are microseconds; what does not apply is null."""

    position: int | None = Field(description="Its place in the log; null for who sees only the own clips.")
    time: datetime
    outcome: Literal["completed", "failed", "cancelled", "reused"]
    clip: str | None = Field(description="The clip that was made or reused, or would have been made.")
    actor: str | None
    channel: str | None
    features: list[str]
    engine: str | None
    engine_version: str | None
    model: str | None
    language: str | None
    voice: str | None
    emotion: str | None
    dropped: list[str] | None
    text_length: int | None
    take: int | None
    format: str | None
    sample_rate: int | None
    segments: int | None
    duration_us: int | None
    bytes: int | None
    queue_us: int | None
    load_us: int | None
    synthesis_us: int | None
    audio_us: int | None
    encode_us: int | None
    elapsed_us: int | None
    saved_us: int | None
    first_us: int | None
    streamed: bool | None
    suspect: list[str] | None
    failure: str | None
    stage: str | None
    remedy: str | None
    delivered_us: int | None


class AttemptPage(Shape):
    """A page of attempts, the newest first. `next` is the cursor of the next page."""

    generations: list[Attempt]
    next: str | None
    position: int | None


def router(site: Site) -> APIRouter:
    """`/api/generations`."""
    routes = APIRouter(tags=["generations"])
    unchanged = Unchanged()
    positions = Positions(site.door.vault)
    zone = site.settings.general.time_zone

    @routes.get(
        "/api/generations",
        summary="A page of attempts to make a clip",
        response_model=AttemptPage,
        responses={304: {"description": "The client has it."}, **faults()},
    )
    def list_generations(request: Request, attempts: Annotated[Attempts, Query()], caller: Reader) -> Response:
        """The newest first. Who sees only the own clips sees only the own attempts."""
        question = attempts.model_dump_json()
        known = unchanged.answer(request, caller, question)
        if known is not None:
            return known
        certain = attempts.fresh and attempts.as_of is None and attempts.since is None and attempts.until is None
        head = caller.ledger.journal.head() if certain else None
        values = {**_values(attempts, caller, zone), **_after(positions.read(attempts.cursor, caller))}
        with asked(caller, fresh=attempts.fresh, as_of=moment_of("as_of", attempts.as_of, zone)) as reading:
            rows, following = _page(reading, values, attempts.limit)
            place = position(reading)
        if caller.principal.sees is not None:
            rows = [{**row, "position": None} for row in rows]
        content = {"generations": rows, "next": positions.cursor(following, caller)}
        return unchanged.json(content, request, caller, place, asked=question, head=head)

    return routes


def _values(attempts: Attempts, caller: Caller, zone: str) -> dict[str, Any]:
    """What is asked for, by the names of the conditions."""
    found = {name: getattr(attempts, name) for name in _NAMED}
    own = caller.principal.sees
    if own is not None:
        if attempts.actor not in (None, own):
            raise not_yours()
        found["actor"] = own
    found["since"] = moment_of("since", attempts.since, zone, day="start")
    found["until"] = moment_of("until", attempts.until, zone, day="start")
    return {name: value for name, value in found.items() if value is not None}


def _after(place: int | None) -> dict[str, Any]:
    return {} if place is None else {"cursor": place}


def _page(reading: Reading, values: dict[str, Any], limit: int) -> tuple[list[dict[str, Any]], int | None]:
    outcome = values.get("outcome")
    found: list[int] = []
    if outcome in (None, "completed"):
        given = {name: value for name, value in values.items() if name != "outcome"}
        found += _places(reading, "completed", given, limit, time="created")
    if outcome != "completed":
        found += _places(reading, "others", values, limit, time="time")
    found.sort(reverse=True)
    if not found:
        return [], None
    rows = reading.rows(_SQL["rows"], {"positions": found[:limit]})
    return rows, found[limit - 1] if len(found) > limit else None


def _places(reading: Reading, query: str, values: dict[str, Any], limit: int, *, time: str) -> list[int]:
    """Where they are in the log; one more than the page holds says whether there is a next one."""
    conditions = " AND ".join(["true", *(_SQL[name].format(time=time) for name in values)])
    found = reading.tuples(_SQL[query].format(conditions=conditions), {**values, "_limit": limit + 1})
    return [place for (place,) in found]
