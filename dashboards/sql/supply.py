"""The supply: which snapshot a question is put to, and when the next one is made.

Nothing is copied for nobody: a question that finds the snapshot older than `sql.refresh` has the next one made, and is
answered from the one that is there; one that finds it twice as old waits for the next. So an answer is never older than
twice `sql.refresh` and what a copy takes, unless copying fails.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.errors import CatalogBusy, VoxledgerError

if TYPE_CHECKING:
    from voxledger.dashboards.sql.snapshots import Snapshot, Snapshots
    from voxledger.dashboards.sql.spares import Spares

_WAIT = 30.0
"""Seconds that a question waits for a snapshot at most."""
_YOUNG = 2.0
"""Seconds for which nobody has the next one made by hand."""
_AGAIN = 5.0
"""Seconds after a copy that failed in which no other is begun."""
_log = logging.getLogger(__name__)


class Supplied(NamedTuple):
    """A snapshot, and how many seconds ago nothing was missing in it."""

    snapshot: Snapshot
    age: float


class Supply:
    """Knows the last finished snapshot. Safe from many threads."""

    def __init__(self, snapshots: Snapshots, spares: Spares, *, refresh: float) -> None:
        self._snapshots = snapshots
        self._spares = spares
        self._refresh = refresh
        self._changed = threading.Condition()
        self._current: Snapshot | None = None
        self._whole = 0.0
        self._made = 0
        self._wanted = False
        self._stopped = False
        self._trouble: VoxledgerError | None = None
        self._not_before = 0.0
        self._thread: threading.Thread | None = None

    def latest(self) -> Supplied | None:
        """The snapshot that is there, without having one made."""
        current = self._current
        if current is None or not current.is_there:
            return None
        return Supplied(current, self._age(current))

    def snapshot(self) -> Supplied:
        """The snapshot to ask now. Raises what kept the first one from being made."""
        found = self.latest()
        if found is not None and found.age < self._refresh:
            return found
        made = self._have_made()
        if found is None or found.age >= 2 * self._refresh:
            self._await(made)
            found = self.latest()
        if found is None:
            raise self._trouble or CatalogBusy("the snapshot for SQL is still being made; ask again")
        return found

    def renewed(self) -> Supplied:
        """A snapshot in which nothing is missing that was recorded `_YOUNG` seconds ago: the next one, if need be, when it is made.

        Raises what kept it from being made, and CatalogBusy when that takes too long.
        """
        found = self.latest()
        if found is not None and found.age < _YOUNG:
            return found
        before = self._current
        self._await(self._have_made())
        found = self.latest()
        if found is None or (found.snapshot is before and found.age >= _YOUNG):
            raise self._trouble or CatalogBusy("the snapshot for SQL is still being made; ask again")
        return found

    def stop(self) -> None:
        """Make no more."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._snapshots.stop()
        if self._thread is not None:
            self._thread.join(10.0)
        self._snapshots.clear()

    def _age(self, snapshot: Snapshot) -> float:
        now = time.time()
        if self._snapshots.is_current(snapshot):
            self._whole = now
        return max(0.0, now - max(self._whole, snapshot.taken))

    def _have_made(self) -> int:
        """Gives how many had been made, or tried, before."""
        with self._changed:
            self._wanted = self._wanted or time.monotonic() >= self._not_before
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="voxledger-sql", daemon=True)
                self._thread.start()
            self._changed.notify_all()
            return self._made

    def _await(self, made: int) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._made > made or not self._wanted or self._stopped, timeout=_WAIT)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._wanted or self._stopped)
                if self._stopped:
                    return
            trouble: VoxledgerError | None = None
            try:
                self._renew()
            except VoxledgerError as error:
                trouble = error
            except Exception as error:  # noqa: BLE001  # a defect here must not leave those who wait alone
                _log.exception("a snapshot for SQL could not be made")
                trouble = CatalogBusy(
                    f"a snapshot for SQL could not be made ({type(error).__name__}); see the node's log"
                )
            if trouble is not None and str(trouble) != str(self._trouble):
                _log.warning("sql: %s", trouble)
            with self._changed:
                self._trouble = trouble
                self._not_before = time.monotonic() + (_AGAIN if trouble is not None else 0.0)
                self._made += 1
                self._wanted = False
                self._changed.notify_all()

    def _renew(self) -> None:
        old = self._current
        made = self._snapshots.make()
        try:
            self._spares.serve(made)
        except BaseException:
            self._snapshots.drop(made)
            raise
        self._current, self._whole = made, 0.0
        if old is not None:
            self._snapshots.drop(old)
