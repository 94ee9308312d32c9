"""The vault's own file is never replaced by one that has less."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.catalog.backup.nodes import VAULT_KEY, Node
from voxledger.catalog.backup import vault_file
from voxledger.catalog.errors import BackupError


def test_the_file_of_another_node_is_left_alone(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        vox.backups.create(vault=vault)
        node = vox.journal.node
    saved, before = vault.read_bytes(), rclone_node.objects()
    with rclone_node.open(tmp_path / "other") as vox, pytest.raises(BackupError, match=f"vault of node {node}"):
        vox.backups.create(vault=vault)
    assert vault.read_bytes() == saved
    assert rclone_node.objects() == before  # it is said before anything is sent


def test_a_home_restored_without_its_vault_does_not_replace_the_only_keys(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        vox.backups.create(vault=vault)
    saved = vault.read_bytes()
    with rclone_node.backups() as backups:
        backups.restore("latest", tmp_path / "new")
    with rclone_node.open(tmp_path / "new") as vox:
        vox.vault.actor("ann")
        with pytest.raises(BackupError, match="1 key that this HOME does not have"):
            vox.backups.create(vault=vault)
        assert vault.read_bytes() == saved
        vox.backups.create(vault=tmp_path / "another.vault")
    with rclone_node.backups() as backups:
        assert backups.restore("latest", tmp_path / "newer", vault=vault).keys == 1


def test_after_an_erasure_the_vault_is_saved_over_the_old_file(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        vox.backups.create(vault=vault)
        erased = vox.vault.actor("ann")
        node = vox.journal.node
    with closing(sqlite3.connect(rclone_node.path / "vault.sqlite")) as keys, keys:
        keys.execute("UPDATE actors SET key = NULL, label = NULL WHERE id = ?", (erased.id,))
    with rclone_node.open() as vox:
        kept = vox.vault.actor("bea")
        vox.backups.create(vault=vault)
    saved = vault_file.opened(vault, node=node, passphrase=VAULT_KEY)
    assert kept.key in saved
    assert erased.key not in saved  # nor in the free room of a page
    assert [path.name for path in tmp_path.glob("*vault*")] == ["saved.vault"]


def test_a_file_that_cannot_be_looked_into_is_left_alone(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    vault = tmp_path / "saved.vault"
    with rclone_node.open() as vox:
        vox.backups.create(vault=vault)
        saved = vault.read_bytes()
        with pytest.raises(BackupError, match="move it away"):
            vox.backups.create(vault=vault, vault_key="another")
        assert vault.read_bytes() == saved
        damaged = saved[:-1] + bytes([saved[-1] ^ 1])
        vault.write_bytes(damaged)
        with pytest.raises(BackupError, match="move it away"):
            vox.backups.create(vault=vault)
        assert vault.read_bytes() == damaged
