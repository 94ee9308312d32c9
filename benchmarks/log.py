"""The journal and the log: durable emits beside what a user would do instead, and how everything grows with size.

python benchmarks/log.py [SIZE ...]     sizes of the growing log, by default 100000 and 1000000; 10000000 takes an hour
"""

from __future__ import annotations

import multiprocessing
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median, quantiles

import duckdb
import msgspec
from life import Life, drafts
from log_growth import Grown, sealing_timed
from log_peers import PEERS
from rich.console import Console
from rich.table import Table

from voxledger.catalog.events import AudioAccessed, Draft, encode, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import Vault

_ROUNDS = 5
_SINGLE = 200
_BATCHES = 100
_PROCESSES = 8
_PER_PROCESS = 250
_SMALL = 200_000
_PLAYED = 1000
_MOST_FULL = 1_000_000
console = Console()


def main() -> None:
    """Everything, as tables."""
    sizes = [int(float(size)) for size in sys.argv[1:]] or [100_000, 1_000_000]
    with tempfile.TemporaryDirectory(prefix="voxledger-bench-") as folder:
        base = Path(folder)
        emits(base)
        many_processes(base)
        small_events(base)
        growth(base, sizes)


def emits(base: Path) -> None:
    """One durable emit, and batches of a hundred, beside the peers, in turn."""
    home = Home.open(base / "emits")
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    life = _life(full=True)
    body = encode(recorder.journal.emit(*drafts(recorder, life, 1))[0])
    singles: dict[str, list[float]] = {}
    batches: dict[str, list[float]] = {}
    with ExitStack() as stack:
        writers = {name: stack.enter_context(peer(base, body)) for name, peer in PEERS.items()}
        for _ in range(_ROUNDS):
            made = list(drafts(recorder, life, _SINGLE + _BATCHES * 100))
            singles.setdefault("Voxledger: emit", []).extend(
                _timed(lambda at, made=made: recorder.journal.emit(made[at]), _SINGLE)
            )
            batches.setdefault("Voxledger: emit", []).extend(
                _timed(
                    lambda at, made=made: recorder.journal.emit(*made[_SINGLE + at * 100 : _SINGLE + at * 100 + 100]),
                    _BATCHES,
                )
            )
            for name, write in writers.items():
                singles.setdefault(name, []).extend(_timed(lambda at, write=write: write(1), _SINGLE))
                few = 10 if name.startswith("DuckDB") else _BATCHES
                batches.setdefault(name, []).extend(_timed(lambda at, write=write: write(100), few))
    limit, ours = median(singles[next(iter(PEERS))]), median(singles["Voxledger: emit"])
    table = _table(f"One durable event of {len(body):,} bytes", "way", "µs, median", "of a bare fsync", "of ours")
    for name, times in singles.items():
        table.add_row(
            name, f"{median(times) * 1e6:,.0f}", f"{median(times) / limit:.2f}", f"{median(times) / ours:.2f}"
        )
    console.print(table)
    table = _table("Batches of 100 such events, each durable", "way", "events/s", "of ours")
    ours = median(batches["Voxledger: emit"])
    for name, times in batches.items():
        table.add_row(name, f"{100 / median(times):,.0f}", f"{ours / median(times):.2f}")
    console.print(table)
    recorder.journal.close()


def many_processes(base: Path) -> None:
    """How long an emit takes when eight processes emit at the same time."""
    home = Home.open(base / "many")
    Journal(home.journal).close()
    context = multiprocessing.get_context("spawn")
    with context.Pool(_PROCESSES) as pool:
        start = time.perf_counter()
        times = sorted(t for found in pool.map(_emitting, [home.path] * _PROCESSES, chunksize=1) for t in found)
        taken = time.perf_counter() - start
    cuts = quantiles(times, n=1000)
    table = _table(
        f"{_PROCESSES} processes, {_PER_PROCESS} durable events each",
        "events/s",
        "p50, ms",
        "p99, ms",
        "p99.9, ms",
        "max, ms",
    )
    table.add_row(
        f"{len(times) / taken:,.0f}", *(f"{value * 1e3:,.2f}" for value in (cuts[499], cuts[989], cuts[998], times[-1]))
    )
    console.print(table)


def _emitting(path: Path) -> list[float]:
    home = Home.open(path)
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    made = list(drafts(recorder, _life(full=True), _PER_PROCESS))
    times = _timed(lambda at: recorder.journal.emit(_renamed(made[at])), _PER_PROCESS)
    recorder.journal.close()
    return times


def _renamed(draft: Draft) -> Draft:
    """Every process has the same life; ids must differ all the same."""
    return msgspec.structs.replace(draft, id=new_id())


def small_events(base: Path) -> None:
    """Draining plays of a thousand clips, which hold less than 200 bytes of content each; beside appending the same columns to
    DuckDB and nothing else.
    """
    home = Home.open(base / "small")
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    keeper = Keeper(home, recorder)
    made = list(drafts(recorder, _life(full=True), _PLAYED))
    recorder.journal.emit(*made)
    keeper.drain()
    ann, fact, chance = recorder.vault.actor("ann"), AudioAccessed(channel="web", purpose="play"), random.Random(7)
    for _ in range(_SMALL // 1000):
        recorder.journal.emit(
            *(recorder.draft(fact, subject=chance.choice(made).subject, actor=ann) for _ in range(1000))
        )
    with sealing_timed() as sealing:
        start = time.perf_counter()
        keeper.drain()
        sealed = time.perf_counter() - start
    drained = sealed - sum(sealing)
    with keeper.reading() as reading:
        rows = reading.table("SELECT * FROM log.events WHERE position > $first", {"first": _PLAYED})
    start = time.perf_counter()
    with duckdb.connect(str(base / "bare.duckdb")) as connection:
        connection.register("rows", rows)
        connection.execute("CREATE TABLE events AS FROM rows")
    limit = _SMALL / (time.perf_counter() - start)
    table = _table(f"Draining {_SMALL:,} small events (AudioAccessed)", "what", "events/s", "ratio")
    table.add_row("the columns into DuckDB, ready made (the limit)", f"{limit:,.0f}", "1.00")
    for what, seconds in (
        ("drain into log and tables", drained),
        ("the same, then sealed and pruned", sealed),
    ):
        table.add_row(what, f"{_SMALL / seconds:,.0f}", f"{_SMALL / seconds / limit:.2f}")
    console.print(table)
    recorder.journal.close()


def growth(base: Path, sizes: list[int]) -> None:
    """A log of full generation events (up to a million), and a life in full, at each size."""
    full = [_child("grow", base / "full", size, "full") for size in sizes if size <= _MOST_FULL]
    shutil.rmtree(base / "full", ignore_errors=True)
    table = _table(
        "Nothing but full generation events",
        "events",
        "payload, B",
        "emit/s",
        "drain/s",
        "drain, seal and prune/s",
        "B an event on disk",
        "memory, MB",
    )
    for found in full:
        table.add_row(
            f"{found.events:,}", f"{found.payload:,.0f}", f"{found.emit:,.0f}", f"{found.drain:,.0f}", f"{found.sealed:,.0f}",
            f"{found.bytes_an_event:,.0f}", f"{found.memory_mb:,.0f}",
        )  # fmt: skip
    console.print(table)
    lives, asked = [], []
    for size in sizes:
        lives.append(_child("grow", base / "life", size, "mixed"))
        asked.append(_child("ask", base / "life", size, "mixed"))
    table = _table("A life: clips, uploads, plays, reuse, tags", "", *(f"{size:,}" for size in sizes), "growth")
    table.add_row("clips among the events", *(f"{life.clips:,}" for life in lives), "")
    table.add_row("drain, events/s", *(f"{life.drain:,.0f}" for life in lives), _growth([life.drain for life in lives]))
    table.add_row("B an event on disk", *(f"{life.bytes_an_event:,.0f}" for life in lives), "")
    for name in asked[0].figures:
        values = [found.figures[name] for found in asked]
        unit = "" if name.endswith("/s") else ", ms"
        table.add_row(
            name + unit, *(f"{value:,.1f}" if value < 1000 else f"{value:,.0f}" for value in values), _growth(values)
        )
    table.add_row("memory while asking, MB", *(f"{found.memory_mb:,.0f}" for found in asked), "")
    console.print(table)


def _child(what: str, home: Path, size: int, kind: str) -> Grown:
    argv = [sys.executable, str(Path(__file__).with_name("log_growth.py")), what, str(home), str(size), kind]
    ended = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    return msgspec.json.decode(ended.stdout.splitlines()[-1], type=Grown)


def _life(*, full: bool) -> Life:
    return Life(start=datetime.now(UTC) - timedelta(days=30), step=timedelta(milliseconds=100), full=full)


def _timed(step: object, rounds: int) -> list[float]:
    times = []
    for at in range(rounds):
        start = time.perf_counter()
        step(at)  # type: ignore[operator]
        times.append(time.perf_counter() - start)
    return times


def _growth(values: list[float]) -> str:
    return f"{values[-1] / values[0]:.2f}" if values[0] else "–"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table


if __name__ == "__main__":
    main()
