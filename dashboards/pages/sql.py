"""The SQL console: questions that no page answers, asked of a snapshot by whoever may; the API's own routes answer them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from voxledger.catalog.access import ROLES
from voxledger.dashboards.api.sql import stood
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.page import Entry, Page, entering
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.server.callers import Caller
from voxledger.dashboards.sql.saved import LARGEST

if TYPE_CHECKING:
    from voxledger.dashboards.server.site import Site

ENTRY = Entry(path="/sql", name=later("SQL"), icon="terminal", key="q", permission="sql", place=60)
SHOWN = 10_000
"""Most rows that the page shows; a download has all up to `sql.rows`."""


class Example(NamedTuple):
    """A question that people have, and how it is asked. `about` are the relations that it names."""

    question: str
    about: str
    query: str


EXAMPLES = (
    Example(
        later("How many clips of each emotion, and how long are they?"),
        "clips",
        "SELECT emotion, count(*) AS clips, round(sum(duration_s) / 60, 1) AS minutes\n"
        "FROM clips\nGROUP BY ALL\nORDER BY clips DESC",
    ),
    Example(
        later("What was made each day, and by whom?"),
        "generations",
        "SELECT date_trunc('day', time)::DATE AS day, actor, count(*) AS clips\n"
        "FROM generations\nWHERE outcome = 'completed'\nGROUP BY ALL\nORDER BY day, clips DESC",
    ),
    Example(
        later("How long do people wait for a clip?"),
        "generations",
        "SELECT engine, count(*) AS clips,\n    round(median(elapsed_us) / 1e6, 2) AS median_s,\n"
        "    round(quantile_cont(elapsed_us, 0.95) / 1e6, 2) AS p95_s\n"
        "FROM generations\nWHERE outcome = 'completed'\nGROUP BY ALL\nORDER BY clips DESC",
    ),
    Example(
        later("What fails, where, and what helps?"),
        "generations",
        "SELECT failure, stage, engine, count(*) AS attempts, max(time) AS last, any_value(remedy) AS remedy\n"
        "FROM generations\nWHERE outcome = 'failed'\nGROUP BY failure, stage, engine\nORDER BY attempts DESC",
    ),
    Example(
        later("Which clips of an emotion are there in a language?"),
        "clips",
        "SELECT id, created, actor, voice, round(duration_s, 1) AS seconds, text\n"
        "FROM clips\nWHERE emotion = $emotion AND language = $language\nORDER BY created DESC",
    ),
    Example(
        later("Which voices speak with which emotion?"),
        "clips",
        "SELECT coalesce(voice, engine) AS voice, emotion, count(*) AS clips\n"
        "FROM clips\nGROUP BY ALL\nORDER BY voice, emotion",
    ),
    Example(
        later("Which clips take room and were never played?"),
        "clips",
        "SELECT id, created, actor, name, round(bytes / 1e6, 2) AS mb\n"
        "FROM clips\nWHERE plays = 0 AND purged IS NULL\nORDER BY bytes DESC\nLIMIT 200",
    ),
    Example(
        later("Which texts were spoken more than once?"),
        "clips",
        "SELECT any_value(text) AS text, count(*) AS clips, sum(reuses) AS reuses, list(DISTINCT voice) AS voices\n"
        "FROM clips\nGROUP BY text_hash\nHAVING count(*) > 1\nORDER BY clips DESC",
    ),
    Example(
        later("Which clips may sound wrong?"),
        "clips",
        "SELECT id, created, engine, voice, suspect, round(duration_s, 1) AS seconds, text\n"
        "FROM clips\nWHERE len(suspect) > 0 AND purged IS NULL\nORDER BY created DESC",
    ),
    Example(
        later("Where does the storage go, and to whom?"),
        "clips",
        "SELECT date_trunc('week', created)::DATE AS week, actor, count(*) AS clips, round(sum(bytes) / 1e6, 1) AS mb\n"
        "FROM clips\nWHERE purged IS NULL\nGROUP BY ALL\nORDER BY week, mb DESC",
    ),
    Example(
        later("What does retention delete next?"),
        "clips",
        "SELECT id, delete_after, mark_rule, actor, name, bytes\n"
        "FROM clips\nWHERE delete_after IS NOT NULL AND purged IS NULL\nORDER BY delete_after",
    ),
    Example(
        later("What is played at which hour of the day?"),
        "plays, clips",
        "SELECT extract('hour' FROM time) AS hour, emotion, count(*) AS plays\n"
        "FROM plays JOIN clips ON clips.id = plays.clip\nGROUP BY ALL\nORDER BY hour",
    ),
)  # fmt: skip
"""Each runs on every ledger, as a test proves."""


def router(site: Site, page: Page) -> APIRouter:
    """`/sql`."""
    routes = page.routes()

    @routes.get("/sql")
    def show(
        request: Request,
        caller: Annotated[Caller, Depends(entering("read"))],
        q: Annotated[str | None, Query(max_length=LARGEST)] = None,
        saved: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Response:
        """The console; `q` is a query that stands in it, `saved` the name of one. None runs by itself."""
        if not caller.principal.may("sql"):
            roles = [role for role, permits in ROLES.items() if "sql" in permits]
            return page.show(request, caller, "sql/refused.html.j2", {"roles": roles}, status=403)
        text, fault = q or "", None
        if saved is not None and q is None:
            try:
                text = site.queries.get(saved).query
            except Refused as refused:
                fault, saved = refused, None
        values: dict[str, Any] = {
            "query": text, "saved": saved, "fault": fault, "stands": stood(site), "examples": EXAMPLES, "shown": SHOWN,
            "clips": page.link("/library"), "told": _told(caller, saved),
        }  # fmt: skip
        return page.show(request, caller, "sql/sql.html.j2", values)

    return routes


def _told(caller: Caller, saved: str | None) -> str:
    """What the scripts have to know, as JSON: whose browser's history it is, and what stands in the editor."""
    told = {"me": caller.principal.id, "admin": caller.principal.role == "admin", "saved": saved, "shown": SHOWN}
    return msgspec.json.encode(told).decode()
