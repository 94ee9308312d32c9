"""What lies under deploy/: it names what exists, and its times fit those of the node."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import voxledger
from tests.node import PATIENCE, running_node
from voxledger.catalog.settings import parse_span
from voxledger.dashboards.server.site import Site
from voxledger.dashboards.server.stopping import Stopping

_DEPLOY = Path(__file__).parents[2] / "deploy"
_UNIT = (_DEPLOY / "voxledger.service").read_text(encoding="utf-8")
_IMAGE = (_DEPLOY / "Containerfile").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd here to ask")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "voxledger.service"
    unit.write_text(
        _UNIT.replace("/opt/voxledger/bin/voxledger", sys.executable).replace("User=voxledger\nGroup=voxledger\n", "")
    )
    ran = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_unit_waits_longer_than_a_stop_may_take(tmp_path: Path) -> None:
    (found,) = re.findall(r"^TimeoutStopSec=(\d+)$", _UNIT, re.MULTILINE)
    with voxledger.open(tmp_path / "home") as vox:
        stopping = Stopping(Site(vox, version="0", loopback=True), at_once=lambda: None)
        assert int(found) > stopping.longest
        given = vox.settings
        documented = parse_span("30s") + given.serve.stop_wait + given.store.close_wait
    assert stopping.longest == documented, "docs/serving.md says how long"
    assert "30 s. Nothing acknowledged" in (_DEPLOY.parent / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_containers_health_check_asks_the_node(tmp_path: Path) -> None:
    (command,) = re.findall(r'CMD \["python", "-c", "(.+)"\]$', _IMAGE, re.MULTILINE)
    program = command.replace('\\"', '"')
    with running_node(tmp_path / "home", store_close_wait=0) as node:
        port = str(httpx.URL(node.url).port)
        well = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "VOXLEDGER_SERVE_PORT": port}, check=False
        )
        node.stop()
        gone = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "VOXLEDGER_SERVE_PORT": port},
            capture_output=True,
            check=False,
        )
    assert (well.returncode, gone.returncode) == (0, 1)


def test_the_image_has_what_it_copies_and_no_root() -> None:
    kept = {row[1:] for row in (_DEPLOY / "Containerfile.dockerignore").read_text().splitlines() if row.startswith("!")}
    assert all((_DEPLOY.parent / name).exists() for name in kept)
    assert {
        "pyproject.toml",
        "constraints.txt",
        "README.md",
        "voxledger",
        "catalog",
        "synth",
        "analytics",
        "dashboards",
    } <= kept
    instructions = [shlex.split(row, posix=False) for row in _IMAGE.splitlines() if re.match(r"[A-Z]+ ", row)]
    names = [words[0] for words in instructions]
    assert names.index("USER") < names.index("ENTRYPOINT")
    assert ["USER", "10001:10001"] in instructions


def test_a_supervisor_hears_when_it_serves_and_when_it_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with running_node(tmp_path / "home", store_close_wait=0) as node:
            assert heard.recv(100) == b"READY=1"
            node.stop()
            assert heard.recv(100) == b"STOPPING=1"
