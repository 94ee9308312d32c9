"""Jobs: many texts at once, handed in as lines, spoken when engines have time, and followed line by line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from voxledger.catalog.errors import DiskFull
from voxledger.dashboards.api.answering import json
from voxledger.dashboards.api.shapes import ID, Problem, Shape, faults
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.observing.work import of_jobs
from voxledger.dashboards.server.answers import JSON
from voxledger.dashboards.server.callers import Caller, may

if TYPE_CHECKING:
    from voxledger.dashboards.jobs import Asked, Jobs
    from voxledger.dashboards.jobs.intake import Kind
    from voxledger.dashboards.server.site import Site

MOST = 1000
"""Outcomes of a page."""
_encode = msgspec.json.Encoder().encode
_JOB: Mapping[str, Any] = {
    "id": ID, "by": "ann", "state": "running", "said": "", "created": "2026-11-23T09:00:00Z", "began": "2026-11-23T09:00:01Z",
    "ended": None, "lines": 1200, "done": 400, "made": 390, "reused": 8, "failed": 2, "left": 800, "eta_s": 96.0,
    "options": {"session": "novel", "voice": None, "format": "opus", "engine": None, "preset": None, "degrade": False},
}  # fmt: skip
_OUTCOME: Mapping[str, Any] = {
    "line": 1, "outcome": "made", "clip": ID, "duration_us": 1_520_000, "dropped": [], "error": None,
}  # fmt: skip
_LINES = [{"text": "The tide is turning.", "emotion": {"happy": 0.7}}, {"text": "And so are we."}]
_Identity = Annotated[str, Path(alias="job", max_length=40, examples=[ID])]
Speaker = Annotated[Caller, Depends(may("speak"))]
Reader = Annotated[Caller, Depends(may("read"))]
"""Who looks, or calls off, need not have audio left for today."""


class JobShape(Shape):
    """A job, and how far it has come. `said` is what it waits for, or why it has failed."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_JOB)]})

    id: str
    by: str = Field(description="In whose name it speaks.")
    state: Literal["waiting", "running", "done", "cancelled", "failed"]
    said: str
    created: datetime
    began: datetime | None
    ended: datetime | None
    lines: int
    done: int
    made: int
    reused: int = Field(description="Lines for which a clip was there already.")
    failed: int
    left: int
    eta_s: float | None = Field(description="Seconds that it takes yet, at its present pace.")
    options: dict[str, Any]


class JobPage(Shape):
    """Jobs, the newest first. `next` is the cursor of the page after it."""

    jobs: list[JobShape]
    next: str | None


class OutcomeShape(Shape):
    """What became of a line: its clip, or the error."""

    model_config = ConfigDict(json_schema_extra={"examples": [dict(_OUTCOME)]})

    line: int
    outcome: Literal["made", "reused", "failed"]
    clip: str | None
    duration_us: int | None
    dropped: list[str] = Field(description="What it had to do without.")
    error: Problem | None


class OutcomePage(Shape):
    """Outcomes in the order of the lines. `next` is the cursor of what follows, or will; null when nothing does any more."""

    job: str
    outcomes: list[OutcomeShape]
    next: str | None


class Options(BaseModel):
    """What holds for lines that do not say it themselves."""

    model_config = ConfigDict(extra="forbid")

    session: str | None = Field(None, max_length=500, description="By default one of the job's own.")
    voice: str | None = Field(None, max_length=500, description="A registered voice, or one of the engine's.")
    format: Literal["wav", "flac", "opus", "mp3", "aac", "pcm"] | None = None
    engine: str | None = Field(None, max_length=100)
    preset: str | None = Field(None, max_length=100)
    degrade: bool = Field(False, description="Speak a line without what is not there or what the engine cannot do.")

    def checked(self, caller: Caller) -> Asked:
        """Raises UnknownVoice, UnknownPreset, UnknownEngine: they would fail line by line."""
        from voxledger.dashboards.jobs import Asked
        from voxledger.synth import engines

        if self.voice is not None:
            caller.ledger.voices.require_name(self.voice)
        if self.preset is not None:
            caller.ledger.studio.presets.get(self.preset)
        if self.engine is not None and self.engine not in engines.names():
            engines.load(self.engine, caller.site.settings)  # which says which ones there are
        return Asked(**self.model_dump())


def router(site: Site) -> APIRouter:
    """`/api/jobs`."""
    from voxledger.dashboards.jobs import Jobs

    routes = APIRouter(tags=["jobs"])
    jobs = site.jobs = Jobs(site)
    site.at_start(jobs.start)
    site.at_stop(jobs.stop)
    site.observatory.tells(partial(of_jobs, jobs))
    _add_intake(routes, jobs)
    _add_following(routes, jobs)
    return routes


def _add_intake(routes: APIRouter, jobs: Jobs) -> None:
    one_at_a_time = anyio.CapacityLimiter(1)  # a body takes a core while it is read

    @routes.post(
        "/api/jobs",
        status_code=201,
        summary="Hand in many texts",
        response_model=JobShape,
        responses={
            201: {"headers": {"Location": {"schema": {"type": "string"}, "description": "Where it is followed."}}},
            **faults(413, 415, 507),
        },
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    JSON: {"schema": {"type": "array", "items": {"type": "object"}}, "example": _LINES},
                    "application/x-ndjson": {
                        "schema": {"type": "string"},
                        "example": "".join(_encode(line).decode() + "\n" for line in _LINES),
                    },
                    "text/csv": {
                        "schema": {"type": "string"},
                        "example": "text,emotion,session\nThe tide is turning.,happy,trailer\n",
                    },
                },
            }
        },
    )
    async def hand_in(request: Request, options: Annotated[Options, Query()], caller: Speaker) -> Response:
        """One line a text: what a batch manifest holds (docs/synthesis.md), as a JSON array, JSONL, or CSV whose first row names the
        fields; up to serve.max_upload. Files of the node cannot be named. Answers when the job is on the disk; it goes on after a
        restart where it was, and lets interactive requests go first.
        """
        kind = _kind(request)
        asked = await anyio.to_thread.run_sync(lambda: _checked(options, jobs, caller))
        try:
            job = await _taken(request, jobs, kind, asked, caller, one_at_a_time)
        except OSError as error:
            raise DiskFull.at("the job cannot be written", f"nothing was taken in ({error.strerror})") from error
        return Response(_encode(job.as_dict()), 201, {"Location": f"/api/jobs/{job.id}"}, JSON)


def _checked(options: Options, jobs: Jobs, caller: Caller) -> Asked:
    """Whatever can be refused before the lines are there."""
    jobs.require_room(caller.principal)
    return options.checked(caller)


async def _taken(
    request: Request, jobs: Jobs, kind: Kind, asked: Asked, caller: Caller, one_at_a_time: anyio.CapacityLimiter
) -> Any:
    from voxledger.dashboards.jobs.folder import incoming

    with incoming(caller.ledger.home) as (file, path):
        async for chunk in request.stream():
            file.write(chunk)
        file.flush()
        handing_in = partial(jobs.hand_in, path, kind, asked, caller.principal)
        return await anyio.to_thread.run_sync(handing_in, limiter=one_at_a_time)


def _kind(request: Request) -> Kind:
    from voxledger.dashboards.jobs.intake import KINDS

    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in KINDS:
        raise Refused(
            "the body is of a type that holds no lines here",
            status=415,
            code="media_type",
            remedy=f"Send one of {', '.join(KINDS)}, and say so in Content-Type.",
        )
    return KINDS[given]


def _add_following(routes: APIRouter, jobs: Jobs) -> None:
    @routes.get("/api/jobs", summary="Jobs", response_model=JobPage, responses=faults())
    def list_jobs(
        request: Request,
        caller: Reader,
        state: Annotated[
            Literal["open", "waiting", "running", "done", "cancelled", "failed"] | None,
            Query(description="Only those."),
        ] = None,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        cursor: Annotated[str | None, Query(max_length=40, description="`next` of the page before.")] = None,
    ) -> Response:
        """One's own, and everybody's for who sees everything; the newest first."""
        found = [
            (job, eta)
            for job, eta in jobs.all(caller.principal)
            if (cursor is None or job.id < cursor)
            and (state is None or job.state == state or (state == "open" and job.is_open))
        ]
        following = found[limit - 1][0].id if len(found) > limit else None
        return json({"jobs": [job.as_dict(eta) for job, eta in found[:limit]], "next": following}, request, caller)

    @routes.get("/api/jobs/{job}", summary="A job", response_model=JobShape, responses=faults(404))
    def show_job(request: Request, job: _Identity, caller: Reader) -> Response:
        """How far it has come."""
        found, eta = jobs.one(job, caller.principal)
        return json(found.as_dict(eta), request, caller)

    @routes.get(
        "/api/jobs/{job}/outcomes",
        summary="What became of its lines",
        response_model=OutcomePage,
        responses=faults(404),
    )
    def job_outcomes(
        request: Request,
        job: _Identity,
        caller: Reader,
        outcome: Annotated[Literal["made", "reused", "failed"] | None, Query(description="Only those.")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 100,
        cursor: Annotated[
            int, Query(ge=0, le=2**53, description="`next` of the page before; 0 begins with the first line.")
        ] = 0,
    ) -> Response:
        """In the order of the lines, also while it runs."""
        goes_on = jobs.one(job, caller.principal)[0].is_open  # asked first: what it says at its end is seen then
        found, place, more = jobs.folder(job, caller.principal).outcomes(cursor, limit, outcome)
        told = {"job": job, "outcomes": found, "next": str(place) if more or goes_on else None}
        return json(told, request, caller)

    @routes.delete("/api/jobs/{job}", summary="Cancel a job", response_model=JobShape, responses=faults(404))
    def cancel_job(job: _Identity, caller: Reader) -> Response:
        """What is being spoken is called off; what was spoken stays. One that is over stays as it is."""
        return Response(_encode(jobs.cancel(job, caller.principal).as_dict()), media_type=JSON)
