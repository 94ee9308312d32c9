"""HOME: made when missing, refused where it cannot work."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import psutil
import pytest

from voxledger.catalog import DiskFull, HomeError, platform
from voxledger.catalog.home import Home, default_path


def test_home_comes_from_the_environment_or_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOXLEDGER_HOME", str(tmp_path))
    assert default_path() == tmp_path
    monkeypatch.delenv("VOXLEDGER_HOME")
    assert default_path().name == "voxledger"


def test_home_is_made_for_its_owner_only(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "new" / "home")
    assert home.path.stat().st_mode & 0o777 == 0o700


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(HomeError, match="cannot be used"):
        Home.open(tmp_path / "file")


@pytest.mark.skipif(os.getuid() == 0 and not Path("/usr/bin/setpriv").exists(), reason="root may write everywhere")
def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    tmp_path.chmod(0o755)
    code = (
        "import sys; from voxledger.catalog.home import Home\n"
        f"try: Home.open({str(locked)!r})\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", code]
    if os.getuid() == 0:
        # Root may write everywhere; without that right this process is like a user's.
        command = ["/usr/bin/setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all", *command]
    heard = subprocess.run(command, capture_output=True, text=True, check=False)
    assert heard.stdout.startswith("HomeError HOME"), heard.stderr
    assert "Permission denied" in heard.stdout


def test_a_home_on_a_network_folder_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Mount = namedtuple("Mount", "device mountpoint fstype opts")
    mounts = [Mount("disk", "/", "ext4", ""), Mount("server:/x", str(tmp_path), "nfs4", "")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: mounts)  # noqa: A006  # psutil's own name
    with pytest.raises(HomeError, match=r"network folder \(nfs4\)"):
        Home.open(tmp_path / "home")
    assert not (tmp_path / "home").exists()


def test_a_path_with_nul_is_refused() -> None:
    with pytest.raises(HomeError, match="NUL"):
        Home.open("a\0b")


def test_too_little_room_is_said_with_numbers(tmp_path: Path) -> None:
    home = Home.open(tmp_path)
    home.require_room(1)
    with pytest.raises(DiskFull, match=r"general\.min_free_disk"):
        home.require_room(2**60)


def test_a_write_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    platform.write_atomic(target, b"old")

    def broken(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(platform, "fsync_file", broken)
    with pytest.raises(OSError, match="No space"):
        platform.write_atomic(target, b"new")
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_process_is_known_by_pid_and_start_time() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    start = platform.started(process.pid)
    assert start is not None
    assert platform.is_alive(process.pid, start)
    assert not platform.is_alive(process.pid, start - 10)
    process.communicate(b"\n")
    assert not platform.is_alive(process.pid, start)


def test_a_lock_is_held_by_one_process(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "from pathlib import Path; from voxledger.catalog import platform\n"
        f"with platform.locked(Path({str(lock)!r}), blocking=False) as held: print(held)"
    )

    def other() -> str:
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    with platform.locked(lock) as held:
        assert held
        assert other() == "False\n"
    assert other() == "True\n"
