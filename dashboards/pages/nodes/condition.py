"""Condition: how the node stands now, in facts that cost next to nothing; what is dear is some seconds old."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import msgspec
import psutil

from voxledger.catalog.errors import StoreError, VoxledgerError
from voxledger.catalog.journal import UPLOAD
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.overview import storage

if TYPE_CHECKING:
    from voxledger.analytics.metrics import Forecast
    from voxledger.catalog.status import Status
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site

Level: TypeAlias = Literal["good", "warn", "bad", "off"]
"""How something stands; `off` is what nobody has set up."""
_FAR = 10_000
"""Events behind from which on somebody should look."""
_OLD = 900.0
"""Seconds that an upload may wait before somebody should look."""
_WINDOW = 15.0
_LISTED = 200
_FEW = 5
_WEEK = 7 * 86_400.0


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks that were given up for one reason, and the first few of their subjects."""

    kind: str
    cause: str
    count: int
    subjects: tuple[str, ...]


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """Events acknowledged by the journal, and how many of them the log and its tables hold."""

    journal: int
    log: int
    tables: int

    @property
    def behind(self) -> int:
        """How many the tables lack."""
        return max(0, self.journal - self.tables)


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the store answers, what it calls itself, and how many seconds its clock is ahead."""

    answers: bool
    said: str
    skew: float | None = None


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Memory of this process and of the machine, and the disk of HOME, in bytes."""

    own: int
    free: int
    memory: int
    disk_free: int
    disk: int
    load: float


class Condition:
    """Looks at one node. Safe from many threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.began = datetime.now(UTC)
        """When this process began to serve."""
        self._lag: Kept[Lag] = Kept(1.0)
        self._reach: Kept[Reach] = Kept(20.0)
        self._forecast: Kept[Forecast] = Kept(600.0)
        self._pacing = threading.Lock()
        self._looks: deque[tuple[float, int]] = deque()

    def facts(self, caller: Caller) -> dict[str, Any]:
        """What the parts of the page say that change by themselves."""
        site = self._site
        status = site.remembered.now()
        found: dict[str, Any] = {
            "began": self.began, "slots": site.slots, "turns": self._turns(), "status": status, "lag": self._lag.get("", self._lags),
            "store": self._store(), "progress": site.door.uploader.progress, "parked": self._parked(status),
            "uploads": _waiting(status), "behind": {each.name: each for each in status.subscriptions} if status else {},
            "delivers": bool(site.settings.mixpanel.token), "sql": self._sql(), "machine": self._machine(), "pace": self._pace(),
        }  # fmt: skip
        found["levels"] = self._levels(found)
        found["lasts"] = self._lasts(caller, status)
        return found

    def warm(self, caller: Caller) -> None:
        """Begin to look at what takes long, beside whoever asks."""
        self._store()
        self._lasts(caller, None)

    def _turns(self) -> Sequence[tuple[str, Any]]:
        try:
            return sorted(self._site.door.studio.turns().items())
        except VoxledgerError:  # the extra `synth` is not installed: there are no engines
            return ()

    def _lags(self) -> Lag:
        door = self._site.door
        head = door.journal.head()
        with door.keeper.reading(fresh=False) as reading:
            log = int(reading.tuples("SELECT coalesce(max(position), 0) FROM events")[0][0])
            tables = int(reading.tuples("SELECT coalesce(min(position), 0) FROM projections")[0][0])
        return Lag(journal=head, log=log, tables=tables)

    def _store(self) -> dict[str, Any]:
        """Where it is, and whether it answers: None while that is being looked at."""
        settings = self._site.settings.store
        found = self._reach.known("", self._look) if settings.endpoint else None
        return {"endpoint": settings.endpoint, "reach": found, "bucket": settings.audio}

    def _look(self) -> Reach:
        from voxledger.catalog.objects.probing.probe import greeting

        try:
            name, skew = greeting(self._site.door.store)
        except StoreError as error:
            return Reach(answers=False, said=str(error))
        return Reach(answers=True, said=name, skew=skew)

    def _parked(self, status: Status | None) -> list[Parked]:
        journal, found = self._site.door.journal, list[Parked]()
        for each in status.tasks if status else ():
            if each.state != "parked":
                continue
            causes: dict[str, list[str]] = {}
            for task in journal.tasks(each.kind, limit=_LISTED):
                if task.state == "parked":
                    causes.setdefault(task.error or "", []).append(task.subject)
            for cause, subjects in causes.items():
                count = each.count if len(causes) == 1 else len(subjects)
                found.append(Parked(kind=each.kind, cause=cause, count=count, subjects=tuple(subjects[:_FEW])))
        return found

    def _sql(self) -> dict[str, Any]:
        service = self._site.sql
        latest = service.latest() if service.off is None else None
        return {"off": service.off, "age": latest.age if latest else None}

    def _machine(self) -> Machine:
        memory, disk = psutil.virtual_memory(), psutil.disk_usage(str(self._site.door.home.path))
        return Machine(
            own=psutil.Process().memory_info().rss, free=memory.available, memory=memory.total, disk_free=disk.free, disk=disk.total,
            load=os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0,
        )  # fmt: skip

    def _pace(self) -> float:
        """Events a second, over the last seconds in which somebody looked."""
        with self._pacing:
            present, head = time.monotonic(), self._site.door.journal.head()
            while self._looks and present - self._looks[0][0] > _WINDOW:
                self._looks.popleft()
            self._looks.append((present, head))
            then, before = self._looks[0]
        return (head - before) / (present - then) if present - then > 1 else 0.0

    def _lasts(self, caller: Caller, status: Status | None) -> dict[str, Any]:
        """The forecast of what clips weigh, and for how many seconds the disk lasts at that pace; None where nothing can be said."""
        found = self._forecast.known("", lambda: storage.forecast(caller))
        if found is None or status is None or found.expected is None or not found.history:
            return {"forecast": found, "seconds": None, "weekly": None}
        weekly = (found.expected - found.history[-1]) / max(1, found.weeks)
        room = status.free_disk - status.min_free_disk
        lasts = None if weekly <= 0 or status.cache_limit else max(0.0, room / weekly) * _WEEK
        return {"forecast": found, "seconds": lasts, "weekly": weekly}

    def _levels(self, facts: Mapping[str, Any]) -> dict[str, Level]:
        """How each thing stands, by its name."""
        status, behind, site = facts["status"], facts["behind"], self._site

        def lagging(name: str) -> Level:
            return "warn" if name in behind and behind[name].waiting > _FAR else "good"

        reach, trouble = facts["store"]["reach"], facts["progress"].trouble
        levels: dict[str, Level] = {
            "log": "bad" if site.trouble("drain") else "warn" if facts["lag"].behind > _FAR else "good",
            "store": "bad" if trouble or (reach and not reach.answers) else "good",
            "uploads": "bad" if any(each.kind == UPLOAD for each in facts["parked"]) else "warn" if facts["uploads"]["late"] else "good",
            "mixpanel": "off" if not facts["delivers"] else "bad" if site.trouble("deliver") else lagging("mixpanel"),
            "search": "bad" if site.trouble("search") else lagging("search"),
            "sql": "off" if facts["sql"]["off"] else "good",
            "disk": "good",
        }  # fmt: skip
        if status is not None:
            if status.quarantined and levels["mixpanel"] == "good":
                levels["mixpanel"] = "warn"
            if status.free_disk < 1.5 * status.min_free_disk:
                levels["disk"] = "bad" if status.free_disk < status.min_free_disk else "warn"
        return levels


def _waiting(status: Status | None) -> dict[str, Any]:
    """Uploads that wait: how many, since when the oldest (s since 1970), and whether that is long ago."""
    found = [task for task in (status.tasks if status else ()) if task.kind == UPLOAD and task.state != "parked"]
    oldest = min((task.oldest for task in found), default=None)
    late = oldest is not None and time.time() - oldest > _OLD
    return {"count": sum(task.count for task in found), "oldest": oldest, "late": late}
