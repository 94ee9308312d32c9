"""Warming: what the first clip would have to wait for is loaded before anybody asks for it."""

from __future__ import annotations

import importlib
import logging
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxledger.dashboards.door import Door

_log = logging.getLogger(__name__)


def warm(door: Door) -> None:
    """Load the usual engine and the audio chain, in a thread of its own. What is wrong with them, the first request says."""
    threading.Thread(target=_warm, args=(door,), name="voxledger-warming").start()


def _warm(door: Door) -> None:
    began = time.monotonic()
    try:
        door.studio.engine()
        importlib.import_module("voxledger.synth.audio")  # torch comes with it
    except Exception as error:  # noqa: BLE001  # whatever it is, the first request meets it, and tells
        _log.debug("nothing was loaded beforehand (%s)", type(error).__name__)
    else:
        _log.debug("the engine and the audio chain were loaded in %.1f s", time.monotonic() - began)
