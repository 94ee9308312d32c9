"""The backtest: what the policy would have saved in the past, and what would have been missed, beside simple ways to delete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from fastapi import APIRouter, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from voxledger.analytics.report import wording
from voxledger.catalog.settings import format_span
from voxledger.dashboards.api.retention import Replaying, replaying
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages import moments
from voxledger.dashboards.pages.chart import Chart, Column, Key, as_csv
from voxledger.dashboards.pages.retention.frame import Frame, Reader
from voxledger.dashboards.pages.words import later, say

if TYPE_CHECKING:
    from voxledger.dashboards.operations import Operation

_PATIENCE = 0.4
_WORST = 12
_LOOKS: Mapping[str, tuple[str, str]] = {
    "policy": (later("This policy"), "--accent"),
    "family": (later("This policy, keeping shorter or longer"), "--series-2"),
    "age": (later("Only by age"), "--series-3"),
    "lru": (later("Least recently used first"), "--series-4"),
    "lfu": (later("Least often used first"), "--series-5"),
}
"""What is compared, and its colour."""
_POINT: Mapping[str, Any] = {"type": "point", "filled": True, "opacity": 1}
_COLUMNS = (
    ("series", later("Way to delete"), "text"), ("setting", later("Setting"), "text"), ("saved", later("Share saved"), "share"),
    ("regret", later("Regret"), "share"), ("clips", later("Clips deleted"), "count"), ("bytes", later("Size deleted"), "bytes"),
    ("cost", later("Money saved"), "micro"), ("regrets", later("Uses missed"), "count"),
)  # fmt: skip


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention/backtest`."""

    @routes.get("/retention/backtest")
    def show(request: Request, caller: Reader, run: Annotated[str, Query(max_length=40)] = "") -> Response:
        """The last run, or the one that is named; how it goes on while it does."""
        found = [each for each in frame.site.operations.all() if each.kind == "backtest"]
        chosen = next((each for each in found if each.id == run), None) if run else next(iter(found), None)
        with frame.page.viewer(request).looking():
            values = _shown(caller, frame, chosen, found, run)
        return frame.show(request, caller, "backtest", values, blocks={"run"})

    @routes.post("/retention/backtest")
    async def begin(
        request: Request,
        caller: Reader,
        since: Annotated[str, Form(max_length=100)] = "",
        until: Annotated[str, Form(max_length=100)] = "",
        shortest: Annotated[str, Form(max_length=50)] = "",
        longest: Annotated[str, Form(max_length=50)] = "",
        regret: Annotated[float, Form(ge=0, le=100)] = 1.0,
        baselines: Annotated[bool, Form()] = False,
    ) -> Response:
        """Replay the past in the background, and go where that is followed."""
        if bool(shortest.strip()) != bool(longest.strip()):
            raise Refused(
                say("give the shortest and the longest time to keep, or neither"), status=400, code="invalid",
                remedy=say("Write both, such as 7d and 180d."), param="longest",
            )  # fmt: skip
        wanted = Replaying(
            family=f"keep_for={shortest.strip()}:{longest.strip()}" if shortest.strip() else None, rule=None, since=since.strip() or None,
            until=until.strip() or None, max_regret=regret / 100, worst=_WORST, baselines=baselines,
        )  # fmt: skip
        operations = frame.site.operations
        work = replaying(caller, wanted, frame.page.viewer(request).zone)
        identity = operations.begin("backtest", work, by=caller.principal.name)
        await operations.standing(identity, _PATIENCE)
        address = f"/retention/backtest?run={identity}"
        if request.headers.get("hx-request"):
            place = {"path": address, "target": "#main", "select": "#main", "swap": "outerHTML"}
            return Response(status_code=204, headers={"HX-Location": msgspec.json.encode(place).decode()})
        return RedirectResponse(address, 303)

    @routes.get("/retention/backtest/{run}.csv")
    def numbers(run: str, caller: Reader) -> Response:  # noqa: ARG001  # who may
        """The numbers of a run."""
        operation = next((each for each in frame.site.operations.all() if each.id == run and each.result), None)
        if operation is None or operation.result is None or operation.kind != "backtest":
            raise Refused(
                say("this backtest is not kept any more"),
                status=404,
                code="operation_not_found",
                remedy=say("Run it again."),
            )
        rows = _rows(operation.result)
        body = as_csv([name for name, _, _ in _COLUMNS], rows)
        headers = {"Content-Disposition": f'attachment; filename="backtest-{operation.id}.csv"'}
        return Response(body, 200, headers, "text/csv; charset=utf-8")


def _shown(caller: Any, frame: Frame, chosen: Operation | None, found: Sequence[Operation], run: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run": chosen, "runs": found[:6], "lost": bool(run) and chosen is None, "result": None, "chart": None, "worst": (), "best": None,
        "section": frame.site.settings.retention,
    }  # fmt: skip
    if chosen is None or chosen.result is None:
        return values
    result = chosen.result
    values["result"] = result
    policy = result["policies"][0] if result["policies"] else None
    best = result["policies"][result["suggestion"]] if result["suggestion"] is not None else None
    shown = best or policy
    worst = shown["worst"] if shown else ()
    known = frame.clips(caller, [each["clip"] for each in worst])
    values |= {
        "policy": policy,
        "best": best,
        "shown": shown,
        "worst": [{**known.get(each["clip"], {}), **each} for each in worst],
        "chart": _chart(chosen.id, result),
    }
    return values


def _missed(regret: Mapping[str, Any], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    moments_of = {name: datetime.fromisoformat(regret[name]) for name in ("purged", "wanted")}
    # When it was really deleted, if it was, plays no part.
    return {**known.get(regret["clip"], {}), **regret, **moments_of}


def _rows(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every outcome as a row of the chart and of its table."""
    rows = []
    for outcome in (*result["policies"], *result["baselines"]):
        kind = "family" if outcome["kind"] == "policy" and outcome["keep_for"] is not None else outcome["kind"]
        span = outcome["keep_for"]
        setting = (
            format_span(span) if span is not None else moments.size(outcome["capacity"]) if outcome["capacity"] is not None else ""
        )  # fmt: skip
        rows.append(
            {
                "kind": kind, "series": say(_LOOKS[kind][0]), "setting": setting, "saved": outcome["saved_share"],
                "regret": outcome["regret_share"], "clips": outcome["clips"], "bytes": outcome["bytes"],
                "cost": round(outcome["saved_cost"] * 1e6), "regrets": outcome["regrets"], "keep_for": span or 0,
            }
        )  # fmt: skip
    return rows


def _chart(run: str, result: Mapping[str, Any]) -> Chart:
    rows = _rows(result)
    kinds = [kind for kind in _LOOKS if any(row["kind"] == kind for row in rows)]
    policies = [row for row in rows if row["kind"] in ("policy", "family")]
    # Ways that would be missed much more often than any policy would only flatten the rest.
    bound = max([result["max_regret"], *(row["regret"] for row in policies)]) * 1.25 or 0.01
    shown = [row for row in rows if row["regret"] <= bound]
    return Chart(
        name="saved-and-regret",
        title=say("What would have been saved, and what would have been missed?"),
        says=_says(result),
        spec=_spec(kinds, bound, result["max_regret"]),
        columns=[Column(name=name, title=say(title), kind=kind) for name, title, kind in _COLUMNS],  # type: ignore[arg-type]  # kinds, each
        rows=shown,
        keys=[Key(title=say(_LOOKS[kind][0]), colour=_LOOKS[kind][1]) for kind in kinds],
        files={"csv": f"/retention/backtest/{run}.csv"},
        currency=result["currency"],
        height=340,
    )


def _says(result: Mapping[str, Any]) -> str:
    best = result["policies"][result["suggestion"]] if result["suggestion"] is not None else None
    share = wording.share(result["max_regret"])
    if best is None:
        return say("Nothing that was tried deletes anything and is missed in at most %(share)s of all uses.") % {
            "share": share
        }
    what = {
        "saved": wording.share(best["saved_share"]), "regret": wording.share(best["regret_share"]), "share": share,
        "money": wording.money(round(best["saved_cost"] * 1e6), result["currency"]),
    }  # fmt: skip
    if best["keep_for"] is None:
        return (
            say(
                "This policy would have saved %(saved)s of the storage (%(money)s); %(regret)s of all uses would have found nothing."
            )
            % what
        )
    return say(
        "Keeping for %(span)s would have saved %(saved)s of the storage (%(money)s); %(regret)s of all uses would have found nothing."
    ) % {**what, "span": format_span(best["keep_for"])}


def _spec(kinds: Sequence[str], bound: float, allowed: float) -> Mapping[str, Any]:
    x = {
        "field": "saved", "type": "quantitative", "scale": {"domain": [0, 1]},
        "axis": {"title": say("Saved: share of storage"), "format": ".0%", "grid": True, "tickCount": 10},
    }  # fmt: skip
    y = {
        "field": "regret", "type": "quantitative", "scale": {"domain": [0, bound], "nice": False},
        "axis": {"title": say("Regret: share of uses"), "format": ".0%" if bound > 0.08 else ".1%"},
    }  # fmt: skip
    colour = {
        "field": "kind", "type": "nominal", "legend": None,
        "scale": {"domain": list(kinds), "range": [_LOOKS[kind][1] for kind in kinds]},
    }  # fmt: skip
    places = {"x": x, "y": y, "color": colour}
    along = {**places, "order": {"field": "saved"}}
    return {
        "layer": [
            {
                "data": {"values": [{"allowed": allowed}]},
                "mark": {"type": "rule", "strokeDash": [4, 4], "color": "--muted"},
                "encoding": {"y": {**y, "field": "allowed"}},
            },
            _layer("datum.kind != 'policy'", {"type": "line", "strokeWidth": 1.75}, along),
            _layer("datum.kind != 'policy'", {**_POINT, "size": 36}, places),
            _layer("datum.kind == 'policy'", {**_POINT, "size": 190, "stroke": "--surface", "strokeWidth": 2}, places),
        ]
    }


def _layer(test: str, mark: Mapping[str, Any], encoding: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"transform": [{"filter": test}], "mark": mark, "encoding": encoding}
