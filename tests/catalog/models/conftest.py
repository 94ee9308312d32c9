"""Fixtures of the models' tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalog.models.machines import Machine, made_folder
from tests.s3 import S3Server

MakeMachine = Callable[..., Machine]


@pytest.fixture
def machine_on(tmp_path: Path, bucket: str) -> Iterator[MakeMachine]:
    """Makes machines on one bucket of a server; they are closed in the end."""
    made: list[Machine] = []

    def make(server: S3Server, name: str = "home", **options: Any) -> Machine:
        made.append(Machine(tmp_path / name, server, bucket, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def machine(s3: S3Server, machine_on: MakeMachine) -> Machine:
    """A machine on each of the servers in turn."""
    return machine_on(s3)


@pytest.fixture
def other(s3: S3Server, machine_on: MakeMachine) -> Machine:
    """Another machine on the same store."""
    return machine_on(s3, "other")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small model."""
    return made_folder(tmp_path / "model")
