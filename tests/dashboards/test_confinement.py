"""Confinement: what the children of the SQL service cannot do, should a query get past the guard one day."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.building import Parts
from voxledger.catalog import platform

pytestmark = pytest.mark.skipif(
    not platform.can_confine(), reason="only Linux enforces limits on the memory of a process"
)


def test_a_query_without_a_guard_reaches_nothing_either(parts: Parts, tmp_path: Path) -> None:
    for _ in range(3):
        parts.clip()
    with parts.keeper.serving():
        snapshot = tmp_path / "snapshot.duckdb"
        parts.keeper.copying().run(snapshot, patience=30)
    file = tmp_path / "secret.csv"
    file.write_text("secret\n")
    before = hashlib.sha256(snapshot.read_bytes()).hexdigest()
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        script = Path(__file__).with_name("confined_process.py")
        found = subprocess.run(
            [sys.executable, str(script), str(snapshot), str(file), str(tmp_path / "new"), port],
            capture_output=True,
            text=True,
        )
    assert found.returncode == 0, found.stderr[-2000:]
    allowed, counted = map(json.loads, found.stdout.splitlines())
    assert allowed == []
    assert counted == [[3]]
    assert hashlib.sha256(snapshot.read_bytes()).hexdigest() == before
    assert not (tmp_path / "new").exists()
    assert file.exists()


def test_a_process_with_threads_is_not_confined() -> None:
    program = (
        "import threading; from pathlib import Path; from voxledger.catalog import platform\n"
        "threading.Thread(target=threading.Event().wait, daemon=True).start()\n"
        "try: platform.Confined(Path('/etc/hostname'))\n"
        "except OSError as error: print(error)"
    )
    assert (
        "threads" in subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    )
