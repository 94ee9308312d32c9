"""Retention of a node: what may go, why, and letting it go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.dashboards.remote.clips import named
from voxledger.dashboards.remote.connection import Connection
from voxledger.dashboards.remote.operations import done

if TYPE_CHECKING:
    import polars as pl

    from voxledger.catalog.progress import Counting
    from voxledger.catalog.retention.applying.executor import Applied
    from voxledger.catalog.retention.applying.restoring import Restored
    from voxledger.catalog.retention.applying.undo import Undone
    from voxledger.catalog.retention.explaining.explain import Explanation
    from voxledger.catalog.retention.holds import Hold, Released
    from voxledger.catalog.retention.nights import Standing

_PAGE = 1000


@dataclass(frozen=True, kw_only=True)
class RemotePlan:
    """A plan that a node made: `facts` is what `Plan.as_dict` has but its clips, which `rows` fetches page by page."""

    id: str
    deeds: Mapping[str, int]
    facts: Mapping[str, Any] = field(repr=False)
    _connection: Connection = field(repr=False)
    _asked: Mapping[str, Any] = field(repr=False)

    @property
    def idle(self) -> bool:
        """Whether applying it now would change nothing."""
        return bool(self.facts["idle"])

    @property
    def affected(self) -> int:
        """Clips that something happens to."""
        return int(self.facts["affected"])

    def rows(self, *decisions: str, limit: int | None = None) -> pl.DataFrame:
        """Clips with `id, decision, rule, matches, reason, goes, bytes, duration_us`, as `Plan.rows` gives them."""
        import polars

        rows: list[Mapping[str, Any]] = []
        asked = {**self._asked, "view": self.facts["view"], "decision": list(decisions) or None}
        cursor = None
        while limit is None or len(rows) < limit:
            size = _PAGE if limit is None else min(_PAGE, limit - len(rows))
            page = self._connection.get("/api/retention/plan/clips", {**asked, "cursor": cursor, "limit": size})
            rows += page["clips"]
            cursor = page["next"]
            if cursor is None:
                break
        return polars.DataFrame(rows, infer_schema_length=None)

    def as_dict(self, *, limit: int | None = None) -> dict[str, Any]:
        """What `--json` prints."""
        return {**self.facts, "clips": self.rows(limit=limit).to_dicts()}


class RemoteRetention:
    """Says which audio of a node may go, why, and lets it go, with the methods of `Retention`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def plan(self, *, every: bool = False, as_of: datetime | None = None) -> RemotePlan:
        """What applying would do, with the reason for every clip; changes nothing."""
        asked = {"every": "true" if every else None, "as_of": as_of and as_of.isoformat()}
        told = self._connection.get("/api/retention/plan", asked)
        return RemotePlan(id=told["plan"], deeds=told["deeds"], facts=told, _connection=self._connection, _asked=asked)

    def apply(self, plan: RemotePlan, *, progress: Counting | None = None) -> Applied:
        """Carry a plan out, as it was seen: the node plans anew, and refuses when it would do something else now.

        Raises PolicyError when the plan is stale, a fuse is blown, or another run goes on.
        """
        from voxledger.catalog.retention.applying.executor import Applied

        body = {"plan": plan.id, "deeds": plan.deeds}
        return done(self._connection, "POST", "/api/retention/apply", Applied, body=body, progress=progress)

    def status(self) -> Standing:
        """The schedule, its last run and its next one, what stops it, and legal holds to be looked at again."""
        from voxledger.catalog.retention.nights import Standing

        return msgspec.convert(self._connection.get("/api/retention"), Standing, strict=False)

    def undo(self, plan_id: str, *, progress: Counting | None = None) -> Undone:
        """Take back every mark of a plan that still stands. Raises PolicyError."""
        from voxledger.catalog.retention.applying.undo import Undone

        return done(self._connection, "POST", "/api/retention/undo", Undone, body={"plan": plan_id}, progress=progress)

    def restore(self, *references: str | Clip, plan: str | None = None, progress: Counting | None = None) -> Restored:
        """Bring clips back, those named or all that a plan marked or took. Raises ClipNotFound, PolicyError."""
        from voxledger.catalog.retention.applying.restoring import Restored

        body = {"clips": [named(each) for each in references], "plan": plan}
        return done(self._connection, "POST", "/api/retention/restore", Restored, body=body, progress=progress)

    def explain(self, reference: str | Clip) -> Explanation:
        """One clip's life, all rules that match it and which decides, and what would keep it. Raises ClipNotFound."""
        from voxledger.catalog.retention.explaining.explain import Explanation

        told = self._connection.get(f"/api/retention/explain/{named(reference)}")
        return msgspec.convert(told, Explanation, strict=False)

    def hold(
        self,
        *references: str | Clip,
        reason: str,
        where: str | None = None,
        plan: str | None = None,
        until: datetime | None = None,
        legal: bool = False,
        review: datetime | None = None,
        progress: Counting | None = None,
    ) -> Hold:
        """Keep clips: those named, those that a plan has marked, and those for which `where` is true now. Raises HoldError."""
        from voxledger.catalog.retention.holds import Hold

        body = {
            "clips": [named(each) for each in references], "plan": plan, "where": where, "reason": reason,
            "until": until and until.isoformat(), "legal": legal, "review": review and review.isoformat(),
        }  # fmt: skip
        return done(self._connection, "POST", "/api/holds", Hold, body=body, progress=progress)

    def renew(
        self,
        hold: str,
        *,
        reason: str | None = None,
        until: datetime | None = None,
        review: datetime | None = None,
        progress: Counting | None = None,
    ) -> Hold:
        """Give a hold another end, a legal one another day of review, on all its clips. Raises HoldError."""
        from voxledger.catalog.retention.holds import Hold

        body = {"reason": reason, "until": until and until.isoformat(), "review": review and review.isoformat()}
        return done(self._connection, "PATCH", _hold(hold), Hold, body=body, progress=progress)

    def release(self, hold: str, *, reason: str | None = None, progress: Counting | None = None) -> Released:
        """End a hold: it keeps its clips no longer. Raises HoldError."""
        from voxledger.catalog.retention.holds import Released

        return done(self._connection, "DELETE", _hold(hold), Released, params={"reason": reason}, progress=progress)

    def holds(self, *, every: bool = False, due: bool = False) -> list[Hold]:
        """Holds that keep clips at present, the oldest first; with `every` also those that have ended or were released."""
        from voxledger.catalog.retention.holds import Hold

        asked = {"every": "true" if every else None, "due": "true" if due else None}
        return msgspec.convert(self._connection.get("/api/holds", asked)["holds"], list[Hold], strict=False)


def _hold(identity: str) -> str:
    return f"/api/holds/{quote(identity, safe='')}"
