"""What the node adds: to one `speak`, to a clip that is there already, to two hundred streams at once, and to a query.

The node is a process of its own with a HOME of its own, asked over loopback; the client that measures requests a second is a
third process, written to cost little, whose share of the processor is told.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psutil
from rich.console import Console
from rich.table import Table

import voxledger
from voxledger.catalog.home import Home
from voxledger.dashboards.remote.connection import Connection

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plan import fill

NOBODY = "http://127.0.0.1:9"
SETTLING = 6.0
"""Seconds in which a node does what it does after a start."""
console = Console()


@dataclass(frozen=True)
class Node:
    """A node that serves, and how it is reached."""

    process: psutil.Process
    host: str
    port: int
    secret: str

    def request(self, body: dict[str, Any]) -> bytes:
        """`POST /v1/audio/speech` as it goes over the wire."""
        content = json.dumps(body).encode()
        return (
            f"POST /v1/audio/speech HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nAuthorization: Bearer {self.secret}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        ).encode() + content

    def connected(self) -> socket.socket:
        """A connection."""
        made = socket.create_connection((self.host, self.port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made


@contextlib.contextmanager
def serving(home: Path) -> Iterator[Node]:
    """A node without a store, until the block ends."""
    environ = {
        **os.environ,
        "VOXLEDGER_SERVE_PORT": "0",
        "VOXLEDGER_STORE_ENDPOINT": NOBODY,
        "VOXLEDGER_STORE_CLOSE_WAIT": "0",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "voxledger", "--home", str(home), "serve"], env=environ,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        discovery = home / "node.json"
        while True:
            with contextlib.suppress(OSError, ValueError):
                found = json.loads(discovery.read_text())
                host, port = found["url"].removeprefix("http://").split(":")
                socket.create_connection((host, int(port))).close()
                break
            time.sleep(0.1)
        yield Node(psutil.Process(process.pid), host, int(port), found["secret"])
    finally:
        process.terminate()
        process.wait()


def answer(connection: socket.socket) -> bytes:
    """One whole answer with a Content-Length."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 20)
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), received[:500]
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(1 << 20)
    return head + b"\r\n\r\n" + body


def sentence(number: int, who: str) -> str:
    """Texts of equal length that no cache can answer."""
    return f"The tide is turning, and {who} number {number:05d} comes home before the storm."


def overhead(node: Node, folder: Path, rounds: int) -> Table:
    """A POST and a `studio.speak` in turn, each of a text of its own, and each of a clip that is there."""
    table = Table("a clip", "studio.speak, ms p50", "POST, ms p50", "median difference (bar: 5)")
    with voxledger.open(folder / "library") as vox, node.connected() as connection:

        def posted(text: str) -> float:
            begun = time.perf_counter()
            connection.sendall(node.request({"model": "espeak", "input": text, "response_format": "wav"}))
            answer(connection)
            return (time.perf_counter() - begun) * 1e3

        def spoken(text: str) -> float:
            begun = time.perf_counter()
            vox.speak(text).local().read_bytes()
            return (time.perf_counter() - begun) * 1e3

        for what, text_of in (("made anew", sentence), ("there already", lambda number, who: sentence(0, who))):
            for number in range(5):
                posted(text_of(90_000 + number, "boat")), spoken(text_of(90_000 + number, "boat"))
            pairs = [(spoken(text_of(number, "ship")), posted(text_of(number, "ship"))) for number in range(rounds)]
            alone, over = (statistics.median(column) for column in zip(*pairs, strict=True))
            differences = statistics.median(second - first for first, second in pairs)
            table.add_row(what, f"{alone:.2f}", f"{over:.2f}", f"{differences:.2f}")
    return table


def reused(node: Node, seconds: float) -> Table:
    """Requests a second for one clip that is there, by the number of connections."""
    table = Table("connections", "requests/s (bar: 1,000)", "node, cores", "client, cores", "node, CPU ms a request")
    time.sleep(SETTLING)
    request = node.request({"model": "espeak", "input": "Once more.", "response_format": "mp3"})
    with node.connected() as connection:
        connection.sendall(request)
        answer(connection)
        connection.sendall(request)
        size = len(answer(connection))
    for connections in (1, 8, 32):
        before = sum(node.process.cpu_times()[:2])
        asking = [
            sys.executable,
            __file__,
            "--client",
            node.host,
            str(node.port),
            str(connections),
            str(seconds),
            str(size),
        ]
        told = subprocess.run(asking, input=request, capture_output=True, check=True).stdout
        found = json.loads(told)
        used = sum(node.process.cpu_times()[:2]) - before
        table.add_row(
            str(connections), f"{found['answers'] / found['seconds']:,.0f}", f"{used / found['seconds']:.2f}",
            f"{found['cpu'] / found['seconds']:.2f}", f"{used / found['answers'] * 1e3:.2f}",
        )  # fmt: skip
    return table


def client(host: str, port: int, connections: int, seconds: float, size: int, request: bytes) -> None:
    """Ask over so many connections at once, each the next time when its answer of `size` bytes is there; print what came of it."""
    waiting = selectors.DefaultSelector()
    for _ in range(connections):
        made = socket.create_connection((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.sendall(request)
        waiting.register(made, selectors.EVENT_READ, [0])
    answers, begun, cpu = 0, time.perf_counter(), time.process_time()
    while (now := time.perf_counter()) - begun < seconds:
        for key, _ in waiting.select(1):
            got = key.data
            received = key.fileobj.recv(1 << 20)  # type: ignore[union-attr]  # a socket
            assert received, "the node hung up"
            got[0] += len(received)
            if got[0] >= size:
                got[0] -= size
                answers += 1
                key.fileobj.sendall(request)  # type: ignore[union-attr]  # a socket
    print(json.dumps({"answers": answers, "seconds": now - begun, "cpu": time.process_time() - cpu}))


def streams(node: Node, count: int) -> Table:
    """The first byte of one stream alone, and of many at once."""
    table = Table("streams", "first byte, ms", "of the last one, ms", "bar, ms", "all bytes, s")
    slots = min(os.cpu_count() or 1, 4)
    alone = statistics.median(_first_bytes(node, 1, number)[0][0] for number in range(9))
    table.add_row("1", f"{alone:.1f}", "", "", "")
    firsts, whole = _first_bytes(node, count, 100)
    bar = 1.2 * alone * count / slots
    table.add_row(f"{count}", f"{statistics.median(firsts):.0f}", f"{max(firsts):.0f}", f"{bar:.0f}", f"{whole:.1f}")
    return table


def _first_bytes(node: Node, count: int, of: int) -> tuple[list[float], float]:
    """How long each stream waits for the first byte of its audio (ms), and how long all take (s)."""
    firsts: list[float] = []
    ready = threading.Barrier(count + 1)

    def ask(number: int) -> None:
        text = " ".join(sentence(of * 1000 + 10 * number + part, "raft") for part in range(7))
        request = node.request({"model": "espeak", "input": text, "response_format": "mp3"})
        with node.connected() as connection:
            ready.wait()
            begun = time.perf_counter()
            connection.sendall(request)
            received = b""
            while len(received.partition(b"\r\n\r\n")[2]) < 16:
                more = connection.recv(1 << 16)
                assert more, "the node hung up"
                received += more
            assert received.startswith(b"HTTP/1.1 200"), received[:300]
            firsts.append((time.perf_counter() - begun) * 1e3)
            while not received.endswith(b"0\r\n\r\n"):
                more = connection.recv(1 << 16)
                assert more, "the node broke off"
                received = received[-8:] + more

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    return firsts, time.perf_counter() - begun


def sql(home: Path, clips: int, rounds: int) -> Table:
    """Queries through the service against the same on an open connection to the very snapshot, and what memory the node takes for it."""
    fill(Home.open(home).catalog, clips)
    with duckdb.connect(str(home / "catalog.duckdb")) as connection:
        connection.execute("UPDATE projections SET position = 0")  # the log is empty, and begins
    queries = {
        "nothing": "SELECT 1",
        "a clip by its id": "SELECT * FROM clips WHERE id = (SELECT max(id) FROM clips)",
        "clips by emotion": "SELECT emotion, count(*), sum(duration_s) FROM clips GROUP BY ALL ORDER BY ALL",
        "clips by actor and month": "SELECT actor, date_trunc('month', created), count(*) FROM clips GROUP BY ALL ORDER BY ALL LIMIT 100",
        "10,000 rows": "SELECT id, created, emotion, duration_s FROM clips LIMIT 10000",
    }
    shown = Table(title=f"SQL over {clips:,} clips, p50 of {rounds}, ms; a question each half second (bar: +150 ms)")
    for column in ("", "open connection", "service", "adds"):
        shown.add_column(column, justify="left" if not column else "right")
    with (
        serving(home) as node,
        contextlib.closing(Connection(f"http://{node.host}:{node.port}", node.secret)) as connected,
    ):
        asked = _asking(connected)
        asked("SELECT 1")  # waits for the first snapshot
        (snapshot,) = (home / "sql").iterdir()
        before = node.process.memory_info().rss
        with duckdb.connect(config={"threads": os.cpu_count() or 1}) as plain:
            plain.execute(f"ATTACH '{snapshot}' AS catalog (READ_ONLY)")
            plain.execute("SET search_path = 'catalog'")
            for name, query in queries.items():
                alone = [
                    _took(lambda query=query: plain.sql(query).to_arrow_table().to_pylist()) for _ in range(rounds)
                ]
                through = [_took(lambda query=query: asked(query), pause=0.5) for _ in range(rounds)]
                here, there = statistics.median(alone), statistics.median(through)
                style = "red" if there - here > 0.15 else ""
                shown.add_row(name, *(f"{1000 * value:,.1f}" for value in (here, there, there - here)), style=style)
        grown = node.process.memory_info().rss - before
    shown.caption = f"the node's memory grew by {grown / 1e6:,.0f} MB meanwhile"
    return shown


def _asking(connected: Connection) -> Callable[[str], bytes]:
    def asked(query: str) -> bytes:
        with connected.answer("POST", "/api/sql", body={"query": query}) as found:
            return found.content

    return asked


def _took(work: Callable[[], object], *, pause: float = 0.0) -> float:
    time.sleep(pause)
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


PARTS = ("overhead", "reused", "streams", "sql")


def main() -> None:
    """Measure, and print tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"which of {', '.join(PARTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--clips", type=int, default=1_000_000, help="of the catalog that SQL is asked")
    parser.add_argument("--folder", type=Path, help="where HOMEs are made; a temporary folder by default")
    parser.add_argument("--client", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        host, port, connections, seconds, size = asked.client
        client(host, int(port), int(connections), float(seconds), int(size), sys.stdin.buffer.read())
        return
    if "sql" in asked.parts:
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            console.print(sql(Path(folder) / "sql", asked.clips, min(asked.rounds, 30)))
    if set(asked.parts) == {"sql"}:
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder, serving(Path(folder) / "node") as node:
        if "overhead" in asked.parts:
            console.print(overhead(node, Path(folder), asked.rounds))
        if "reused" in asked.parts:
            console.print(reused(node, asked.seconds))
        if "streams" in asked.parts:
            console.print(streams(node, asked.streams))


if __name__ == "__main__":
    main()
