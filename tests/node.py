"""A real node for tests: the process of `voxledger serve`, on a free port, with a HOME of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

from tests import forking

PATIENCE = 60.0
"""Seconds that anything may take on a busy machine."""
PLAIN = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of httpx that ask no https: each would read all certificates of the world, in 20 ms."""


@dataclass
class RunningNode:
    """A node that answers. `secret` is the bearer token of whoever owns its HOME."""

    home: Path
    url: str
    secret: str
    process: forking.Process | subprocess.Popen[str]
    log: Path

    def client(self, token: str | None = None, **options: Any) -> httpx.Client:
        """A client of this node, with the owner's token unless another one is given; "" sends none."""
        sent = self.secret if token is None else token
        headers = {"Authorization": f"Bearer {sent}"} if sent else {}
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False, verify=PLAIN, **options
        )

    def said(self) -> str:
        """What it has written to standard error so far."""
        return self.log.read_text(encoding="utf-8")

    def printed(self) -> str:
        """What it has written to standard output: at the first start an admin's token."""
        return _output(self.log).read_text(encoding="utf-8")

    def stop(self, by: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to stop, and give its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def running_node(home: Path, *, port: int = 0, anew: bool = False, **settings: Any) -> Iterator[RunningNode]:
    """Serve a HOME until the block ends; `settings` by name with an underscore for the dot, such as `serve_at_once=2`.

    It is forked from a process that has imported everything; `anew`, and where that is not possible, an interpreter is started.
    """
    home.mkdir(parents=True, exist_ok=True)
    given = {f"VOXLEDGER_{name.upper()}": str(value) for name, value in {"serve_port": port, **settings}.items()}
    log = home.parent / f"{home.name}.node.log"
    with log.open("w", encoding="utf-8") as heard, _output(log).open("w", encoding="utf-8") as printed:
        process = _started(home, {**os.environ, **given}, printed, heard, anew or sys.platform != "linux")
    try:
        found = _discovered(home, process, log)
        yield RunningNode(home=home, url=found["url"], secret=found["secret"], process=process, log=log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


def _started(
    home: Path, environ: dict[str, str], printed: IO[str], heard: IO[str], anew: bool
) -> forking.Process | subprocess.Popen[str]:
    words = ["-m", "voxledger", "--home", str(home), "serve"]
    if not anew:
        return forking.spawn(words, env=environ, stdout=printed, stderr=heard)
    return subprocess.Popen([sys.executable, *words], env=environ, stdout=printed, stderr=heard, text=True)


def _output(log: Path) -> Path:
    return log.with_suffix(".out")


def _discovered(home: Path, process: forking.Process | subprocess.Popen[str], log: Path) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, ValueError, httpx.HTTPError):
            found: dict[str, Any] = json.loads((home / "node.json").read_text())
            if found["pid"] == process.pid and _answers(found["url"]):
                return found
        time.sleep(0.05)
    raise AssertionError(f"the node did not start: {log.read_text(encoding='utf-8')}")


def _answers(url: str) -> bool:
    return httpx.get(f"{url}/healthz", trust_env=False, verify=PLAIN).is_success
