"""Fixtures that many tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.building import Parts
from tests.s3 import bucket, ceph_store, other_store, rclone_store, s3

__all__ = ["bucket", "ceph_store", "other_store", "parts", "rclone_store", "s3"]


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """The parts of a fresh HOME."""
    made = Parts(tmp_path / "home")
    yield made
    made.close()
