"""Fixtures that many tests use, and what `make test` does to be quick: see docs/soak.md.

It keeps HOMEs in memory where there is room, and runs a test on one of two stores where they do not matter.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.building import Parts
from tests.descriptions import read_once
from tests.s3 import EVERY_SERVER, bucket, ceph_store, other_store, rclone_store, s3, spared
from tests.soak import FULL
from tests.templates import begin_with_copies

__all__ = ["bucket", "ceph_store", "other_store", "parts", "rclone_store", "s3"]

_MEMORY = Path("/dev/shm")
_ROOM = 2 << 30
"""Bytes that must be free there, far more than the tests need."""
_LONG = (
    "test_indextts.py", "test_contract.py", "test_crash.py", "test_waiting.py", "test_publishing.py", "test_bringing_back.py",
    "test_indextts_clips.py", "test_kills.py", "test_damage.py", "test_backup_killed.py", "test_reconcile_killed.py",
    "test_backup_life.py", "test_under_load.py", "test_model.py", "test_equality.py", "test_disk_full.py", "test_node.py",
    "test_indextts_models.py",
)  # fmt: skip
"""The files that take longest, the longest first: begun last, one of them would keep everybody waiting at the end."""


def pytest_configure(config: pytest.Config) -> None:
    read_once()
    if not FULL:
        begin_with_copies()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        # A shell tells what it starts in the background to ignore Ctrl-C, and so would every process that a test starts.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Where it is set, each process that a test starts would compile all of Voxledger anew. Workers and processes inherit it.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    config.addinivalue_line("markers", f"{EVERY_SERVER}: runs on rclone and on Ceph in `make test` too")
    # Workers of pytest-xdist inherit it.
    if not FULL and "TMPDIR" not in os.environ and sys.platform == "linux" and _free() >= _ROOM:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _free() -> int:
    """Bytes that fit into the memory's folder."""
    return min(shutil.disk_usage(_MEMORY).free, psutil.virtual_memory().available) if os.access(_MEMORY, os.W_OK) else 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any("::" in argument for argument in config.args):
        return  # whoever names a test gets it
    place = {name: at for at, name in enumerate(_LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(place)))
    leave = spared(items)
    config.hook.pytest_deselected(items=[item for item in items if item in leave])
    items[:] = [item for item in items if item not in leave]


def pytest_collection_finish() -> None:
    # What was imported up to now stays; the collector would look at all of it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_unconfigure() -> None:
    gc.unfreeze()  # at the end everything is taken apart


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """The parts of a fresh HOME."""
    made = Parts(tmp_path / "home")
    yield made
    made.close()
