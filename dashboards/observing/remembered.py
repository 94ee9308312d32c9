"""Remembered: the state of a HOME, a few seconds old, for whoever asks often: looking at it asks large questions."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.catalog.status import Status
    from voxledger.dashboards.door import Door

_FRESH = 5.0
"""Seconds that a state is good for."""
_SELDOM = 20.0
"""A look that takes long is seldom repeated: it may take a twentieth of the time."""
_PATIENCE = 5.0
"""Seconds that the first scrape waits for the first look."""
_log = logging.getLogger(__name__)


class Remembered:
    """The newest state that somebody has looked at, renewed in a thread beside whoever asks."""

    def __init__(self, door: Door, *, fresh: float = _FRESH, seldom: float = _SELDOM) -> None:
        """A state is good for `fresh` seconds, and for `seldom` times as long as the look at it took."""
        self._door = door
        self._fresh, self._seldom = fresh, seldom
        self._lock = threading.Lock()
        self._looked = threading.Event()
        self._looking = False
        self._due = 0.0
        self.status: Status | None = None
        self.at = self.took = 0.0
        """When it was looked at (s since the epoch), and how many seconds that took."""
        self.failures = 0

    def now(self) -> Status | None:
        """The state, a few seconds old; None while nobody could look yet."""
        with self._lock:
            begin = not self._looking and time.monotonic() >= self._due
            self._looking |= begin
        if begin:
            threading.Thread(target=self._look, name="voxledger-state", daemon=True).start()
        if self.status is None:
            self._looked.wait(_PATIENCE)
        return self.status

    def _look(self) -> None:
        began = time.monotonic()
        try:
            self.status = self._door.status()
            self.at = time.time()
        except VoxledgerError as error:
            self.failures += 1
            _log.info("the state could not be looked at: %s", error)
        except Exception as error:  # noqa: BLE001  # a thread of ours at the end of the process
            self.failures += 1
            _log.info("the state could not be looked at: %s", type(error).__name__)
        finally:
            self.took = time.monotonic() - began
            with self._lock:
                self._due = time.monotonic() + max(self._fresh, self._seldom * self.took)
                self._looking = False
            self._looked.set()
