"""Killed at any point, whatever was begun goes on where it was, and a backup is whole or not there."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forking
from tests.catalog.backup.nodes import Node, recorded, rows
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import wait_for
from tests.soak import spread
from voxledger.catalog.backup import Rules
from voxledger.catalog.errors import BackupError, HomeError
from voxledger.catalog.log.verify import verify

ONE = Rules(last=1, daily=0, weekly=0, monthly=0)


@pytest.fixture
def _as_started_by_a_person() -> Iterator[None]:
    """A shell lets what it starts in the background ignore interrupts, and that is inherited."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def full(rclone_node: Node, tmp_path: Path) -> Node:
    """A node with an encrypted backup of everything, and its vault in a file."""
    rclone_node.use_key()
    rclone_node.speak(25)
    rclone_node.store_audio(4)
    with rclone_node.open() as vox:
        vox.backups.create(with_audio=True, vault=tmp_path / "saved.vault")
    return rclone_node


@pytest.mark.parametrize("failpoint", ["backup.after_copy", "backup.after_chunk:4", "backup.before_manifest"])
def test_a_killed_backup_is_none_and_the_next_sends_the_rest(full: Node, failpoint: str) -> None:
    full.speak(40, session="x" * 200)
    before = full.objects()
    full.killed(failpoint, "create", str(full.path))
    between = full.objects()
    with full.backups() as backups:
        assert len(backups.list()) == 1
        assert all(checked.intact for checked in backups.verify())
    with full.open() as vox:
        done = vox.backups.create(with_audio=True)
        assert not (vox.home.path / "backup.tmp").exists()
        assert [row["subject"] for row in recorded(vox, "BackupCompleted")][-1] == done.manifest.id
    sent_before = {name for name in between if name.startswith("data/")} - set(before)
    assert sent_before or "copy" in failpoint
    with full.backups() as backups:
        assert len(backups.list()) == 2
        assert all(checked.intact for checked in backups.verify())
        # The lock of the process that was killed holds nobody up.
        backups.prune(rules=ONE, apply=True)
        assert [checked.intact for checked in backups.verify()] == [True]


def test_a_killed_backup_goes_on_within_large_audio(rclone_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """At another endpoint, where the store cannot copy it."""
    rclone_node.store_audio(1, size=24 << 20)
    server = rclone_node.server
    with FaultProxy(server.port) as proxy:
        place = {"ENDPOINT": proxy.url, "ACCESS_KEY": server.access_key, "SECRET_KEY": server.secret_key}
        for name, value in place.items():
            monkeypatch.setenv(f"VOXLEDGER_BACKUP_{name}", value)
        rclone_node.killed("upload.after_part:2", "create", str(rclone_node.path))
        with rclone_node.open() as vox:
            done = vox.backups.create(with_audio=True)
            assert [checked.intact for checked in vox.backups.verify()] == [True]
            assert list((vox.home.path / "uploads" / "backup").glob("*.begun")) == []
        assert (done.lacking, done.manifest.audio and done.manifest.audio.objects) == (0, 1)
        assert proxy.count("POST", "uploads") == 1
        # Each of the three parts once, but for one that was on its way.
        assert proxy.count("PUT", "partNumber") <= 4


@pytest.mark.usefixtures("_as_started_by_a_person")
def test_ctrl_c_over_a_line_that_hangs_ends_at_once_and_the_next_backup_goes_on(
    rclone_node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    rclone_node.store_audio(1, size=24 << 20)
    server, hang = rclone_node.server, threading.Event()
    with FaultProxy(server.port) as proxy:
        place = {"ENDPOINT": proxy.url, "ACCESS_KEY": server.access_key, "SECRET_KEY": server.secret_key}
        for name, value in place.items():
            monkeypatch.setenv(f"VOXLEDGER_BACKUP_{name}", value)
        proxy.faults += [Fault(path="partNumber=3", hold=hang), Fault(method="DELETE", hold=hang)]
        command = ["-m", "voxledger", "--home", rclone_node.path, "backup", "create", "--with-audio"]
        with forking.spawn(command, kind="most", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            wait_for(lambda: proxy.count("PUT", "partNumber") == 2 and len(proxy.faults) == 1, "a part hangs")
            process.send_signal(signal.SIGINT)
            pressed = time.monotonic()
            _, said = process.communicate(timeout=30)
            took = time.monotonic() - pressed
        assert (process.returncode, said.strip().count("\n")) == (130, 0), said
        assert "Interrupted. There is no backup of it yet" in said
        assert took < 3
        proxy.faults.clear()
        hang.set()
        with rclone_node.open() as vox:
            done = vox.backups.create(with_audio=True)
            assert [checked.intact for checked in vox.backups.verify()] == [True]
        assert (done.lacking, done.manifest.audio and done.manifest.audio.objects) == (0, 1)
        assert proxy.count("POST", "uploads") == 1, "it went on within the object"
        assert proxy.count("PUT", "partNumber=1") == proxy.count("PUT", "partNumber=2") == 1


def test_killed_right_after_the_manifest_it_is_a_backup(full: Node) -> None:
    full.killed("backup.after_manifest", "create", str(full.path))
    with full.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True, True]


@pytest.mark.parametrize(
    "failpoint",
    spread([
        "restore.after_file:2", "restore.after_settled", "restore.after_drained", "restore.before_moving",
        "restore.after_moved:1", "restore.after_moved:5",
    ]),
)  # fmt: skip
def test_a_killed_restore_goes_on(full: Node, tmp_path: Path, failpoint: str) -> None:
    with full.open() as vox:
        head = vox.backups.list()[0].manifest
        before = rows(vox)
    new = tmp_path / "new"
    full.killed(failpoint, "restore", str(new))
    with pytest.raises(HomeError, match="being restored"), full.open(new):
        pass
    with full.backups() as backups:
        done = backups.restore("latest", new, vault=tmp_path / "saved.vault", with_audio=True)
    assert head is not None
    assert done.manifest == head
    assert (done.actors, done.keys) == (1, 1)
    with full.open(new) as vox:
        assert rows(vox) == before
        assert verify(vox.keeper).intact
        assert len(recorded(vox, "RestoreCompleted")) == 1
        assert [epoch.reason for epoch in vox.journal.epochs()] == ["created", "restored"]
    assert not (new / ".restoring").exists()


def test_a_killed_prune_leaves_too_much_and_never_too_little(full: Node) -> None:
    full.speak(30)
    with full.open() as vox:
        vox.backups.create(with_audio=True)
    full.killed("backup.after_forgotten", "prune", str(full.path))
    with full.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True]
        done = backups.prune(rules=ONE, apply=True)
        assert done.objects > 0
        assert [checked.intact for checked in backups.verify()] == [True]
        assert backups.prune(rules=ONE, apply=True).objects == 0


def test_what_a_killed_restore_has_changed_is_not_fetched_again(full: Node, tmp_path: Path) -> None:
    new = tmp_path / "new"
    full.killed("restore.after_drained", "restore", str(new))
    # The journal was made the new place's own: its size says nothing any more.
    with (new / ".restoring" / "home" / "journal.sqlite").open("ab") as journal:
        journal.write(bytes(4096))
    heard: list[str] = []
    with full.backups() as backups:
        backups.restore("latest", new, progress=lambda what, done, total: heard.append(what))
    assert "fetching" not in heard
    with full.open(new) as vox:
        assert verify(vox.keeper).intact
        assert [epoch.reason for epoch in vox.journal.epochs()] == ["created", "restored"]


def test_a_restore_that_was_begun_without_the_vault_says_that_it_cannot_get_one(full: Node, tmp_path: Path) -> None:
    new = tmp_path / "new"

    def ending(what: str, done: int, total: int) -> None:
        if what == "verifying":
            raise RuntimeError(done, total)

    with full.backups() as backups:
        with pytest.raises(RuntimeError):
            backups.restore("latest", new, progress=ending)
        with pytest.raises(BackupError, match="cannot get one any more"):
            backups.restore("latest", new, vault=tmp_path / "saved.vault")
        assert backups.restore("latest", new).keys == 0
