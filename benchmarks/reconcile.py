"""Reconciling a bucket of many keys: how long it takes, and how much memory it holds.

    python benchmarks/reconcile.py [KEYS]

The listing is simulated (1,000 keys a page, as S3 gives them), so that the numbers are ours and not a store's; the catalog
is a real one, in which the clips were recorded one by one. Of a million clips 10 are missing, 10 changed, 10 orphaned.
"""

from __future__ import annotations

import hashlib
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.building import Parts, completed
from voxledger.catalog.events import AudioStored, new_id
from voxledger.catalog.objects import ObjectInfo
from voxledger.catalog.reconcile import Around, Reconciled, reconcile
from voxledger.catalog.settings import Settings

_BATCH = 2000
_LONG_AGO = datetime.now(UTC) - timedelta(days=9)
_FEW = 10


@dataclass
class SimulatedStore:
    """Lists clips as a store would, some of them gone, some of another size, and some that nobody knows."""

    clips: list[str]
    endpoint: str = "simulated"

    def list(self, _bucket: str, _prefix: str = "") -> Iterator[ObjectInfo]:
        """As Store.list."""
        every = len(self.clips) // _FEW
        for number, clip in enumerate(self.clips):
            if number % every == 1:
                continue
            yield self._info(_key(clip), 66_195 if number % every == 2 else 66_194, clip)
        for number in range(_FEW):
            yield self._info(f"zoe/nobody/knows-{number}.wav", 7, str(number))

    def head(self, _bucket: str, key: str) -> ObjectInfo | None:
        """As Store.head."""
        number = self.clips.index(key[-40:-4])
        return None if number % (len(self.clips) // _FEW) == 1 else self._info(key, 66_195, self.clips[number])

    def _info(self, key: str, size: int, clip: str) -> ObjectInfo:
        return ObjectInfo(key=key, bytes=size, etag=_etag(clip), modified=_LONG_AGO)


def _key(clip: str) -> str:
    return f"actor-{clip[-2:]}/session-{clip[-4:-2]}/en-happy-{clip}.wav"


def _etag(clip: str) -> str:
    return hashlib.md5(clip.encode(), usedforsecurity=False).hexdigest()


def fill(parts: Parts, count: int) -> list[str]:
    """Clips that were made and stored, as the studio and the uploader record them."""
    clips = [new_id() for _ in range(count)]
    owner = parts.vault.actor("ann")
    for start in range(0, count, _BATCH):
        drafts = []
        for clip in clips[start : start + _BATCH]:
            made = completed(key=_key(clip), path="/nowhere", sha256=_etag(clip) * 2)
            kept = AudioStored(
                bucket="indextts-audio",
                bytes=66_194,
                etag=_etag(clip),
                attempts=1,
                transfer_us=4000,
                waited_us=9,
                key=_key(clip),
            )
            drafts += [parts.recorder.draft(fact, subject=clip, actor=owner) for fact in (made, kept)]
        parts.journal.emit(*drafts)
        if start % (50 * _BATCH) == 0:
            parts.keeper.drain()
    parts.keeper.drain()
    return clips


class Memory:
    """The most memory that this process held during a block, in MB above what it held before."""

    def __enter__(self) -> Memory:
        self.before = self.most = _resident()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._watch.join()

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self.most = max(self.most, _resident())


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    most = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    table = Table(title="reconcile, simulated listing. Bar: 1,000,000 keys in 60 s, flat memory")
    for heading in ("keys", "s", "keys/s", "more memory, MB", "there", "missing", "changed", "orphans", "again, s"):
        table.add_column(heading, justify="right")
    for count in (most // 10, most):
        with tempfile.TemporaryDirectory(prefix="voxledger-bench-") as folder:
            parts = Parts(Path(folder) / "home")
            store = SimulatedStore(fill(parts, count))
            around = Around(
                home=parts.home, settings=Settings(), recorder=parts.recorder, keeper=parts.keeper, store=store,  # type: ignore[arg-type]
                actor="ann",
            )  # fmt: skip
            found, taken, memory = _timed(around)
            again = _timed(around)[1]
            parts.close()
        table.add_row(
            f"{count:,}", f"{taken:.1f}", f"{count / taken:,.0f}", f"{memory:,.0f}", f"{found.there:,}", f"{found.missing}",
            f"{found.changed}", f"{found.orphans}", f"{again:.1f}",
        )  # fmt: skip
    Console().print(table)


def _timed(around: Around) -> tuple[Reconciled, float, float]:
    with Memory() as memory:
        started = time.perf_counter()
        found = reconcile(around, grace=0.0)
        taken = time.perf_counter() - started
    return found, taken, memory.most - memory.before


if __name__ == "__main__":
    main()
