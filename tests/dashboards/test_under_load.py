"""Under load: two hundred clients at once see nothing but answers and requests to come back, the node's memory stays flat, and no
clip that was acknowledged is lost, whatever ends the node meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

import voxledger
from tests.building import NOBODY
from tests.node import PATIENCE, RunningNode, running_node
from tests.soak import FULL, told_of_soak

_CLIENTS = 200
_SECONDS = 60.0 if FULL else 4.0
_AT_ONCE = 60
"""Fewer than there are clients, so that some are asked to come back."""
_ENOUGH = 300 if FULL else 40
"""Clips that are acknowledged before the node is told to end."""
_GROWTH = 150_000_000
"""Bytes by which the node may grow once it has served each kind of request for a while."""
_SQL = {"query": "SELECT emotion, count(*) FROM clips GROUP BY 1"}
_OFTEN = [f"Sentence number {number} is asked for again and again." for number in range(20)]


@dataclass
class _Seen:
    """What all clients saw."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    acknowledged: set[str] = field(default_factory=set)
    """Clips whose audio came to its end."""
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    cut: int = 0
    """Answers that broke off, and connections that were refused."""
    wrong: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


class _Client:
    """One connection after another, each for many requests."""

    def __init__(self, node: RunningNode, number: int, seen: _Seen) -> None:
        url = httpx.URL(node.url)
        self._host, self._port = url.host, url.port
        self._secret = node.secret
        self._seen = seen
        self._random = random.Random(number)  # a mix, not a secret
        self._number = number
        self._asked = 0
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask_each(self) -> None:
        """Each kind of request once, so that everything is loaded that will be needed."""
        for _ in range(2):
            await self._ask("speech", "POST", "/v1/audio/speech", _speech(_OFTEN[0]))
        await self._ask("page", "GET", "/api/clips?limit=50", None)
        await self._ask("clip", "GET", f"/api/clips/{min(self._seen.acknowledged)}", None)
        await self._ask("sql", "POST", "/api/sql", _SQL)
        await self.close()

    async def ask_until(self, deadline: float) -> None:
        """One of some kind after another."""
        while time.monotonic() < deadline:
            await self._ask(*self._next())

    async def _ask(self, kind: str, method: str, path: str, content: Any) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers, body = await self._asking(method, path, content)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self._seen.cut += 1
            await self.close()
            await asyncio.sleep(0.2)
            return
        self._seen.statuses[kind, status] += 1
        if kind == "speech" and status == 200:
            self._seen.acknowledged.add(headers["x-voxledger-clip"])
            if len(self._seen.acknowledged) >= _ENOUGH:
                self._seen.enough.set()
        elif status in (429, 503):
            await asyncio.sleep(float(headers["retry-after"]) * self._random.uniform(0.5, 1))
        elif not 200 <= status < 300:
            self._seen.wrong.append(f"{method} {path}: {status} {body[:300]!r}")

    async def close(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None

    def _next(self) -> tuple[str, str, str, Any]:
        self._asked += 1
        chosen = self._random.random()
        if chosen < 0.60:
            return "speech", "POST", "/v1/audio/speech", _speech(self._random.choice(_OFTEN))
        if chosen < 0.75:
            return "speech", "POST", "/v1/audio/speech", _speech(f"New to all: {self._number} says line {self._asked}.")
        if chosen < 0.90:
            return "page", "GET", "/api/clips?limit=50", None
        if chosen < 0.95 and self._seen.acknowledged:
            return "clip", "GET", f"/api/clips/{next(iter(self._seen.acknowledged))}?fresh=false", None
        return "sql", "POST", "/api/sql", _SQL

    async def _asking(self, method: str, path: str, content: Any) -> tuple[int, dict[str, str], bytes]:
        if self._line is None:
            self._line = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._line
        body = b"" if content is None else json.dumps(content).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Bearer {self._secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        first, *rows = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (row.partition(":") for row in rows)}
        if "chunked" in headers.get("transfer-encoding", ""):
            answered = await _chunks(reader)
        else:
            answered = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            await self.close()
        return int(first.split()[1]), headers, answered


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        found += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return found


def _speech(text: str) -> dict[str, Any]:
    return {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "wav"}


async def _load(node: RunningNode, seconds: float, *, by: signal.Signals | None) -> _Seen:
    """All clients for so long; with `by` until the node is told to end in the middle of it."""
    seen = _Seen()
    await _Client(node, -1, seen).ask_each()
    deadline = time.monotonic() + (seconds if by is None else 3 * PATIENCE)
    clients = [_Client(node, number, seen) for number in range(_CLIENTS)]
    watching = asyncio.create_task(_watch(node, seen))
    asking = [asyncio.create_task(client.ask_until(deadline)) for client in clients]
    if by is not None:
        await asyncio.wait_for(seen.enough.wait(), 2 * PATIENCE)
        node.process.send_signal(by)
        await asyncio.to_thread(node.process.wait, PATIENCE)
        for task in asking:
            task.cancel()
    ended = await asyncio.gather(*asking, return_exceptions=True)
    watching.cancel()
    for client in clients:
        await client.close()
    assert not [error for error in ended if isinstance(error, Exception)]
    return seen


async def _watch(node: RunningNode, seen: _Seen) -> None:
    process = psutil.Process(node.process.pid)
    with contextlib.suppress(psutil.Error):
        while True:
            if rss := process.memory_info().rss:  # none of a process that has just ended
                seen.memory.append(rss)
            await asyncio.sleep(0.25)


def _lost(home: Path, acknowledged: set[str]) -> tuple[set[str], list[str]]:
    """Clips that the log does not know, and those whose audio is not there."""
    with voxledger.open(home, store_endpoint=NOBODY, store_close_wait=0) as vox:
        known = {str(row["id"]) for row in vox.catalog.sql("SELECT id FROM clips").rows()}
        without = [clip for clip in sorted(acknowledged & known)[:50] if not vox.catalog.clip(clip).local().is_file()]
    return acknowledged - known, without


@pytest.mark.parametrize("by", [None, signal.SIGTERM, signal.SIGKILL], ids=["to the end", "SIGTERM", "SIGKILL"])
def test_no_error_no_growth_and_no_clip_lost(tmp_path: Path, by: signal.Signals | None) -> None:
    home = tmp_path / "home"
    with running_node(
        home,
        store_endpoint=NOBODY,
        store_close_wait=0,
        serve_at_once=_AT_ONCE,
        serve_stop_wait="5s",
        serve_log_level="warning",
    ) as node:
        seen = asyncio.run(_load(node, _SECONDS, by=by))
        if by is None:
            assert node.process.poll() is None
            assert node.stop() == 0
        elif by == signal.SIGTERM:
            assert node.process.returncode == 0
        said = node.said()
    told_of_soak(
        f"200 clients, {by.name if by else 'to the end'}", answers=seen.statuses.total(), speech=seen.statuses["speech", 200],
        asked_to_come_back=sum(count for (_, status), count in seen.statuses.items() if status in (429, 503)),
        clips=len(seen.acknowledged), mb_first=min(seen.memory) / 1e6, mb_last=seen.memory[-1] / 1e6, mb_most=max(seen.memory) / 1e6,
    )  # fmt: skip
    assert seen.wrong == [], said
    assert "Traceback" not in said
    assert {kind for kind, status in seen.statuses if status == 200} == {"speech", "page", "clip", "sql"}
    assert len(seen.acknowledged) > len(_OFTEN)
    if by is None:
        assert seen.cut == 0
        warm = seen.memory[len(seen.memory) // 3 :]
        assert max(warm) - warm[0] < _GROWTH, [round(each / 1e6) for each in seen.memory]
    assert _lost(home, seen.acknowledged) == (set(), [])
