"""The catalog API over a large catalog: pages of clips and single ones through HTTP, from a node that serves it.

    python benchmarks/node_pages.py [CLIPS]

The catalog is the one of benchmarks/plan.py: 200 actors, sessions of 100 clips, a year of ages. Each row is asked for 40 times on one
connection, after one that does not count and a minute in which the node does what it does after a start. `CPU` is the node's processor
time for one request, which a busy machine does not change. The bar is 100 ms for a page of 50 at 10,000,000 clips.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import duckdb
import httpx
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.plan import fill
from tests.node import RunningNode, running_node
from voxledger.catalog.home import Home

BAR = 0.1
TIMES = 40
SETTLING = 60.0
_PAGE = "/api/clips"
_SHOWN = {
    "name": "'clip ' || i", "text": "'The tide is turning for the ' || i || 'th time, and nobody on the shore has seen it come back.'",
    "text_length": "80 + hash(i, 20) % 20", "format": "'wav'", "sample_rate": "24000", "take": "1", "dropped": "[]", "features": "[]",
    "tail": "('0x' || substr(md5(i::VARCHAR), 8, 8))::UINTEGER",
    "sha256": "md5(i::VARCHAR) || md5((i + 1)::VARCHAR)", "loudness_lufs": "-18 + (hash(i, 21) % 100) / 100",
    "true_peak_dbtp": "-1.5", "silence_share": "0.1", "speech_rate": "12 + (hash(i, 22) % 50) / 10",
}  # fmt: skip
"""What a page shows besides what a plan looks at."""


def main() -> None:
    """Fill, serve, ask."""
    clips = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory(prefix="voxledger-pages-") as folder:
        home = Home.open(Path(folder) / "home")
        fill(home.catalog, clips, _SHOWN)
        with duckdb.connect(str(home.catalog)) as connection:
            connection.execute("UPDATE projections SET position = 0")  # the log is empty, and begins
        with running_node(home.path, store_close_wait=0) as node:
            table = asked(node, clips)
    Console().print(table)


def asked(node: RunningNode, clips: int) -> Table:
    """Every row, asked for over and over."""
    time.sleep(SETTLING)
    with node.client() as owner:
        made = owner.post("/api/tokens", json={"role": "creator", "name": "actor7"}).json()
        first = owner.get(_PAGE).json()
        assert "clips" in first, (first, node.said())
        one = first["clips"][7]["id"]
        rows = [
            ("newest 50", owner, _PAGE, {}),
            ("the page after it", owner, _PAGE, {"cursor": first["next"]}),
            ("known already (304)", owner, _PAGE, {}),
            ("own clips of one of 200", node.client(made["token"]), _PAGE, {}),
            ("one session", owner, _PAGE, {"session": "s5000"}),
            ("emotion and language", owner, _PAGE, {"emotion": "sad", "language": "en"}),
            ("a tag", owner, _PAGE, {"tag": "demo"}),
            ("where plays = 0 AND rating >= 4", owner, _PAGE, {"where": "plays = 0 AND rating >= 4"}),
            ("own clips, with a condition", node.client(made["token"]), _PAGE, {"where": "plays = 0"}),
            ("the longest", owner, _PAGE, {"order": "-duration"}),
            ("the least used", owner, _PAGE, {"order": "plays"}),
            ("a clip by its id", owner, f"{_PAGE}/{one}", {}),
            ("a clip by its last 8 digits", owner, f"{_PAGE}/{one[-8:]}", {}),
            ("newest 50 attempts", owner, "/api/generations", {}),
            ("facets of all", owner, "/api/facets", {}),
        ]  # fmt: skip
        table = Table(title=f"Catalog API over {clips:,} clips, ms through HTTP")
        for column in ("", "p50", "p95", "worst", "CPU"):
            table.add_column(column, justify="left" if not column else "right")
        for name, client, path, query in rows:
            before, most = _processor(node), 8 if "facets" in name else TIMES
            took = sorted(_times(client, path, query, known="304" in name, most=most))
            used = (_processor(node) - before) / (most + 1)
            shown = (statistics.median(took), took[int(len(took) * 0.95) - 1], took[-1], used)
            slow = name.startswith(("newest 50", "the page")) and shown[0] > BAR
            table.add_row(name, *(f"{1000 * value:,.1f}" for value in shown), style="red" if slow else "")
    return table


def _processor(node: RunningNode) -> float:
    times = psutil.Process(node.process.pid).cpu_times()
    return float(times.user + times.system)


def _times(client: httpx.Client, path: str, query: dict[str, str], *, known: bool, most: int) -> list[float]:
    first = client.get(path, params=query)
    headers = {"If-None-Match": first.headers["etag"]} if known else {}
    found = []
    for _ in range(most):
        began = time.perf_counter()
        answer = client.get(path, params=query, headers=headers)
        found.append(time.perf_counter() - began)
        assert answer.status_code == (304 if known else 200), answer.text
    return found


if __name__ == "__main__":
    main()
