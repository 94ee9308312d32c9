"""The site: what all routes of a node share."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from voxledger.catalog.access import LOCAL, Gate, Principal
from voxledger.catalog.errors import DiskFull, VoxledgerError
from voxledger.dashboards.gone import Gone
from voxledger.dashboards.observing.observatory import Observatory
from voxledger.dashboards.observing.remembered import Remembered
from voxledger.dashboards.operations import Operations
from voxledger.dashboards.plans import Plans
from voxledger.dashboards.server.slots import Slots
from voxledger.dashboards.server.spool import Room
from voxledger.dashboards.server.visits import Visits
from voxledger.dashboards.sql.saved import Queries
from voxledger.dashboards.sql.service import Service

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from voxledger.catalog.events import Channel
    from voxledger.dashboards.door import Door
    from voxledger.dashboards.faults import Refused
    from voxledger.dashboards.jobs import Jobs

_log = logging.getLogger(__name__)
_UPLOADS = 4
"""Uploads of the largest size whose bytes may be held at the same time."""
_VIEWS = 1000
"""Names whose views of the ledger are kept; one costs a few objects, and finds its clips' files without asking the catalog."""


class Site:
    """One ledger, and everything that is there once for all who ask."""

    def __init__(self, door: Door, *, version: str, loopback: bool) -> None:
        """`loopback`: whether only this machine can reach us."""
        self.door = door
        self.settings = door.settings
        self.version = version
        self.loopback = loopback
        self.secret = ""
        """What the owner of HOME proves to be that with; it stands in `node.json`."""
        self.gate = Gate(door.recorder, zone=door.settings.general.time_zone)
        self.visits = Visits(door.home.path / "visits.json", self.gate, owner=door.actor, node=door.journal.node)
        """Who has signed in with a browser."""
        self.stopping = threading.Event()
        self.slots = Slots(most=self.settings.serve.at_once, most_bytes=_UPLOADS * self.settings.serve.max_upload)
        """What is under way."""
        self.spools = Room(door.home.cache, has_room=self._has_room)
        """Where answers lie that clients are slow to take."""
        self.trouble: Callable[[str], str | None] = lambda job: None  # noqa: ARG005
        """What keeps a job of the node from its work, if anything does."""
        self.remembered = Remembered(door)
        """The state of HOME, a few seconds old."""
        self.gone = Gone(door)
        """Whether something was erased or purged, so that what is remembered of it goes, too."""
        self.sql = Service(door)
        """Answers SQL."""
        self.queries = Queries(door.home)
        """SQL that was saved under a name."""
        self.observatory = Observatory(self)
        self.operations = Operations(self.stopping)
        """What takes longer than a request."""
        self.jobs: Jobs | None = None
        """Batches that were handed in; the room that takes them in brings it along."""
        self.plans = Plans()
        """Plans of retention that somebody looks at."""
        self.straight: dict[tuple[str, str], Callable[[Request], Awaitable[Response]]] = {}
        """Routes that are answered without the framework, by method and path."""
        self.told_as_page: Callable[[Request, Refused], Response] | None = None
        """How an error is told to a browser; None where there are no pages."""
        self._beginnings: list[Callable[[], object]] = [lambda: door.tokens.settle(door.keeper)]
        self._endings: list[Callable[[], object]] = [self.gate.close, self.operations.finish]
        self._lock = threading.Lock()
        self._views: OrderedDict[tuple[str, Channel], Door] = OrderedDict()

    @property
    def owner(self) -> Principal:
        """Whoever owns HOME."""
        return Principal(id=LOCAL, name=self.door.actor, role="admin")

    def at_start(self, beginning: Callable[[], object]) -> None:
        """Have something begun once, when the node has HOME to itself and before it answers."""
        self._beginnings.append(beginning)

    def begin(self) -> None:
        """Do what was named with `at_start`."""
        for beginning in self._beginnings:
            beginning()

    def at_stop(self, ending: Callable[[], object]) -> None:
        """Have something done once, in a thread, when requests have ended or the time for that is over.

        The ledger is still open then. The last one named is the first one done; together they have a few seconds.
        """
        self._endings.append(ending)

    def end(self) -> None:
        """Call off what is still being made, which is recorded, and do what was named with `at_stop`."""
        for ending in (self._call_off, *reversed(self._endings)):
            try:
                ending()
            except Exception as error:  # noqa: BLE001  # the others must be done, too; what it says may quote somebody
                _log.warning("something did not end as it should (%s)", type(error).__name__)

    def _has_room(self) -> bool:
        try:
            self.door.home.require_room(self.settings.general.min_free_disk)
        except DiskFull:
            return False
        return True

    def _call_off(self) -> None:
        try:
            studio = self.door.studio
        except VoxledgerError:
            return  # without the extra `synth` nothing is made
        studio.close()

    def ledger(self, principal: Principal, channel: Channel = "api") -> Door:
        """The ledger in the name of whoever asks."""
        key = (principal.name, channel)
        with self._lock:
            found = self._views.pop(key, None) or self.door.acting(*key)
            self._views[key] = found
            if len(self._views) > _VIEWS:
                self._views.popitem(last=False)
            return found
