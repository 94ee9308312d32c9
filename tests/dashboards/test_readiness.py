"""Readiness: what keeps the node from its work, told without names, and gone when it works again."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import voxledger
from tests.building import NOBODY
from tests.node import PATIENCE, RunningNode, running_node


def _reasons(node: RunningNode, wanted: set[str]) -> dict[str, Any]:
    """The answer of `/readyz` once it names these reasons."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with node.client("") as client:
            answer = client.get("/readyz")
        told = {each["code"] for each in answer.json().get("reasons", [])}
        assert answer.status_code == (503 if told else 200)
        assert str(node.home) not in answer.text
        if told == wanted:
            return dict(answer.json())
        assert time.monotonic() < deadline, f"{told}, not {wanted}"
        time.sleep(0.1)


def test_a_full_disk_and_a_journal_that_is_gone_are_named(tmp_path: Path) -> None:
    with running_node(
        tmp_path / "home",
        store_close_wait=0,
        store_endpoint=NOBODY,
        general_min_free_disk="900000TB",
        schedule_drain="1h",
    ) as node:
        assert _reasons(node, {"disk"})["status"] == "not ready"
        (node.home / "journal.sqlite").rename(node.home / "moved.sqlite")
        _reasons(node, {"disk", "journal"})
        (node.home / "moved.sqlite").rename(node.home / "journal.sqlite")
        _reasons(node, {"disk"})
        with node.client("") as client:
            assert client.get("/healthz").status_code == 200
            assert "retry-after" in client.get("/readyz").headers


def test_a_log_that_cannot_be_drained_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        vox.speak("Before the gap.")
    with running_node(home, store_close_wait=0, store_endpoint=NOBODY, schedule_drain="0.1s") as node:
        _reasons(node, set())
        with contextlib.closing(sqlite3.connect(home / "journal.sqlite", timeout=PATIENCE)) as journal, journal:
            journal.execute(
                "INSERT INTO events SELECT max(position) + 5, x'00', recorded, body FROM events ORDER BY position DESC LIMIT 1"
            )
        _reasons(node, {"log"})
