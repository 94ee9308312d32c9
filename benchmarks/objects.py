"""Uploads: clips of 100 kB through the uploader, beside bare boto3 with as many threads on the same store.

python benchmarks/objects.py [CLIPS] [THREADS]
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from voxledger.catalog.events import new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store, Uploader, object_key, record_key
from voxledger.catalog.objects.client import make_client
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Store as StoreSettings
from voxledger.catalog.vault import Vault

_SIZE = 100_000
_ROUNDS = 3
_RECORD = 1500
"""Bytes of an acknowledged generation event."""


class Bench:
    """One HOME with its embedded store, for all rounds."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.home = Home.open(folder)
        self.settings = StoreSettings(upload_threads=threads)
        self.recorder = Recorder(Journal(self.home.journal), Vault(self.home.vault))
        self.threads = threads
        self.store = Store(self.home, self.settings)
        assert self.store.embedded is not None
        self.embedded = self.store.embedded
        self.store.ensure_bucket("indextts-audio")
        self.bare_client = make_client(self.settings, self.embedded.ensure(), connections=threads + 4)

    def clips(self, count: int) -> list[tuple[str, Path]]:
        """Files in the cache."""
        made = []
        for _ in range(count):
            clip = new_id()
            key = object_key(self.settings.key, actor="ann", session="bench", name="clip", clip=clip, ext="wav")
            path = self.home.cache / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(secrets.token_bytes(_SIZE))
            made.append((key, path))
        return made

    def bare(self, count: int, *, checked: bool = False, records: bool = False) -> float:
        """Seconds for `count` bare PUTs, or for all requests that the uploader makes."""
        clips = self.clips(count)

        def put(clip: tuple[str, Path]) -> None:
            key, path = clip
            self.bare_client.put_object(Bucket="indextts-audio", Key=key, Body=path.read_bytes())
            if checked:
                self.bare_client.head_object(Bucket="indextts-audio", Key=key)
            if records:
                self.bare_client.put_object(Bucket="indextts-audio", Key=record_key(key), Body=b"x" * _RECORD)

        started = time.perf_counter()
        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(put, clips))
        return time.perf_counter() - started

    def uploader(self, count: int, *, records: bool) -> float:
        """Seconds until `count` waiting clips are stored, verified, forced onto the disk and recorded."""
        actor = self.recorder.vault.actor("ann")
        record = "x" * _RECORD if records else None
        with self.recorder.journal.transaction() as write:
            for key, path in self.clips(count):
                payload = {
                    "bucket": "indextts-audio",
                    "key": key,
                    "path": str(path),
                    "content_type": "audio/wav",
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "bytes": _SIZE,
                    "metadata": {"clip": key[-40:-4], "emotion": "happy"},
                    "tags": {"app": "voxledger", "emotion": "happy"},
                    "record": record,
                }
                sealed = self.recorder.seal(payload, actor=actor, about=key)
                write.add_task("upload", subject=key, actor=actor.id, payload=sealed)
        uploads = Uploader(self.recorder, self.store, self.settings)
        started = time.perf_counter()
        left = uploads.flush()
        elapsed = time.perf_counter() - started
        uploads.close()
        assert left == 0
        return elapsed


def main(count: int, threads: int) -> None:
    """Interleaved rounds, so that what else the machine does meets all alike."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), threads)
        try:
            bench.store.put("indextts-audio", "ann/bench/first", b"")
            bench.bare(count // 4)
            ways: dict[str, Callable[[], float]] = {
                "bare boto3: PUT": lambda: bench.bare(count),
                "bare boto3: PUT, HEAD": lambda: bench.bare(count, checked=True),
                "uploader": lambda: bench.uploader(count, records=False),
                "bare boto3: PUT, HEAD, PUT record": lambda: bench.bare(count, checked=True, records=True),
                "uploader with records": lambda: bench.uploader(count, records=True),
            }
            times: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(_ROUNDS):
                for name, way in ways.items():
                    times[name].append(way())
        finally:
            bench.embedded.stop()
    table = Table(title=f"{count} clips of {_SIZE / 1e3:g} kB, {threads} threads, embedded store, {_ROUNDS} rounds")
    for heading in ("way", "clips/s", "MB/s", "of bare PUT", "of the same requests"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    bare = same = median(times["bare boto3: PUT"])
    for name, each in times.items():
        taken = median(each)
        ours = name.startswith("uploader")
        same = same if ours else taken
        shares = f"{bare / taken:.2f}", f"{same / taken:.2f}" if ours else "·"
        table.add_row(name, f"{count / taken:,.0f}", f"{count * _SIZE / taken / 1e6:,.1f}", *shares)
    Console().print(table)


if __name__ == "__main__":
    arguments = [int(argument) for argument in sys.argv[1:]]
    main(*(arguments + [400, 4][len(arguments) :]))
