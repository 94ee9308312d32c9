"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.catalog.reconcile.worlds import World
from tests.s3 import S3Server


@pytest.fixture
def world(tmp_path: Path, s3: S3Server, bucket: str) -> Iterator[World]:
    """A HOME at each of the servers in turn."""
    made = World(tmp_path / "home", s3, bucket)
    yield made
    made.close()


@pytest.fixture
def plain(tmp_path: Path, rclone_store: S3Server, bucket: str) -> Iterator[World]:
    """A HOME at one server, where the store makes no difference."""
    made = World(tmp_path / "home", rclone_store, bucket)
    yield made
    made.close()
