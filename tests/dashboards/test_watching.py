"""Watching: `voxledger status --watch` goes on until `q` or Ctrl-C, on a terminal or as lines of JSON."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import forking
from tests.node import PATIENCE, running_node
from voxledger.cli import main
from voxledger.dashboards.observing.counted import Counted

pty = pytest.importorskip("pty")  # Windows has no terminals of this kind


def _command(home: Path, *more: str) -> list[str]:
    return ["-m", "voxledger", "--home", str(home), "status", "--watch", *more]


def _until(terminal: int, words: bytes) -> bytes:
    shown, deadline = b"", time.monotonic() + PATIENCE
    while words not in shown:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
        shown += os.read(terminal, 65_536)
    return shown


def test_it_shows_the_home_until_q_is_pressed(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    size = {**os.environ, "COLUMNS": "120", "LINES": "40", "TERM": "xterm"}
    command = [
        sys.executable,
        *_command(tmp_path / "home", "--every", "100ms"),
    ]  # an interpreter that begins on a terminal
    watching = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=size)
    os.close(theirs)
    try:
        shown = _until(ours, b"q ends")
        assert b"nobody serves this HOME" in shown
        _until(ours, b"events")  # once more: it goes on
        os.write(ours, b"xq")
        deadline = time.monotonic() + PATIENCE
        while watching.poll() is None and time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    os.read(ours, 65_536)  # who writes to a terminal that nobody reads waits
                except OSError:
                    break
        assert watching.wait(PATIENCE) == 0
    finally:
        watching.kill()
        watching.wait()
        os.close(ours)


def test_lines_of_json_tell_what_the_node_counts_and_ctrl_c_ends_them(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", store_close_wait=0) as node:
        watching = forking.spawn(
            _command(node.home, "--json", "--every", "100ms"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert watching.stdout is not None
        try:
            first = json.loads(watching.stdout.readline())
            assert first["status"]["clips"] == 0
            assert first["node"]["slots_taken"] == 0
            with node.client() as client:
                assert client.post("/api/clips", json={"text": "watched", "engine": "espeak"}).status_code == 201
            deadline = time.monotonic() + PATIENCE
            while (seen := json.loads(watching.stdout.readline()))["rates"].get("completed", 0) <= 0:
                assert time.monotonic() < deadline, seen
            assert seen["node"]["queue"] == {"espeak": 0}
            assert seen["rates"]["requests"] > 0
        finally:
            watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=PATIENCE)
        assert (watching.returncode, said) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--watch"], "--watch needs a terminal"),
        (["--every", "2s"], "give both"),
        (["--watch", "--every", "1ms"], "too often"),
        (["--watch", "--every", "soon"], "no time span"),
    ],
)
def test_what_cannot_be_watched_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path / "home"), "status", *arguments])
    assert ended.value.code == 1
    assert said in capsys.readouterr().err


def test_counted_reads_what_prometheus_is_given() -> None:
    counted = Counted('# HELP a_total b\na_total{x="1",y="q\\"{}"} 2.0\na_total{x="2",y="r"} 3.0\nplain 1e+06\n')
    assert counted.sum("a_total") == 5
    assert counted.sum("a_total", x="2") == 3
    assert counted.sum("plain") == 1e6
    assert counted.sum("nowhere") == 0
    assert dict(counted.by("a_total", "x")) == {"1": 2.0, "2": 3.0}
