"""Parquet by week of many clips, beside DuckDB's own COPY of the same rows; and the raw feed of many events.

    python benchmarks/export.py [CLIPS] [EVENTS]

The clips are those of plan.py, a year of them; the events are those of life.py, recorded and drained as a studio's. Each row is
measured in a process of its own, in which DuckDB may use what it may in a HOME. The peer writes one table, whole, in one statement,
and knows neither comments nor what has changed.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from log_growth import grow
from plan import fill
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

import voxledger
from voxledger.catalog.duckdb_files import MEMORY
from voxledger.catalog.events import to_cloudevent
from voxledger.catalog.exchange import exported
from voxledger.catalog.feed import Feed
from voxledger.catalog.log import Reading
from voxledger.catalog.query.parquet import export_parquet
from voxledger.ledger import Ledger

_ZONE = "Europe/Berlin"
_NOWHERE = Path(os.devnull)
_COPY = """
COPY (SELECT *, strftime(created AT TIME ZONE 'Europe/Berlin', '%G-W%V') AS week FROM clips) TO '{}'
(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 60000, PARTITION_BY (week))
"""
console = Console()


def opened(base: Path) -> tuple[duckdb.DuckDBPyConnection, Reading]:
    """The catalog as a HOME opens it, with an empty log beside it."""
    connection = duckdb.connect(":memory:", config={"memory_limit": MEMORY, "temp_directory": str(base / "spill")})
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(f"ATTACH '{base / 'catalog.duckdb'}' AS catalog (READ_ONLY)")
    connection.execute("ATTACH ':memory:' AS log; CREATE TABLE log.events (position BIGINT)")
    connection.execute("SET search_path = 'catalog,log'")

    def ask(query: str, parameters: Any) -> pa.Table:
        return connection.sql(query, params=parameters).to_arrow_table()

    return connection, Reading(ask)


def ours(base: Path) -> int:
    """The clips into a folder, or what has changed of them into one that is there."""
    _, reading = opened(base)
    return export_parquet(reading, base / "lake", node="n", zone=_ZONE, names=["clips"]).bytes


def copied(base: Path) -> int:
    """The same by one COPY, by week."""
    connection, _ = opened(base)
    connection.execute(_COPY.format(base / "copied"))
    return sum(file.stat().st_size for file in (base / "copied").rglob("*.parquet"))


def streamed(base: Path) -> int:
    """All events of a log through the feed."""
    with _ledger(base) as vox, _NOWHERE.open("wb") as out:
        return sum(
            out.write(b"".join(to_cloudevent(event) + b"\n" for event in page)) for page in Feed(vox.keeper).pages()
        )


def written(base: Path) -> int:
    """The same through `events export`."""
    with _ledger(base) as vox, _NOWHERE.open("wb") as out:
        return sum(out.write(event + b"\n") for event in exported(vox.keeper))


def _ledger(base: Path) -> Ledger:
    return voxledger.open(base / "home", store_endpoint="http://127.0.0.1:9", store_close_wait=0, general_actor="ann")


WORK: dict[str, Callable[[Path], int]] = {work.__name__: work for work in (ours, copied, streamed, written)}


def measured(base: Path, what: str) -> dict[str, float]:
    """One measurement in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", str(base), what]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: dict[str, float] = json.loads(said.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--one"]:
        began = time.perf_counter()
        size = WORK[sys.argv[3]](Path(sys.argv[2]))
        took = time.perf_counter() - began
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"took": took, "bytes": size, "memory": memory}))
        return
    clips, events = (int(float(size)) for size in (*sys.argv[1:3], "1e7", "1e6")[:2])
    with tempfile.TemporaryDirectory(prefix="voxledger-export-") as folder:
        base = Path(folder)
        fill(base / "catalog.duckdb", clips)
        table = Table(f"{clips:,} clips as Parquet", "seconds", "rows/s", "memory", "files")
        for name, what in (("COPY … PARTITION_BY", "copied"), ("export parquet", "ours"), ("again, unchanged", "ours")):
            found = measured(base, what)
            table.add_row(
                name, f"{found['took']:.1f}", f"{clips / found['took']:,.0f}", f"{found['memory'] / 1e9:.2f} GB",
                f"{found['bytes'] / 1e6:,.0f} MB",
            )  # fmt: skip
        console.print(table)
        if events:
            grow(base / "home", events, full=False)
            table = Table(f"{events:,} events as CloudEvents", "seconds", "events/s", "memory", "bytes")
            for name, what in (("events export", "written"), ("events stream", "streamed")):
                found = measured(base, what)
                table.add_row(
                    name, f"{found['took']:.1f}", f"{events / found['took']:,.0f}", f"{found['memory'] / 1e6:,.0f} MB",
                    f"{found['bytes'] / 1e6:,.0f} MB",
                )  # fmt: skip
            console.print(table)


if __name__ == "__main__":
    main()
