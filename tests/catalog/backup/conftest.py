"""Fixtures of the backups' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.catalog.backup.nodes import VAULT_KEY, Node
from tests.s3 import S3Server
from voxledger.catalog.log import sealing


@pytest.fixture(autouse=True)
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments of ten events."""
    monkeypatch.setattr(sealing, "SEAL", 10)
    monkeypatch.setenv("VOXLEDGER_BACKUP_VAULT_KEY", VAULT_KEY)


@pytest.fixture
def node(s3: S3Server, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node on each of the servers in turn."""
    return Node(tmp_path / "home", s3, bucket, monkeypatch)


@pytest.fixture
def rclone_node(rclone_store: S3Server, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A node on rclone, for what has nothing to do with the server."""
    return Node(tmp_path / "home", rclone_store, bucket, monkeypatch)
