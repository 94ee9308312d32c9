"""The node's pages over a large catalog, asked for as a browser asks: with the cookie of a visit, htmx's headers, and compression.

    python benchmarks/pages.py [--clips 10000000] [--home HOME] [--times 40]

The catalog is the one of benchmarks/plan.py, and the index of words that of its texts; `--home` takes a HOME that is there. Each row is
asked for `--times` times on one connection, after one that does not count and a minute in which the node does what it does after a
start. `CPU` is the node's processor time for one request, which a busy machine does not change. Bars: 150 ms at p95 for a page, 300 ms
for one of charts, 100 kB for a first load beyond what the browser keeps (`kB`: what comes over the wire).
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import duckdb
import httpx
import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

import voxledger
from benchmarks.node_pages import _SHOWN
from benchmarks.plan import fill
from tests.node import RunningNode, running_node
from voxledger.catalog.home import Home
from voxledger.catalog.journal.mark import MarkFile
from voxledger.catalog.search import database
from voxledger.catalog.search.feed import Made, Piece
from voxledger.catalog.search.filling import Filler

PAGE, CHARTS, WIRE = 0.15, 0.3, 100_000
SETTLING = 60.0
_PIECE = 20_000
_SHELF = {"HX-Request": "true", "HX-Target": "results", "HX-Current-URL": "http://127.0.0.1/library"}
_MORE = {"HX-Request": "true", "HX-Target": "more"}


class Asked(NamedTuple):
    """A row: what is asked for, how, and what it may take (s)."""

    name: str
    path: str
    headers: Mapping[str, str] = {}
    bar: float = PAGE


def rows(more: str) -> list[Asked]:
    """What is measured; `more` is the address of the library's next page."""
    filters = (
        ("emotion", "emotion=sad"), ("two emotions", "emotion=sad&emotion=happy"), ("voice", "voice=voice7"), ("person", "actor=actor7"),
        ("session", "session=s5000"), ("language", "language=en"), ("engine", "engine=indextts"), ("tag", "tag=demo"),
        ("state", "state=marked"), ("rating", "rating=4"), ("not rated", "rating=0"), ("pinned", "mark=pinned"), ("date", "within=7d"),
        ("a day long ago", "since=2026-02-03&until=2026-02-03"), ("length", "shortest=2&longest=5"),
        ("four filters", "emotion=sad&voice=voice7&rating=4&shortest=2"),
    )  # fmt: skip
    orders = ("created", "-rating", "-plays", "-last_used", "-duration", "duration", "name", "-bytes")
    words = (
        ("as one types", "q=ti"), ("a word in all texts", "q=tide"), ("a rare word", "q=4711th"), ("with a filter", "q=tide&emotion=sad"),
        ("with a filter that no index knows", "q=tide&voice=voice7"),
    )  # fmt: skip
    return [
        Asked("overview", "/"),
        Asked("library", "/library"),
        Asked("library: how many", "/library/count"),
        Asked("library: next page", more, _MORE),
        *(Asked(f"library: {name}", f"/library?{query}", _SHELF) for name, query in filters),
        *(Asked(f"library: by {order}", f"/library?order={order}", _SHELF) for order in orders),
        *(Asked(f"library: {name}", f"/library?{query}", _SHELF) for name, query in words),
        *(Asked(f"library: values of {name}", f"/library/choices?field={name}") for name in ("emotion", "voice", "session", "tag")),
        Asked("library: values that hold a text", "/library/choices?field=session&find=77"),
    ]  # fmt: skip


def main() -> None:
    """Fill, serve, ask."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--clips", type=int, default=10_000_000)
    given.add_argument("--home", type=Path)
    given.add_argument("--times", type=int, default=40)
    asked = given.parse_args()
    with _home(asked.home, asked.clips) as home, running_node(home, store_close_wait=0) as node:
        table, missed = measured(node, asked.times)
    Console(width=140).print(table)
    if missed:
        print("beyond a bar:", ", ".join(missed))


@contextmanager
def _home(given: Path | None, clips: int) -> Iterator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="voxledger-pages-") as folder:
        path = Path(folder) / "home"
        make(path, clips)
        yield path


def make(path: Path, clips: int) -> None:
    """A HOME whose tables hold so many clips, and whose log begins behind them: as if its journal had been lost."""
    with voxledger.open(path) as vox:
        actor, node, epoch = vox.vault.actor(vox.actor).id, vox.journal.node, vox.journal.epochs()[-1].epoch
    home = Home.open(path)
    for name in ("catalog.duckdb", "log.duckdb", "journal.sqlite", "journal.mark"):
        home.path.joinpath(name).unlink(missing_ok=True)
    fill(home.catalog, clips, _SHOWN)
    with duckdb.connect(str(home.catalog)) as connection:
        connection.execute("UPDATE projections SET position = 0")  # the log is empty, and begins
    mark = MarkFile(home.path / "journal.mark")
    mark.advance(node=node, epoch=epoch, first=1, position=clips, recorded=time.time_ns() // 1000)
    mark.close()
    with running_node(path, store_close_wait=0):
        pass  # the first event, behind which the index of words stands
    _index(home, actor, clips)


def _index(home: Home, actor: str, clips: int) -> None:
    """The index of words of these clips, which all are one actor's there."""
    with duckdb.connect() as connection, database.writing(home.path / "search.sqlite") as index:
        connection.execute(f"ATTACH '{home.catalog}' AS catalog (READ_ONLY)")
        filler = Filler(index)
        for first in range(0, clips, _PIECE):
            found = connection.execute(
                "SELECT position, id::VARCHAR, epoch_us(created), emotion, language, voice, voice_sha256, name, coalesce(tags, '[]'), text"
                " FROM catalog.folded.clips WHERE position >= $1 AND position < $2 ORDER BY position",
                (first, first + _PIECE),
            ).fetchall()
            made = [
                Made(row[0], bytes.fromhex(row[1].replace("-", "")), row[2], actor, *row[3:])
                for row in found
                if row[0] > 0
            ]
            piece = Piece(
                after=first, through=first + len(found) - 1, event="", made=made, retagged=[], erased=[], stale=False
            )
            filler.apply(piece, "")
        with sqlite3.connect(home.path / "journal.sqlite") as journal:
            position, event = journal.execute(
                "SELECT position, id FROM events ORDER BY position DESC LIMIT 1"
            ).fetchone()
            (epoch,) = journal.execute("SELECT epoch FROM epochs ORDER BY number DESC LIMIT 1").fetchone()
        index.execute(database.SQL["move"], {"position": position, "event": str(UUID(bytes=event)), "epoch": epoch})


def measured(node: RunningNode, times: int) -> tuple[Table, list[str]]:
    """Every row, asked for over and over."""
    with _visit(node) as browser:
        more = _next(browser)
        time.sleep(SETTLING)
        table, missed = Table(title=f"Pages, {psutil.cpu_count()} cores, ms through HTTP"), []
        for column in ("", "p50", "p95", "worst", "CPU", "kB"):
            table.add_column(column, justify="left" if not column else "right")
        for row in rows(more):
            before = _processor(node)
            took, size = _times(browser, row, times)
            used = (_processor(node) - before) / (times + 1)
            p95 = took[min(len(took) - 1, int(len(took) * 0.95))]
            if p95 > row.bar or size > WIRE:
                missed.append(row.name)
            shown = (statistics.median(took), p95, took[-1], used)
            table.add_row(
                row.name,
                *(f"{1000 * value:,.1f}" for value in shown),
                f"{size / 1000:.1f}",
                style="red" if row.name in missed else "",
            )
    return table, missed


@contextmanager
def _visit(node: RunningNode) -> Iterator[httpx.Client]:
    """A browser that has signed in."""
    with node.client() as owner:
        link = owner.post("/sign-in/link").json()["path"]
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip, zstd", "Sec-Fetch-Site": "same-origin"}
    with node.client("", follow_redirects=True) as browser:
        browser.headers.update(headers)
        browser.cookies.set("zone", "Europe/Berlin")
        assert browser.get(link).status_code == 200
        yield browser


def _next(browser: httpx.Client) -> str:
    text = browser.get("/library").text
    return text.partition('id="more"')[2].partition('hx-get="')[2].partition('"')[0].replace("&amp;", "&")


def _times(browser: httpx.Client, row: Asked, times: int) -> tuple[list[float], int]:
    browser.get(row.path, headers=row.headers)
    found, size = [], 0
    for _ in range(times):
        began = time.perf_counter()
        with browser.stream("GET", row.path, headers=row.headers) as answer:
            size = sum(len(piece) for piece in answer.iter_raw())
        found.append(time.perf_counter() - began)
        assert answer.status_code == 200, (row, answer.status_code)
    return sorted(found), size


def _processor(node: RunningNode) -> float:
    times = psutil.Process(node.process.pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
