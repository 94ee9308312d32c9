"""The watch: whether the clock went on as time does. Where no other clock is at hand, one that was set ahead looks like a week that
is over.

The wall clock is held against one that nobody sets and that goes on while a machine sleeps. What is remembered of both outlives the
process, and not the machine's next start.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.home import Home
from voxledger.catalog.retention.nights import STORE_SKEW

PATIENCE = 86400.0
"""Seconds after which a clock that went ahead, and that nobody has set back, is believed."""
_SELDOM = 3600.0
"""Seconds between two times that the file is written, while all is well."""
_FILE = "clock.json"


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """Both clocks (s) at a moment at which they were believed, since which start of the machine the steady one counts, and its time
    when the other one was found ahead.
    """

    boot: str
    wall: float
    steady: float
    doubted: float | None = None


class Watch:
    """Of one HOME, shared by its processes. A file that cannot be read or written is no matter: then the watch begins anew."""

    def __init__(self, home: Home) -> None:
        self._path = home.path / _FILE

    def ahead(self) -> float:
        """How many seconds the clock went ahead at once, 0.0 while it is believed."""
        boot, present, steadily = _boot(), wall(), steady()
        seen = self._seen()
        if seen is None or seen.boot != boot or steadily < seen.steady:
            self.believe()
            return 0.0
        ahead = (present - seen.wall) - (steadily - seen.steady)
        if ahead <= STORE_SKEW:
            if seen.doubted is not None or ahead < -STORE_SKEW or steadily - seen.steady >= _SELDOM:
                self.believe()
            return 0.0
        if seen.doubted is None:
            self._write(msgspec.structs.replace(seen, doubted=steadily))
        elif steadily - seen.doubted >= PATIENCE:
            self.believe()
            return 0.0
        return ahead

    def believe(self) -> None:
        """The clock is right as it is now."""
        self._write(Seen(boot=_boot(), wall=wall(), steady=steady()))

    def _seen(self) -> Seen | None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path.read_bytes(), type=Seen)
        return None

    def _write(self, seen: Seen) -> None:
        with contextlib.suppress(OSError):
            platform.write_atomic(self._path, msgspec.json.encode(seen), mode=0o600)


def wall() -> float:
    """The clock that people set."""
    return time.time()


def steady() -> float:
    """The clock that nobody sets; it goes on while the machine sleeps, as far as the system has such a one."""
    clock: int | None = getattr(time, "CLOCK_BOOTTIME", None) or getattr(time, "CLOCK_MONOTONIC", None)  # Linux, macOS
    return time.monotonic() if clock is None else time.clock_gettime(clock)


def _boot() -> str:
    """Since when `steady` counts; where the system does not say, only this process is sure of it."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{os.getpid()} {platform.started(os.getpid())}"
