"""The node's pages over a large catalog, asked for as a browser asks: with the cookie of a visit, htmx's headers, and compression.

    python benchmarks/pages.py [--clips 10000000] [--home HOME] [--times 40]

The catalog is the one of benchmarks/plan.py with the generations of benchmarks/report.py (a tenth of them more were reused, failed or
cancelled; 20,000 people asked), and the index of words that of its texts; `--home` takes a HOME that is there. What a page shows in
parts is asked for in parts, as the browser does. Each row is asked for `--times` times on one connection, after one that does not
count and a minute in which the node does what it does after a start. `CPU` is the node's processor time for one request, which a busy
machine does not change. Bars: 150 ms at p95 for a page, 300 ms for one of charts, 100 kB for a first load beyond what the browser
keeps (`kB`: what comes over the wire).
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
from datetime import UTC, datetime, timedelta
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
from benchmarks.plan import NOW, fill
from benchmarks.report import ATTEMPTS, CLIPS, PLAYS, REUSED
from tests.node import RunningNode, running_node
from voxledger.catalog.home import Home
from voxledger.catalog.journal.mark import MarkFile
from voxledger.catalog.search import database
from voxledger.catalog.search.feed import Made, Piece
from voxledger.catalog.search.filling import Filler

_USED = (
    "channel", "features", "engine", "engine_version", "model", "model_revision", "device", "determinism", "language", "emotion_mode",
    "emotion_strength", "emotion_effective", "suspect", "queue_us", "load_us", "synthesis_us", "audio_us", "encode_us", "first_us",
    "streamed", "segments", "segments_cached",
)  # fmt: skip
"""What the charts look at, besides what a plan does."""
PAGE, CHARTS, WIRE = 0.15, 0.3, 100_000
SETTLING = 60.0
_WHO = "(floor(18000 * pow((hash(i, 1) % 100000) / 100000, 2)) + floor(i / $count * 2000))::BIGINT"
"""Some ask much more than others, and new people come all the time."""
_PIECE = 20_000
_POLICY = """
[[retention.rules]]
name = "scratch"
match = "bucket = 'indextts-cache' OR list_contains(tags, 'scratch')"
keep_for = "3d"

[[retention.rules]]
name = "old"
match = "rating IS NULL OR rating < 3"
keep_for = "300d"
"""
_SHELF = {"HX-Request": "true", "HX-Target": "results", "HX-Current-URL": "http://127.0.0.1/library"}
_MORE = {"HX-Request": "true", "HX-Target": "more"}
_PART = {"HX-Request": "true"}


class Asked(NamedTuple):
    """A row: what is asked for, how, and what it may take (s). Of `days` days: each time others, so that nothing is remembered."""

    name: str
    path: str
    headers: Mapping[str, str] = {}
    bar: float = PAGE
    days: int = 0

    def address(self, time: int) -> str:
        """What to ask for the so-and-so-many-th time."""
        if not self.days:
            return self.path
        last = datetime.now(UTC).date() - timedelta(days=time)
        return f"{self.path}{'&' if '?' in self.path else '?'}from={last - timedelta(days=self.days - 1)}&to={last}"


def rows(more: str, plan: str, clips: Mapping[str, str]) -> list[Asked]:
    """What is measured; `more` is the address of the library's next page, `plan` that of a plan that was made, `clips` are ids by age."""
    filters = (
        ("emotion", "emotion=sad"), ("two emotions", "emotion=sad&emotion=happy"), ("voice", "voice=voice7"), ("person", "actor=actor7"),
        ("session", "session=s5000"), ("language", "language=en"), ("engine", "engine=indextts"), ("tag", "tag=demo"),
        ("state", "state=marked"), ("rating", "rating=4"), ("not rated", "rating=0"), ("pinned", "mark=pinned"), ("date", "within=7d"),
        ("a day long ago", "since=2026-02-03&until=2026-02-03"), ("length", "shortest=2&longest=5"),
        ("four filters", "emotion=calm&voice=voice21&rating=2&shortest=2"),
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
        *(
            Asked(f"clip, {age}{part.replace('/', ': ')}", f"/clips/{clip}{part}", _PART if part else {})
            for age, clip in clips.items() for part in ("", "/takes", "/fate", "/history")
        ),
        Asked("usage", "/usage"),
        *(
            Asked(f"usage: {name}, {days} days", f"/usage/{name}", _PART, CHARTS, days)
            for days in (30, 90, 364)
            for name in ("figures", "over_time", "by_group", "river", "reach", "voices", "cohorts", "saved", "cost")
        ),
        *(
            Asked(f"usage: {metric} by {by}, 30 days", f"/usage/over_time?metric={metric}&by={by}&split=yes", _PART, CHARTS, 30)
            for metric, by in (("audio_us", "actor"), ("active_users", "language"), ("clips", "emotion"))
        ),
        Asked("usage: once more", "/usage/over_time", _PART, CHARTS),
        *(Asked(path[1:].replace("/", ": "), path) for path in (
            "/studio", "/retention", "/retention/returning", "/retention/holds", "/retention/policy", "/retention/backtest", "/sql",
            "/nodes", "/nodes/engines", "/reports", "/tokens",
        )),
        *(Asked(f"retention: plan{name}", f"{plan}{query}") for name, query in (
            ("", ""), (", largest first", "&order=bytes"), (", one voice", "&voice=voice7"), (", rules by size", "&by=bytes"),
        )),
    ]  # fmt: skip


def main() -> None:
    """Fill, serve, ask."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--clips", type=int, default=10_000_000)
    given.add_argument("--home", type=Path)
    given.add_argument("--times", type=int, default=40)
    asked = given.parse_args()
    with catalog(asked.home, asked.clips) as home:
        clips = clips_of(home)
        with running_node(home, store_close_wait=0) as node:
            table, missed = measured(node, asked.times, clips)
    Console(width=140).print(table)
    if missed:
        print("beyond a bar:", ", ".join(missed))


@contextmanager
def catalog(given: Path | None, clips: int) -> Iterator[Path]:
    """The HOME that is given, or one that is made and thrown away."""
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
    (home.path / "voxledger.toml").write_text(_POLICY, encoding="utf-8")
    fill(home.catalog, clips, {**_SHOWN, **{name: CLIPS[name] for name in _USED}})
    _use(home, clips)
    mark = MarkFile(home.path / "journal.mark")
    mark.advance(node=node, epoch=epoch, first=1, position=clips, recorded=time.time_ns() // 1000)
    mark.close()
    with running_node(path, store_close_wait=0):
        pass  # the first event, behind which the index of words stands
    _index(home, actor, clips)


def _use(home: Home, clips: int) -> None:
    """What was asked for besides, and heard."""
    few = clips // 9
    with duckdb.connect(":memory:") as connection:
        connection.execute(f"ATTACH '{home.catalog}' AS catalog")
        spread = {"now": NOW, "count": few, "days": 365, "first": 0, "last": few}
        connection.execute(ATTEMPTS.replace("(hash(i, 1) % 20000)", _WHO), {**spread, "clips": clips})
        connection.execute(REUSED, {"clips": clips})
        connection.execute(PLAYS)
        connection.execute("UPDATE catalog.projections SET position = 0")  # the log is empty, and begins
        connection.execute("CHECKPOINT catalog")


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


def clips_of(home: Path) -> dict[str, str]:
    """The ids of a clip that was just made, and of one from half a year ago."""
    with duckdb.connect(str(home / "catalog.duckdb"), read_only=True) as connection:
        (last,) = connection.execute("SELECT max(position) FROM folded.clips").fetchall()[0]
        found = connection.execute(
            "SELECT id::VARCHAR FROM folded.clips WHERE position IN ($1, $2) ORDER BY position DESC", (last, last // 2)
        ).fetchall()
    return {age: clip for age, (clip,) in zip(("new", "old"), found, strict=True)}


def measured(node: RunningNode, times: int, clips: Mapping[str, str]) -> tuple[Table, list[str]]:
    """Every row, asked for over and over."""
    with _visit(node) as browser:
        more = _next(browser)
        browser.timeout = 120
        began = time.perf_counter()
        view = (
            browser.get("/retention?make=1", headers=_PART)
            .text.partition("view=")[2]
            .partition("&")[0]
            .partition('"')[0]
        )
        print(f"the plan took {time.perf_counter() - began:.1f} s")
        time.sleep(SETTLING)
        table, missed = Table(title=f"Pages, {psutil.cpu_count()} cores, ms through HTTP"), []
        for column in ("", "p50", "p95", "worst", "CPU", "kB"):
            table.add_column(column, justify="left" if not column else "right")
        for row in rows(more, f"/retention?view={view}", clips):
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
    browser.get(row.address(0), headers=row.headers)
    found, size = [], 0
    for turn in range(1, times + 1):
        began = time.perf_counter()
        with browser.stream("GET", row.address(turn), headers=row.headers) as answer:
            size = sum(len(piece) for piece in answer.iter_raw())
        found.append(time.perf_counter() - began)
        assert answer.status_code == 200, (row, answer.status_code)
    return sorted(found), size


def _processor(node: RunningNode) -> float:
    times = psutil.Process(node.process.pid).cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
