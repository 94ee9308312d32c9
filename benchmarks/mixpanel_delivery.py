"""Delivery to Mixpanel: events prepared on one core beside the library's own ways, a million delivered, and `speak` meanwhile.

python benchmarks/mixpanel_delivery.py [EVENTS]     how many events are delivered, by default 1000000; writing them takes minutes

Other programs share this machine's cores, so CPU seconds are told beside the clock's. The exit status is 1 when one core does not
prepare as many events a second as Mixpanel takes, in seconds of CPU.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import mixpanel as library
import psutil
from life import Life, drafts
from rich.console import Console
from rich.table import Table

import voxledger
from voxledger.analytics.mixpanel import VOCABULARY, Mixpanel
from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.messages import Composer, parcels
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.catalog import settings
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import RawEvent, Subscription
from voxledger.catalog.vault import Vault

_RATE = 30_000
"""Events a second that Mixpanel takes of one project (https://developer.mixpanel.com/reference/import-events)."""
_PREPARED = 40_000
_PEERS = 4_000
_BURST = 10_000
_TURNS = 5
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_ROOT = Path(__file__).parents[1]
console = Console(width=140)


def main() -> None:
    """Everything, as tables."""
    events = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    os.environ["NO_PROXY"] = "127.0.0.1"
    with tempfile.TemporaryDirectory(prefix="voxledger-bench-") as folder:
        base = Path(folder)
        world = World(base / "mixed", events)
        missed = prepared(base, world)
        delivered(world, events)
        beside_speak(world)
    if missed:
        sys.exit(f"the bar of {_RATE:,} events/s of one core is missed: {'; '.join(missed)}")


class World:
    """A HOME with the events of a studio's life."""

    def __init__(self, path: Path, events: int, *, full: bool = False) -> None:
        self.home = Home.open(path)
        self.recorder = Recorder(Journal(self.home.journal), Vault(self.home.vault))
        self.keeper = Keeper(self.home, self.recorder)
        life = Life(start=datetime(2026, 1, 1, tzinfo=UTC), step=timedelta(seconds=2), full=full)
        with console.status(f"writing {events:,} events"):
            for _ in range(0, events, 5000):
                self.recorder.journal.emit(*drafts(self.recorder, life, min(5000, events)))
                self.keeper.drain()

    def subscription(self, name: str = "mixpanel") -> Subscription:
        return Subscription(name, self.keeper)

    def composer(self) -> Composer:
        audience = Audience(settings.Mixpanel(), self.recorder.vault, ToldNames(self.home.path))
        return Composer("token", audience, node=self.recorder.journal.node)


def prepared(base: Path, mixed: World) -> list[str]:
    """Reading, composing and packing, all on one core; the library writes the same messages from events that were read already.

    Gives which of our own stay below the bar.
    """
    missed = []
    table = _table("prepared", "µs of CPU an event", "events/s of one core", f"of {_RATE:,}")
    for name, world in (
        ("a studio's life", mixed),
        ("nothing but generations", World(base / "full", _PREPARED, full=True)),
    ):
        steps = {"read from the log": 0.0, "composed": 0.0, "packed (gzip)": 0.0}
        subscription, composer = world.subscription("prepared"), world.composer()
        after = count = 0
        subscription.raw(10, VOCABULARY)
        while count < _PREPARED:
            marks = [time.process_time()]
            batch = subscription.raw(_BURST, VOCABULARY, after=after)
            marks.append(time.process_time())
            messages = [message for event in batch.events if (message := composer.compose(event))]
            marks.append(time.process_time())
            size = sum(len(parcel.body()) for parcel in parcels(messages, batch.through))
            marks.append(time.process_time())
            assert size
            for step, (begin, end) in zip(steps, pairwise(marks), strict=True):
                steps[step] += end - begin
            after, count = batch.through, count + len(batch.events)
        for step, seconds in steps.items():
            table.add_row(f"{name}: {step}", f"{seconds / count * 1e6:.1f}", "", "")
        _prepared_row(table, f"{name}: all of it", count, sum(steps.values()))
        rate = count / sum(steps.values())
        if rate < _RATE:
            missed.append(f"{name}, {rate:,.0f}")
    messages = _messages(mixed, _PEERS)
    for name, write in PEERS.items():
        begin = time.process_time()
        write(messages)
        seconds = time.process_time() - begin
        _prepared_row(table, name, _PEERS, seconds)
    text = [json.dumps(message).encode() for message in messages]
    begin = time.process_time()
    gzip.compress(b"\n".join(text), 1)
    seconds = time.process_time() - begin
    _prepared_row(table, "limit: gzip of the same lines, level 1", _PEERS, seconds)
    console.print(table)
    return missed


def _prepared_row(table: Table, name: str, events: int, seconds: float) -> None:
    rate = events / seconds
    table.add_row(name, f"{seconds / events * 1e6:.1f}", f"{rate:,.0f}", f"{rate / _RATE:.2f}")


def _messages(world: World, count: int) -> list[dict[str, Any]]:
    composer = world.composer()
    events: list[RawEvent] = []
    after = 0
    while len(events) < count:
        batch = world.subscription("peers").raw(_BURST, VOCABULARY, after=after)
        events += batch.events
        after = batch.through
    return [json.loads(message.line) for event in events if (message := composer.compose(event))][:count]


class _Packed:
    """A consumer that packs what it is given, as the library's own would send it: one request for each message."""

    def send(self, endpoint: str, json_message: str, api_key: object = None, api_secret: object = None) -> None:  # noqa: ARG002  # the library's protocol
        gzip.compress(json_message.encode(), 1)


class _Buffered(library.BufferedConsumer):
    """The library's own buffer, with packing in place of the network."""

    def __init__(self) -> None:
        super().__init__()
        self._consumer = _Packed()


def _import_data(messages: list[dict[str, Any]], consumer: Any) -> None:
    client = library.Mixpanel("token", consumer=consumer)
    for message in messages:
        properties = dict(message["properties"])
        who, when = properties.pop("distinct_id"), properties.pop("time")
        client.import_data(None, who, message["event"], when, properties)
    if isinstance(consumer, library.BufferedConsumer):
        consumer.flush()


PEERS: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "peer: the library's import_data, packed one by one": lambda messages: _import_data(messages, _Packed()),
    "peer: the library's BufferedConsumer (50 a request)": lambda messages: _import_data(messages, _Buffered()),
}


@contextmanager
def server(*arguments: str) -> Iterator[tuple[str, Callable[[], dict[str, int]]]]:
    """The stand-in for Mixpanel in a process of its own: its address, and what it has counted."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mixpanel_server", "token", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
    )
    assert process.stdin
    assert process.stdout
    url = process.stdout.readline().strip()

    def count() -> dict[str, int]:
        assert process.stdin
        assert process.stdout
        process.stdin.write("count\n")
        process.stdin.flush()
        found: dict[str, int] = json.loads(process.stdout.readline())
        return found

    try:
        yield url, count
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


def delivered(world: World, events: int) -> None:
    """Everything, over real connections to the stand-in, which checks each event against the documented rules."""
    table = _table("delivered to the stand-in", "events", "clock s", "events/s", "our CPU s", "events/s of CPU")
    with server() as (url, count):
        mixpanel = Mixpanel(_chosen(url), world.subscription(), world.recorder)
        first = mixpanel.deliver(limit=events // 10)
        tenth = _memory()
        begin, before = time.perf_counter(), time.process_time()
        done = mixpanel.deliver()
        clock, cpu = time.perf_counter() - begin, time.process_time() - before
        _row(table, "Voxledger", done.sent, clock, cpu)
        assert count() == {"received": first.sent + done.sent, "events": first.sent + done.sent}
        memory = _memory()
    with server("--unchecked") as (url, _):
        begin, before = time.perf_counter(), time.process_time()
        Mixpanel(_chosen(url), world.subscription(), world.recorder).backfill(_LONG_AGO)
        _row(
            table,
            "Voxledger, the stand-in says yes to everything",
            events,
            time.perf_counter() - begin,
            time.process_time() - before,
        )
        messages = _messages(world, _PEERS)
        where: dict[str, Any] = {"import_url": f"{url}/import", "retry_limit": 0}
        for name, consumer, number in (
            ("peer: the library's import_data, one event a request", library.Consumer(**where), 500),
            ("peer: the library's BufferedConsumer, 50 a request", library.BufferedConsumer(**where), _PEERS),
        ):
            begin, before = time.perf_counter(), time.process_time()
            _import_data(messages[:number], consumer)
            _row(table, name, number, time.perf_counter() - begin, time.process_time() - before)
    console.print(table)
    console.print(
        f"resident memory: {tenth:.0f} MB after a tenth, {memory:.0f} MB after all ({memory / tenth:.3f} times)"
    )


def beside_speak(world: World) -> None:
    """`speak` alone, beside a process of the same HOME that delivers what comes, and beside one that catches up, in turn."""
    modes = {
        "nothing is delivered": "",
        "what comes is delivered": "come",
        "everything is sent again, at full speed": "again",
    }
    clock: dict[str, list[float]] = {name: [] for name in modes}
    cpu: dict[str, list[float]] = {name: [] for name in modes}
    with server("--unchecked") as (url, _), voxledger.open(world.home.path) as vox:
        vox.speak("The tide is turning.", engine="espeak", language="en")
        for turn in range(_TURNS):
            for name, mode in modes.items():
                with _sending(world, url, mode) if mode else nullcontext():
                    for number in range(60 // _TURNS):
                        begin, before = time.perf_counter(), time.process_time()
                        vox.speak(f"The tide is turning, {turn} {number} {name}.", engine="espeak", language="en")
                        clock[name].append((time.perf_counter() - begin) * 1e3)
                        cpu[name].append((time.process_time() - before) * 1e3)
    table = _table("speak, medians of 60", "clock ms", "ratio", "CPU ms of this process", "ratio")
    alone = next(iter(modes))
    for name in modes:
        times, used = median(clock[name]), median(cpu[name])
        table.add_row(
            name,
            f"{times:.1f}",
            f"{times / median(clock[alone]):.2f}",
            f"{used:.1f}",
            f"{used / median(cpu[alone]):.2f}",
        )
    console.print(table)


@contextmanager
def _sending(world: World, url: str, mode: str) -> Iterator[None]:
    """A process that sends until the block ends."""
    command = [sys.executable, __file__, "--send", str(world.home.path), url, mode]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def send(path: str, url: str, mode: str) -> None:
    """What that process does: `come` delivers each second what has come, `again` sends everything, again and again."""
    home = Home.open(Path(path))
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    mixpanel = Mixpanel(_chosen(url), Subscription("mixpanel", Keeper(home, recorder)), recorder)
    said = iter(["sending"])
    while mode == "come":
        mixpanel.deliver()
        print(next(said, ""), flush=True)
        time.sleep(1)
    while True:
        mixpanel.backfill(_LONG_AGO, progress=lambda *_: print(next(said, ""), flush=True))


def _chosen(url: str) -> settings.Mixpanel:
    return settings.Mixpanel(token="token", endpoint=url)


def _row(table: Table, name: str, events: int, clock: float, cpu: float) -> None:
    table.add_row(name, f"{events:,}", f"{clock:.1f}", f"{events / clock:,.0f}", f"{cpu:.1f}", f"{events / cpu:,.0f}")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _memory() -> float:
    """Resident memory now, in MB."""
    return psutil.Process().memory_info().rss / 1e6


if __name__ == "__main__":
    if sys.argv[1:2] == ["--send"]:
        send(*sys.argv[2:])
    main()
