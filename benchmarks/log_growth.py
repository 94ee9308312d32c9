"""A HOME that grows to a size, and what it costs to ask it then. Each size runs in a process of its own, for its memory."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import msgspec
from life import ACTORS, Life, drafts

import voxledger
from voxledger.catalog.log.sealing import Sealer
from voxledger.catalog.log.verify import verify
from voxledger.ledger import Ledger

CHUNK = 100_000
"""Events between two drains."""
_NOBODY = "http://127.0.0.1:9"
_START = datetime(2025, 1, 1, tzinfo=UTC)


class Grown(msgspec.Struct, kw_only=True):
    """What was measured at one size; times in seconds, rates in events a second."""

    events: int
    clips: int = 0
    payload: float = 0.0
    emit: float = 0.0
    drain: float = 0.0
    sealed: float = 0.0
    """Drained into log and tables; and the same when sealing and pruning are counted in."""
    bytes_an_event: float = 0.0
    figures: dict[str, float] = {}
    memory_mb: float = 0.0


def grow(home: Path, size: int, *, full: bool, step: Callable[[int], None] = lambda done: None) -> Grown:
    """Fill a new HOME through the journal; after each chunk it is drained, then sealed and pruned."""
    shutil.rmtree(home, ignore_errors=True)
    found = Grown(events=size)
    life = Life(start=_START, step=(datetime.now(UTC) - _START) / (size + 1), full=full)
    emitting = draining = 0.0
    with sealing_timed() as sealing, _opened(home) as vox:
        done = 0
        while done < size:
            wanted = min(CHUNK, size - done)
            made = list(drafts(vox.recorder, life, wanted))
            found.payload = sum(len(draft.data) + len(draft.sealed or b"") for draft in made[:1000]) / min(1000, wanted)
            start = time.perf_counter()
            for at in range(0, len(made), 100):
                vox.journal.emit(*made[at : at + 100])
            emitted = time.perf_counter()
            del made
            vox.keeper.drain(patience=600)
            emitting += emitted - start
            draining += time.perf_counter() - emitted
            done += wanted
            step(done)
        found.emit, found.sealed, found.drain = size / emitting, size / draining, size / (draining - sum(sealing))
        found.bytes_an_event = (home / "log.duckdb").stat().st_size / size + (
            home / "catalog.duckdb"
        ).stat().st_size / size
        found.clips = int(vox.catalog.sql("SELECT count(*) AS n FROM clips").rows()[0]["n"])
    return found


@contextmanager
def sealing_timed() -> Iterator[list[float]]:
    """The seconds that drains in this block spend on sealing and pruning, after log and tables are written and closed."""
    seal, times = Sealer.seal, []

    def timed(*args: Any) -> None:
        start = time.perf_counter()
        seal(*args)
        times.append(time.perf_counter() - start)

    with patch.object(Sealer, "seal", timed):
        yield times


def ask(home: Path, *, rebuild: bool, search: bool) -> dict[str, float]:
    """Times of the usual questions, medians in milliseconds; rates in events a second."""
    figures: dict[str, float] = {}
    with _opened(home) as vox:
        some = vox.catalog.sql(
            "SELECT id::VARCHAR AS id, created FROM clips USING SAMPLE 200 ROWS (reservoir, 7)"
        ).rows()
        ids = [row["id"] for row in some]
        middle = sorted(row["created"] for row in some)[len(some) // 2]
        figures["clip by id, file closed"] = _ms(lambda at: vox.catalog.clip(ids[at % len(ids)]), 20)
        with vox.keeper.serving():
            figures["clip by id, in the node, first time"] = _ms(lambda at: vox.catalog.clip(ids[at % len(ids)]), 60)
            figures["clip by id, in the node, again"] = _ms(lambda at: vox.catalog.clip(ids[at % len(ids)]), 60)
            figures["clip by its last 8 digits, in the node"] = _ms(
                lambda at: vox.catalog.clip(ids[at % len(ids)][-8:]), 20
            )
            figures["page of 50, newest first"] = _ms(lambda at: vox.catalog.clips(limit=50), 15)
            figures["page of 50, filtered by emotion and actor"] = _ms(
                lambda at: vox.catalog.clips(emotion="sad", actor=ACTORS[at % 9], limit=50), 15
            )
            figures["page of 50, filtered and sorted by length"] = _ms(
                lambda at: vox.catalog.clips(emotion="happy", order="-duration", limit=50), 15
            )
            figures["as-of page of 50"] = _ms(lambda at: vox.catalog.clips(limit=50, as_of=middle), 3)
            figures["as-of page of 50, filtered and sorted"] = _ms(
                lambda at: vox.catalog.clips(emotion="happy", order="-duration", limit=50, as_of=middle), 3
            )
            figures["history of a clip"] = _ms(lambda at: vox.catalog.history(ids[at % len(ids)]), 5)
            figures["one event emitted, drained and read"] = _ms(lambda at: vox.catalog.pin(ids[at % len(ids)]), 10)
        if search:
            figures |= _searched(vox)
        size = vox.journal.head()
        start = time.perf_counter()
        assert verify(vox.keeper).intact
        figures["verify, events/s"] = size / (time.perf_counter() - start)
        if rebuild:
            start = time.perf_counter()
            vox.keeper.rebuild(patience=600)
            figures["rebuild, events/s"] = size / (time.perf_counter() - start)
    return figures


def _searched(vox: Ledger) -> dict[str, float]:
    figures = {}
    start = time.perf_counter()
    vox.search.advance()
    figures["search index filled, clips/s"] = int(vox.catalog.totals()["clips"]) / (time.perf_counter() - start)
    figures["search page of 50, newest first"] = _ms(lambda at: vox.search.search("tide", limit=50, newest=True), 15)
    figures["search page of 50, two words and an emotion"] = _ms(
        lambda at: vox.search.search("harbour lamps", emotion="sad", limit=50), 15
    )
    return figures


@contextmanager
def _opened(home: Path) -> Iterator[Ledger]:
    with voxledger.open(home, store_endpoint=_NOBODY, store_close_wait=0, general_actor="ann") as vox:
        yield vox


def _ms(step: Callable[[int], Any], rounds: int) -> float:
    times = []
    for at in range(rounds + 1):
        start = time.perf_counter()
        step(at)
        times.append(time.perf_counter() - start)
    return median(times[1:]) * 1e3


def main() -> None:
    """`log_growth.py grow|ask HOME SIZE full|mixed`: prints one JSON document."""
    what, home, size, kind = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if what == "grow":
        found = grow(
            home,
            size,
            full=kind == "full",
            step=lambda done: print(f"  {done:,} of {size:,}", file=sys.stderr, flush=True),
        )
    else:
        found = Grown(events=size, figures=ask(home, rebuild=True, search=kind == "mixed"))
    found.memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
