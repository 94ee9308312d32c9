"""Retention: a purge beside bare boto3 that deletes as many keys with `delete_objects`, a thousand a request.

python benchmarks/retention.py [--clips N] [--rounds N]

Ours does more: it reads the answer about each key, sees that the objects are gone, deletes local copies, and records the start and
the proof of each purge durably. The planning that applying does first is taken off. Both delete the same number of objects of 2 kB
from the same store, in turns. The embedded store is rclone's, with its files on disk; Ceph's gateway keeps its objects in memory.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.building import completed
from tests.s3 import running_ceph
from voxledger.catalog.events import AudioStored, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.features import keep_features
from voxledger.catalog.objects.probing import probe
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Retention as Section
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.catalog.vault import Vault

BUCKET = "indextts-audio"
BATCH = 1000
BODY = b"x" * 2000
RULES = Section(
    rules=(ExpireRule(name="all", keep_for=86400, match="all"),), max_percent=100.0, max_clips=10**6, grace=0.0
)
console = Console()


class Took(NamedTuple):
    """Seconds that passed, and CPU seconds of this process and of the store that it started."""

    seconds: float
    ours: float
    stores: float

    @classmethod
    def now(cls) -> Took:
        """Since some moment in the past."""
        children = psutil.Process().children(recursive=True)
        stores = sum(sum(child.cpu_times()[:2]) for child in children)
        return cls(time.perf_counter(), time.process_time(), stores)

    def __sub__(self, other: Took) -> Took:
        return Took(*(one - two for one, two in zip(self, other, strict=True)))


class Bench:
    """A HOME with clips that are due, and their objects in a store."""

    def __init__(self, folder: Path, settings: StoreSettings) -> None:
        self.home = Home.open(folder / "home")
        self.recorder = Recorder(Journal(self.home.journal), Vault(self.home.vault))
        self.keeper = Keeper(self.home, self.recorder)
        self.store = Store(self.home, settings)
        self.store.ensure_bucket(BUCKET)
        if settings.endpoint:
            keep_features(self.home, probe(self.store))
        self.retention = Retention(
            self.home, Settings(retention=RULES, store=settings), self.recorder, self.keeper, lambda: self.store
        )
        self.rounds = 0

    def keys(self, count: int) -> list[str]:
        """Objects that lie in the store."""
        self.rounds += 1
        keys = [f"ann/round{self.rounds}/clip-{number:06}-{new_id()}.wav" for number in range(count)]

        def put(key: str) -> Any:
            return self.store.request("PUT", lambda s3: s3.put_object(Bucket=BUCKET, Key=key, Body=BODY))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, keys))
        return keys

    def bare(self, keys: list[str]) -> Took:
        """What boto3 alone takes."""
        started = Took.now()
        for start in range(0, len(keys), BATCH):
            named: Any = {"Objects": [{"Key": key} for key in keys[start : start + BATCH]], "Quiet": True}
            self.store.request("DELETE", lambda s3: s3.delete_objects(Bucket=BUCKET, Delete=named))  # noqa: B023
        return Took.now() - started

    def purge(self, keys: list[str]) -> Took:
        """What a run takes that purges the clips of these keys; their marks are set before."""
        made = datetime.now(UTC) - timedelta(days=30)
        ann, drafts = self.recorder.vault.actor("ann"), []
        for key in keys:
            clip = new_id()
            fact = completed(key=key, path=str(self.home.cache / key), bytes=len(BODY), bucket=BUCKET)
            stored = AudioStored(
                bucket=BUCKET, bytes=len(BODY), etag="e", attempts=1, transfer_us=1, waited_us=1, key=key
            )
            drafts.append(self.recorder.draft(fact, subject=clip, actor=ann, time=made))
            drafts.append(self.recorder.draft(stored, subject=clip, actor=ann, time=made))
        self.recorder.journal.emit(*drafts)
        now = datetime.now(UTC)
        self.retention.apply(now=now)
        self.keeper.drain()
        plan = self.retention.plan(now=now + timedelta(minutes=1))
        started = Took.now()
        planning = self.retention.plan(now=now + timedelta(minutes=1)).id
        planned = Took.now() - started
        assert planning == plan.id
        started = Took.now()
        done = self.retention.apply(plan.id, now=now + timedelta(minutes=1))
        took = Took.now() - started - planned
        assert (done.purged, done.failed, done.skipped) == (len(keys), (), ()), done
        return took

    def close(self) -> None:
        """Let everything go."""
        self.store.close()
        if self.store.embedded is not None:
            self.store.embedded.stop()
        self.recorder.journal.close()
        self.recorder.vault.close()


@contextmanager
def benches() -> Iterator[Iterator[tuple[str, Bench]]]:
    """One for each store."""
    with tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True) as name:

        def each() -> Iterator[tuple[str, Bench]]:
            (Path(name) / "a").mkdir()
            yield "embedded (rclone)", Bench(Path(name) / "a", StoreSettings())
            if shutil.which("radosgw"):
                (Path(name) / "b").mkdir()
                with running_ceph(Path(name) / "b", room=4 << 30) as server:
                    yield "Ceph RGW", Bench(Path(name) / "b", server.settings())

        yield each()


def main() -> None:
    """Print objects a second of both, and how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    table = Table("store", "", "a second", "ratio (median of rounds)", "CPU µs a clip: ours", "the store's", "rounds")
    with benches() as all_of_them:
        for name, bench in all_of_them:
            pairs = [
                (bench.bare(bench.keys(asked.clips)), bench.purge(bench.keys(asked.clips))) for _ in range(asked.rounds)
            ]
            bench.close()
            ratios = [bare.seconds / ours.seconds for bare, ours in pairs]
            for what, side in zip(("bare delete_objects", "a purge"), zip(*pairs, strict=True), strict=True):
                table.add_row(
                    name,
                    what,
                    f"{asked.clips / median(took.seconds for took in side):,.0f}",
                    f"{median(ratios):.2f}" if what == "a purge" else "",
                    f"{median(took.ours for took in side) / asked.clips * 1e6:.0f}",
                    f"{median(took.stores for took in side) / asked.clips * 1e6:.0f}",
                    ", ".join(f"{ratio:.2f}" for ratio in ratios) if what == "a purge" else "",
                )
    console.print(table)


if __name__ == "__main__":
    main()
