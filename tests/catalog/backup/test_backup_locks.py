"""Whoever lost the lock in the bucket stops, wherever it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.backup.nodes import Node
from voxledger.catalog.backup import Rules, audio, locks
from voxledger.catalog.backup.locks import held
from voxledger.catalog.errors import BackupError
from voxledger.catalog.progress import Progress

ONE = Rules(last=1, daily=0, weekly=0, monthly=0)
LOST = "taken its lock away"


@pytest.fixture(autouse=True)
def always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every lock is due for renewal all the time."""
    monkeypatch.setattr(locks, "_RENEWED", -1.0)


def _unlocked(node: Node) -> None:
    """What another machine does to a lock that was not renewed for half an hour."""
    for name in [name for name in node.objects() if name.startswith("locks/")]:
        node.change(name, None)


def _losing(node: Node, during: str, heard: list[str]) -> Progress:
    """Hears of progress, and loses the lock as soon as `during` begins."""

    def progress(what: str, done: int, total: int | None) -> None:
        if what == during and what not in heard:
            _unlocked(node)
        heard.append(what)

    return progress


def test_a_lock_that_was_taken_away_does_not_come_back_by_renewing(rclone_node: Node) -> None:
    with rclone_node.backups() as backups:
        store, name = backups.bucket.store, backups.bucket.name
        with held(store, name, "create") as lock:
            lock.renew()
            _unlocked(rclone_node)
            with pytest.raises(BackupError, match=LOST):
                lock.renew()
            assert list(store.list(name, "locks/")) == []


@pytest.mark.parametrize("during", ["copying the journal", "checking segments", "confirming"])
def test_a_backup_that_lost_its_lock_ends_where_it_is(rclone_node: Node, tmp_path: Path, during: str) -> None:
    rclone_node.speak(25)
    heard: list[str] = []
    with rclone_node.open() as vox, pytest.raises(BackupError, match=LOST):
        vox.backups.create(vault=tmp_path / "saved.vault", progress=_losing(rclone_node, during, heard))
    assert heard[-1] == during
    sent = [name for name in rclone_node.objects() if name.startswith("data/")]
    assert bool(sent) == (during == "confirming")
    assert not (tmp_path / "saved.vault").exists()


def test_a_prune_that_lost_its_lock_reads_no_further(rclone_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    rclone_node.store_audio(2)
    with rclone_node.open() as vox:
        for _ in range(3):
            vox.backups.create(with_audio=True)
    before = rclone_node.objects()
    heard: list[str] = []
    with rclone_node.backups() as backups:
        with pytest.raises(BackupError, match=LOST):
            backups.prune(rules=ONE, apply=True, progress=_losing(rclone_node, "reading backups", heard))
        assert heard == ["reading backups"]
        # Later, while it looks for what is not needed.
        gone, listed = [], audio.listed

        def losing(*arguments: object) -> object:
            for saved in listed(*arguments):  # type: ignore[arg-type]  # as they come
                if not gone:
                    _unlocked(rclone_node)
                gone.append(saved)
                yield saved

        monkeypatch.setattr("voxledger.catalog.backup.pruning.listed_audio", losing)
        with pytest.raises(BackupError, match=LOST):
            backups.prune(rules=ONE, apply=True)
        assert len(gone) == 1
    assert rclone_node.objects() == before
