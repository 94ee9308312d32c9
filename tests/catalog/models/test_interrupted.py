"""Interrupted: killed or without room, nothing is half there, and the next try does only the rest."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forking
from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, contents, made_folder
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, wait_for
from voxledger.catalog.errors import ModelError
from voxledger.catalog.models import contents as contents_of_models
from voxledger.catalog.models.bucket import blob_key
from voxledger.catalog.objects import part_file, ranged

PLACES = ["models.after_pulled_file", "models.after_pulled_file:3", "models.before_folder", "models.after_folder"]


@pytest.fixture
def machine(rclone_store: S3Server, machine_on: MakeMachine) -> Machine:
    return machine_on(rclone_store)


def check_clean(machine: Machine) -> None:
    """Nothing but whole versions and their contents."""
    left = [path for path in machine.folder.rglob("*") if ".part" in path.name or path.parent.name == ".staging"]
    assert [path for path in left if path.suffix != ".lock"] == []


def ranges_on_the_list(machine: Machine) -> int:
    """How many ranges of a content a killed pull would find again."""
    return sum(path.read_bytes().count(b"\n") - 1 for path in machine.folder.rglob("*.ranges"))


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_pull_leaves_a_whole_folder_or_none_and_fetches_the_rest(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path, place: str
) -> None:
    machine.models.push(folder, "indextts@2.5")
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url, **{"models.threads": 1})
        killed = other.run("pull", "indextts@2.5", failpoint=place, url=proxy.url)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        found = other.models.path("indextts@2.5")
        assert (found is not None) == (place == "models.after_folder")
        assert found or not (other.folder / "indextts" / "2.5").exists()
        pulled = other.models.pull("indextts@2.5")
        # Each file once, whoever fetched it, but for the one that was on its way when the power went.
        assert proxy.count("GET", "/blobs/") <= 4
        assert pulled.fetched_files <= (2 if place == "models.after_pulled_file" else 0)
    assert contents(pulled.path) == contents(folder)
    check_clean(other)


def test_a_killed_pull_of_a_large_file_goes_on_within_it(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    made_folder(folder, large=os.urandom(40 << 20))
    machine.models.push(folder, "indextts@2.5")
    held = threading.Event()
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url)
        # Everything comes but one answer, which never ends: then the power goes.
        proxy.faults = [Fault(method="GET", path="/blobs/")] * 4 + [Fault(method="GET", path="/blobs/", hold=held)]
        child = forking.spawn(**other.child("pull", "indextts@2.5", url=proxy.url))
        wait_for(lambda: proxy.count("GET", "/blobs/") >= 4 and not proxy.faults, "ranges came")
        child.kill()
        child.communicate()
        held.set()
        came = proxy.count("GET", "/blobs/")
        pulled = other.models.pull("indextts@2.5")
        again = proxy.count("GET", "/blobs/") - came
    assert pulled.fetched_bytes < pulled.manifest.size - (8 << 20)
    assert contents(pulled.path) == contents(folder)
    assert again <= 8 - 2  # 3 small files and 5 ranges in all
    check_clean(other)


@pytest.mark.parametrize("what", ["push", "pull"])
def test_ctrl_c_does_not_wait_for_the_parts_under_way_and_the_next_run_goes_on(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path, what: str
) -> None:
    made_folder(folder, large=b"l" * (65 << 20))
    if what == "pull":
        machine.models.push(folder, "indextts@2.5")
    method, path = ("PUT", "partNumber") if what == "push" else ("GET", "/blobs/")
    held = threading.Event()
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url)
        proxy.faults = [Fault(method=method, path=path)] * 3 + [Fault(method=method, path=path, hold=held)] * 20
        argument = [str(folder)] if what == "push" else []
        wanted = other.child(what, *argument, "indextts@2.5", url=proxy.url)
        # An interpreter of its own: how that ends is what is tested.
        wanted["args"] = [sys.executable, *wanted.pop("arguments")]
        child = subprocess.Popen(**wanted, text=True)
        wait_for(lambda: proxy.count(method, path) >= 3, "parts went")
        if what == "pull":
            wait_for(lambda: ranges_on_the_list(other) >= 2, "two ranges are on the list")
        child.send_signal(signal.SIGINT)
        try:
            child.communicate(timeout=20)  # the parts under way would never end
        finally:
            child.kill()
        proxy.faults = []
        held.set()
        if what == "push":
            other.models.push(folder, "indextts@2.5")
            assert proxy.count("POST", "uploads") == 1
        else:
            pulled = other.models.pull("indextts@2.5")
            assert pulled.fetched_bytes < pulled.manifest.size - (8 << 20)
    assert contents(machine.models.pull("indextts@2.5").path) == contents(folder)


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that little data is fetched as gigabytes are."""
    monkeypatch.setattr(contents_of_models, "LARGE", 10_000)
    monkeypatch.setattr(part_file, "RANGE", 4_000)
    monkeypatch.setattr(ranged, "_FAREWELL", 0.1)


@pytest.mark.usefixtures("small_is_large")
def test_while_one_large_file_is_slow_another_arrives(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    manifest = machine.models.push(folder, "indextts@2.5").manifest
    slow, other_file = (f for f in sorted(manifest.files, key=lambda file: -file.bytes) if f.bytes > 10_000)
    held = threading.Event()
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url, **{"models.threads": 4})
        proxy.faults = [Fault(method="GET", path=slow.sha256, hold=held)]
        pulling = threading.Thread(target=lambda: other.models.pull("indextts@2.5"))
        pulling.start()
        wait_for(lambda: other.models.local.blob(other_file.sha256).exists(), "the other file arrived")
        assert not other.models.local.blob(slow.sha256).exists()
        held.set()
        pulling.join()
    assert contents(other.models.path("indextts@2.5") or folder / "none") == contents(folder)
    check_clean(other)


@pytest.mark.usefixtures("small_is_large")
def test_a_large_file_that_the_store_lacks_ends_those_beside_it(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    manifest = machine.models.push(folder, "indextts@2.5").manifest
    slow, lost = (f for f in sorted(manifest.files, key=lambda file: -file.bytes) if f.bytes > 10_000)
    machine.store.delete(machine.bucket_name, blob_key(lost.sha256))
    held = threading.Event()
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url, **{"models.threads": 4})
        proxy.faults = [Fault(method="GET", path=slow.sha256, hold=held)] * 4
        with pytest.raises(ModelError, match=f"lacks {lost.path}"):
            other.models.pull("indextts@2.5")
        held.set()


def test_removing_a_version_leaves_what_an_interrupted_pull_of_another_brought(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path, tmp_path: Path
) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.push(made_folder(tmp_path / "small", **{"config.yaml": b"small"}), "small@1")
    other = machine_on(rclone_store, "other", **{"models.threads": 1})
    other.models.pull("small@1")
    made_folder(folder, only=b"o" * 1000)
    machine.models.push(folder, "indextts@2.6")
    killed = other.run("pull", "indextts@2.6", failpoint="models.after_pulled_file:2")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    piece = next((other.folder / ".blobs").iterdir()) / f".{'ab' * 20}.{'ab' * 8}.part"
    piece.write_bytes(b"half of a file")
    assert other.models.remove("small@1") == 5 + 50_000
    assert piece.exists()
    assert other.models.pull("indextts@2.6").fetched_bytes == 50_000
    other.models.gc_here()
    check_clean(other)


@pytest.mark.parametrize("place", ["models.after_pushed_file", "models.before_manifest", "models.after_manifest"])
def test_a_killed_push_is_not_there_yet_and_sends_the_rest(machine: Machine, folder: Path, place: str) -> None:
    killed = machine.run("push", str(folder), "indextts@2.5", failpoint=place)
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    there = machine.store.exists(machine.bucket_name, "manifests/indextts/2.5.json")
    assert there == (place == "models.after_manifest")
    pushed = machine.models.push(folder, "indextts@2.5")
    assert pushed.sent_files <= 2 if place == "models.after_pushed_file" else pushed.sent_files == 0
    assert contents(machine.models.pull("indextts").path) == contents(folder)


def test_a_killed_push_of_a_large_file_goes_on_within_it(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    made_folder(folder, large=os.urandom(40 << 20))
    with FaultProxy(rclone_store.port) as proxy:
        killed = machine.run("push", str(folder), "indextts@2.5", failpoint="upload.after_part:3", url=proxy.url)
        assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
        again = machine_on(rclone_store, url=proxy.url)
        again.models.push(folder, "indextts@2.5")
        assert proxy.count("POST", "uploads") == 1
        # Each of the five parts once, but for one that was on its way when the power went.
        assert proxy.count("PUT", "partNumber") <= 6
        assert list(again.models.local.begun.glob("*.begun")) == []


def test_a_push_that_is_never_finished_is_given_up_when_the_store_is_collected(
    machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    machine = machine_on(rclone_store, **{"models.grace": 0.0})
    machine.models.push(folder, "indextts@2.4")
    machine.run(
        "push", str(made_folder(folder, large=os.urandom(20 << 20))), "indextts@2.5", failpoint="upload.after_part"
    )
    assert len(list(machine.models.local.begun.glob("*.begun"))) == 1
    machine.models.gc()
    left = machine.store.request("UPLOADS", lambda s3: s3.list_multipart_uploads(Bucket=machine.bucket_name))
    assert left.get("Uploads", []) == []
    assert list(machine.models.local.begun.glob("*.begun")) == []


def test_a_killed_restore_is_done_again(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    machine.models.push(folder, "indextts@2.5")
    machine.models.pull("indextts@2.5")
    for found in list(machine.store.list(machine.bucket_name)):
        machine.store.delete(machine.bucket_name, found.key)
    killed = machine.run("restore", "indextts@2.5", failpoint="models.after_pushed_file:2")
    assert killed.returncode == -signal.SIGKILL, killed.stdout + killed.stderr
    assert machine.models.restore("indextts@2.5").store.source == "node"
    other = machine_on(rclone_store, "other")
    assert contents(other.models.pull("indextts").path) == contents(folder)


def test_processes_pull_one_after_another(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path
) -> None:
    machine.models.push(folder, "indextts@2.5")
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(rclone_store, "other", url=proxy.url)
        crew = [forking.spawn(**other.child("pull", "indextts@2.5", url=proxy.url)) for _ in range(3)]
        said = [child.communicate(timeout=60)[0] for child in crew]
        assert [child.returncode for child in crew] == [0, 0, 0]
        assert sorted(re.findall(r"was_here=(\w+)", "".join(said))) == ["False", "True", "True"]
        assert proxy.count("GET", "/blobs/") == 3


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    if os.getuid() != 0:
        pytest.skip("mounting a small disk needs root")
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_disk_that_fills_up_is_told_and_the_rest_comes_later(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path, disk: Path
) -> None:
    made_folder(folder, first=b"1" * 1_000_000, second=b"2" * 900_000)
    machine.models.push(folder, "indextts@2.5")
    other = machine_on(rclone_store, "other", **{"models.folder": str(disk / "models")})
    (disk / "filler").write_bytes(b"x" * 600_000)
    told = other.run("pull", "indextts@2.5", failpoint="", folder=disk / "models")
    assert told.returncode == 1
    assert told.stdout.startswith("DiskFull: ")
    assert other.models.path("indextts@2.5") is None
    assert not (disk / "models" / "indextts").exists()
    (disk / "filler").unlink()
    assert contents(other.models.pull("indextts@2.5").path) == contents(folder)


def test_a_disk_that_fills_up_meanwhile_keeps_what_came(
    machine: Machine, machine_on: MakeMachine, rclone_store: S3Server, folder: Path, disk: Path
) -> None:
    made_folder(folder, first=b"1" * 1_000_000, second=b"2" * 900_000)
    machine.models.push(folder, "indextts@2.5")
    with FaultProxy(rclone_store.port) as proxy:
        other = machine_on(
            rclone_store, "other", url=proxy.url, **{"models.folder": str(disk / "models"), "models.threads": 1}
        )
        held = threading.Event()
        proxy.faults = [Fault(method="GET", path="/blobs/")] * 2 + [Fault(method="GET", path="/blobs/", hold=held)]
        child = forking.spawn(**other.child("pull", "indextts@2.5", url=proxy.url, folder=disk / "models"))
        wait_for(lambda: not proxy.faults, "two files are here")
        (disk / "filler").write_bytes(b"x" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 4096))
        held.set()
        said = child.communicate(timeout=60)[0]
        assert (child.returncode, said[:9]) == (1, "DiskFull:"), said
        assert " of indextts@2.5 needs " in said
        (disk / "filler").unlink()
        came = proxy.count("GET", "/blobs/")
        pulled = other.models.pull("indextts@2.5")
        assert proxy.count("GET", "/blobs/") - came <= 3
    assert contents(pulled.path) == contents(folder)
