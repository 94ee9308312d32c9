"""Spares: children that wait with the snapshot open, so that a question begins at once. Each answers one."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

from voxledger.catalog.errors import CatalogBusy
from voxledger.dashboards.sql.nursery import Child, ChildEnded, ChildLate, Nursery
from voxledger.dashboards.sql.question import Setting

if TYPE_CHECKING:
    from voxledger.catalog.settings import Sql
    from voxledger.dashboards.sql.snapshots import Snapshot

_PATIENCE = 30.0
"""Seconds for a child to open the snapshot."""
_IDLE = 600.0
"""Seconds without a question after which they are let go: each holds some memory."""
_log = logging.getLogger(__name__)


class Spares:
    """Children for one snapshot at a time. Safe from many threads."""

    def __init__(self, settings: Sql, *, idle: float = _IDLE) -> None:
        self._settings = settings
        self._idle = idle
        self._changed = threading.Condition()
        self._nursery: Nursery | None = None
        self._snapshot: Snapshot | None = None
        self._waiting: list[Child] = []
        self._lacking = 0
        self._used = time.monotonic()
        self._stopped = False
        self._beginning = threading.Lock()
        self._thread: threading.Thread | None = None

    def serve(self, snapshot: Snapshot) -> None:
        """Have children wait for questions to this snapshot from here on, instead of the one before.

        That one of them could open it proves that it is whole. Raises CatalogBusy when it cannot be opened.
        """
        fresh: list[Child] = []
        try:
            fresh += [self._made(snapshot) for _ in range(self._settings.at_once)]
        except BaseException:
            _close(fresh)
            raise
        with self._changed:
            old, self._waiting, self._snapshot, self._lacking = self._waiting, fresh, snapshot, 0
            self._used = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._refill, name="voxledger-sql-spares", daemon=True)
                self._thread.start()
        _close(old)

    def take(self, snapshot: Snapshot) -> Child:
        """One that has the snapshot open, to be asked once and closed. Raises CatalogBusy."""
        with self._changed:
            self._used = time.monotonic()
            found = self._waiting.pop() if self._snapshot is snapshot and self._waiting else None
            self._lacking = self._settings.at_once - len(self._waiting)
            self._changed.notify_all()
        return found or self._made(snapshot)

    def stop(self) -> None:
        """End all that wait, and what they are forked from; those that answer end with it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._dismiss()

    def _refill(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._lacking > 0, timeout=self._idle)
                if self._stopped:
                    return
                snapshot, lacking = self._snapshot, self._lacking
                idle = time.monotonic() - self._used
            if idle >= self._idle:
                self._dismiss()
            elif lacking > 0 and snapshot is not None:
                self._add(snapshot)

    def _add(self, snapshot: Snapshot) -> None:
        child = None
        with contextlib.suppress(CatalogBusy):  # whoever asks next makes one, and hears what is the matter
            child = self._made(snapshot)
        with self._changed:
            self._lacking = max(0, self._lacking - 1) if child is not None else 0
            if child is not None and self._snapshot is snapshot and not self._stopped:
                self._waiting.append(child)
                return
        if child is not None:
            child.close()

    def _made(self, snapshot: Snapshot) -> Child:
        settings = self._settings
        setting = Setting(
            snapshot=str(snapshot.path), memory=settings.memory, answer=settings.bytes, seconds=settings.time
        )
        try:
            child = self._forked()
        except ChildEnded as error:
            raise CatalogBusy("the process that answers SQL could not be started; try again") from error
        try:
            child.prepare(setting, patience=_PATIENCE)
        except (ChildEnded, ChildLate) as error:
            child.close()
            raise CatalogBusy("the snapshot cannot be opened; the next one is made soon") from error
        except BaseException:
            child.close()
            raise
        return child

    def _forked(self) -> Child:
        with self._beginning:
            if self._stopped:
                raise CatalogBusy("the node is stopping")
            if self._nursery is not None and not self._nursery.lives:
                self._nursery.close()
                self._nursery = None
            self._nursery = self._nursery or Nursery()
            return self._nursery.child()

    def _dismiss(self) -> None:
        with self._changed:
            old, self._waiting, self._lacking = self._waiting, [], 0
        _close(old)
        with self._beginning:
            if self._nursery is not None:
                self._nursery.close()
            self._nursery = None


def _close(children: list[Child]) -> None:
    for child in children:
        child.close()
