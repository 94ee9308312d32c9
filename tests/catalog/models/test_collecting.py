"""Collecting while others push: nothing that a version needs is lost unnoticed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, made_folder
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, wait_for
from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.bucket import blob_key

LEFT = b"sent by a push that was given up"
KEY = blob_key(hashlib.sha256(LEFT).hexdigest())
Collect = Callable[[str, str], ModelError | None]


@pytest.fixture
def pusher(rclone_store: S3Server, machine_on: MakeMachine, folder: Path) -> Machine:
    """A machine on a store with one version, and a content that no version names."""
    made = machine_on(rclone_store, "other")
    made.models.push(folder, "indextts@1")
    made.store.put(made.bucket_name, KEY, LEFT)
    return made


@pytest.fixture
def collect(rclone_store: S3Server, machine_on: MakeMachine, pusher: Machine, tmp_path: Path) -> Iterator[Collect]:
    """Collects; when a certain request is made, a version that needs the content is pushed before it is answered."""
    with FaultProxy(rclone_store.port) as proxy:
        machine = machine_on(rclone_store, url=proxy.url, **{"models.grace": 0.0})

        def collected(method: str, path: str) -> ModelError | None:
            held, told = threading.Event(), list[ModelError]()
            proxy.faults = [Fault(method=method, path=path, hold=held)]

            def gc() -> None:
                try:
                    machine.models.gc()
                except ModelError as error:
                    told.append(error)

            thread = threading.Thread(target=gc)
            thread.start()
            try:
                wait_for(lambda: not proxy.faults, "it came that far")
                pusher.models.push(made_folder(tmp_path / "late", late=LEFT), "indextts@2")
            finally:
                held.set()
                thread.join()
            return told[0] if told else None

        yield collected


def test_a_version_pushed_while_manifests_are_read_keeps_its_files(pusher: Machine, collect: Collect) -> None:
    error = collect("GET", "prefix=removed")
    assert error is not None
    assert "nothing was deleted" in str(error)
    assert all(each.is_whole for each in pusher.models.verify(deep=True))


def test_a_version_pushed_while_files_are_deleted_is_named(pusher: Machine, collect: Collect, tmp_path: Path) -> None:
    error = collect("POST", "delete")
    assert error is not None
    assert "indextts@2 came at the same moment" in str(error)
    assert error.files == ("late",)
    assert pusher.models.push(tmp_path / "late", "indextts@2").sent_files == 1
    assert all(each.is_whole for each in pusher.models.verify(deep=True))
