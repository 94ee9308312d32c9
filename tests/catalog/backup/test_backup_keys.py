"""Under a passphrase only what was sealed with it is restored, and damaged keys are told in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.backup.nodes import Node
from voxledger.catalog.errors import BackupDamaged, BackupError


@pytest.fixture
def forged(rclone_node: Node, tmp_path: Path) -> str:
    """An encrypted backup, and after it a plain one of another HOME in the same bucket, put there without the key. Its id."""
    rclone_node.use_key()
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
    key = next(name for name in rclone_node.objects() if name.startswith("keys/"))
    content = rclone_node.objects()[key]
    rclone_node.change(key, None)
    rclone_node.use_key("")
    with rclone_node.open(tmp_path / "forger") as vox:
        made = vox.backups.create()
    rclone_node.change(key, content)
    rclone_node.use_key()
    return made.manifest.id


def test_a_plain_backup_is_not_restored_where_backups_are_encrypted(
    rclone_node: Node, tmp_path: Path, forged: str
) -> None:
    with rclone_node.backups() as backups:
        assert [entry.encrypted for entry in backups.list()] == [True, False]
        assert [checked.intact for checked in backups.verify()] == [True, True]
        backups.prune()
        with pytest.raises(BackupError, match=r"is not encrypted, and backup\.key is set"):
            backups.restore(forged, tmp_path / "new")
        assert not (tmp_path / "new").exists()
        done = backups.restore("latest", tmp_path / "new")
    assert done.manifest.id != forged
    assert done.manifest.through == 3


def test_where_all_are_plain_the_latest_is_none_until_the_key_is_empty(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        made = vox.backups.create()
    rclone_node.use_key()
    with rclone_node.backups() as backups, pytest.raises(BackupError, match=r"none of the backups .* is encrypted"):
        backups.restore("latest", tmp_path / "new")
    rclone_node.use_key("")
    with rclone_node.backups() as backups:
        assert backups.restore("latest", tmp_path / "new").manifest == made.manifest


DAMAGED = [
    b"\xff no json", b"{}", b'{"salt": "AAAA", "cost": 15, "wrapped": "AAAA"}', b'{"salt": "AA", "cost": 15, "wrapped": "!"}'
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED, ids=["no json", "no header", "too short", "no base64"])
def test_a_damaged_key_is_named_and_another_one_taken(rclone_node: Node, content: bytes) -> None:
    rclone_node.use_key()
    rclone_node.change("keys/0000.json", content)
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        with pytest.raises(BackupDamaged, match=r"keys/0000\.json is damaged") as caught:
            vox.backups.create()
        assert caught.value.objects == ("keys/0000.json",)
        rclone_node.change("keys/0000.json", None)
        vox.backups.create()
        rclone_node.change("keys/0000.json", content)
        assert vox.backups.create().encrypted
    with rclone_node.backups() as backups:
        assert [checked.intact for checked in backups.verify()] == [True, True]
