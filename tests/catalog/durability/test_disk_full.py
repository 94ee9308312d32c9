"""A full disk, and a limit on the size of files: one clear error each time, nothing half done, and all goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.building import Parts
from tests.catalog.durability.judging import check_told, check_whole
from tests.catalog.durability.nursery import Nursery
from tests.soak import FULL, told_of_soak

KILO = 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _lived(nursery: Nursery, home: Path, step: str, how: str, rooms: list[int]) -> list[list[str]]:
    """A child that meets the end of its room; gives how it was refused. What it leaves is whole."""
    begun = time.monotonic()
    child = nursery.start("cramped", home, step=step, how=how, rooms=rooms)
    assert child.wait(900) == 0, "an error came through that is none of ours, or it did not recover"
    parts = Parts(home)
    assert check_told(parts, child.said()) == 0
    assert not [path for path in home.rglob("*") if "damaged" in path.name or path.suffix == ".part"]
    events = check_whole(parts)
    parts.close()
    refused = [line for line in child.said() if line[0] == "refused"]
    told_of_soak(
        f"{step} with too little room ({how})", rooms=len(rooms), refused=len(refused), events=events, lost=0, doubled=0,
        seconds=time.monotonic() - begun,
    )  # fmt: skip
    return refused


@pytest.mark.parametrize(
    ("step", "rooms"),
    [
        ("emit", [0, 20 * KILO, 60 * KILO]),
        ("drain", [0, 100 * KILO, 400 * KILO, 600 * KILO, 1000 * KILO]),
        ("rebuild", [0, 100 * KILO, 400 * KILO, 1000 * KILO]),
    ],
)
def test_a_full_disk_is_told_and_loses_nothing(nursery: Nursery, disk: Path, step: str, rooms: list[int]) -> None:
    if FULL:
        rooms = [room + more for room in rooms for more in range(0, 96 * KILO, 16 * KILO)]
    _check_told(_lived(nursery, disk / "home", step, "disk", rooms))


def test_a_full_disk_under_the_segments_prunes_nothing(nursery: Nursery, tmp_path: Path, disk: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "segments").symlink_to(disk, target_is_directory=True)
    _check_told(_lived(nursery, home, "drain", "disk", [0, 4 * KILO]))


@pytest.mark.parametrize("step", ["emit", "drain", "rebuild"])
def test_a_limit_on_files_is_told_and_loses_nothing(nursery: Nursery, tmp_path: Path, step: str) -> None:
    rooms = [4 * KILO, 64 * KILO, 512 * KILO, 1500 * KILO]
    if FULL:
        rooms = [room + more for room in rooms for more in range(0, 96 * KILO, 16 * KILO)]
    refused = _lived(nursery, tmp_path / "home", step, "limit", rooms)
    assert refused
    assert {line[2] for line in refused} <= {"DiskFull", "JournalError"}


def _check_told(refused: list[list[str]]) -> None:
    assert refused
    assert {line[2] for line in refused} == {"DiskFull"}
    assert all("the disk is full: " in " ".join(line) for line in refused)
