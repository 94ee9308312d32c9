"""Serving: a process that listens, answers about itself, and stops cleanly."""

from __future__ import annotations

import time
from pathlib import Path

import voxledger
from tests.node import PATIENCE, running_node
from voxledger.catalog.status import Serving


def test_it_answers_about_itself_and_stops_cleanly(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", anew=True, store_close_wait=0, serve_metrics="open") as node:
        with node.client("") as client:
            assert client.get("/healthz").json()["status"] == "ok"
            assert client.get("/readyz").json() == {"status": "ready"}
            missing = client.get("/nowhere")
            deadline = time.monotonic() + PATIENCE
            while (
                'voxledger_engine_turns_free{engine="espeak"}' not in client.get("/metrics").text
            ):  # nobody has asked for a clip
                assert time.monotonic() < deadline
                time.sleep(0.05)
        assert missing.status_code == 404
        assert set(missing.json()["error"]) == {"message", "type", "param", "code", "remedy"}
        with node.client() as owner:
            served = owner.get("/api/status").json()["serving"]
        assert served == {"pid": node.process.pid, "url": node.url}
        with voxledger.open(tmp_path / "home", store_close_wait=0) as vox:
            assert vox.status().serving == Serving(pid=node.process.pid, url=node.url)
        assert node.stop() == 0
        assert "stopped cleanly" in node.said()
    assert not (tmp_path / "home" / "node.json").exists()
