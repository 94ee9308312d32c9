"""Objects: uploads, models and reading back, each beside what people would use instead.

python benchmarks/objects.py [uploads] [models] [fetch] [--clips N] [--threads N] [--gigabytes N]

Both servers run on this machine and share its processors with whoever asks them: Ceph's gateway, with its objects in memory, and
rclone's, with its objects on disk. `aws` is run where it is installed (its version of botocore is another one: give it an
environment of its own and name its folder in PATH).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Literal

import boto3
import msgspec
from botocore.config import Config
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))

import voxledger
from tests.s3 import S3Server, running_ceph, running_rclone
from voxledger.catalog.events import new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store, Uploader, object_key
from voxledger.catalog.objects.embedded.rclone import find_rclone
from voxledger.catalog.objects.features import keep_features
from voxledger.catalog.objects.probing import probe
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.vault import Vault

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SIZE = 100_000
ROUNDS = 3
PARTS = ("uploads", "models", "fetch")
RANGE = 8 << 20
BUCKET = "indextts-audio"
console = Console()


@contextmanager
def servers(folder: Path) -> Iterator[dict[str, S3Server]]:
    """Both of them, by name; Ceph's only where it is installed."""
    with ExitStack() as stack:
        (folder / "rclone").mkdir()
        found = {"rclone": stack.enter_context(running_rclone(folder / "rclone"))}
        if shutil.which("radosgw"):
            # Its sockets have long names.
            short = stack.enter_context(tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True))
            found = {"Ceph RGW": stack.enter_context(running_ceph(Path(short), room=12 << 30)), **found}
        yield found


class Bench:
    """One HOME whose store is one of the servers."""

    def __init__(self, folder: Path, server: S3Server, threads: int) -> None:
        self.folder, self.server, self.threads = folder, server, threads
        self.home = Home.open(folder / "home")
        self.settings = server.settings(upload_threads=threads)
        self.recorder = Recorder(Journal(self.home.journal), Vault(self.home.vault))
        self.store = Store(self.home, self.settings)
        self.client = bare_client(server, connections=threads + 4)
        self.rounds = 0

    def clips(self, count: int) -> list[tuple[str, Path]]:
        """New files, in a folder of their own within the cache, by their keys."""
        self.rounds += 1
        made = []
        for _ in range(count):
            key = object_key(
                self.settings.key, actor="ann", session=f"round{self.rounds}", name="clip", clip=new_id(), ext="wav"
            )
            path = self.home.cache / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(secrets.token_bytes(SIZE))
            made.append((key, path))
        return made

    def environment(self) -> dict[str, str]:
        """For `aws` and `rclone`."""
        return {
            **os.environ,
            "AWS_ENDPOINT_URL": self.server.url,
            "AWS_ACCESS_KEY_ID": self.server.access_key,
            "AWS_SECRET_ACCESS_KEY": self.server.secret_key,
            "AWS_REGION": "us-east-1",
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
            "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
            "RCLONE_CONFIG_BENCH_TYPE": "s3",
            "RCLONE_CONFIG_BENCH_PROVIDER": "Other",
            "RCLONE_CONFIG_BENCH_ENDPOINT": self.server.url,
            "RCLONE_CONFIG_BENCH_ACCESS_KEY_ID": self.server.access_key,
            "RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY": self.server.secret_key,
        }

    def bare(self, clips: list[tuple[str, Path]], *, checked: bool) -> None:
        """PUT alone, or also the HEAD that shows that it is there."""

        def put(clip: tuple[str, Path]) -> None:
            key, path = clip
            self.client.put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
            if checked:
                self.client.head_object(Bucket=BUCKET, Key=key)

        with ThreadPoolExecutor(self.threads) as pool:
            list(pool.map(put, clips))

    def queued(self, clips: list[tuple[str, Path]]) -> None:
        """Upload tasks, as the studio leaves them."""
        actor = self.recorder.vault.actor("ann")
        with self.recorder.journal.transaction() as write:
            for key, path in clips:
                payload = {
                    "bucket": BUCKET,
                    "key": key,
                    "path": str(path),
                    "content_type": "audio/wav",
                    "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                    "bytes": SIZE,
                    "metadata": {"clip": key[-40:-4], "emotion": "happy"},
                    "tags": {"app": "voxledger", "emotion": "happy"},
                }
                sealed = self.recorder.seal(payload, actor=actor, about=key)
                write.add_task("upload", subject=key, actor=actor.id, payload=sealed)

    def uploader(self, confirm: Literal["head", "auto"] = "head") -> None:
        """Until everything that waits is stored, verified and recorded."""
        settings = msgspec.structs.replace(self.settings, confirm=confirm)
        store = Store(self.home, settings)
        uploads = Uploader(self.recorder, store, settings)
        left = uploads.flush()
        uploads.close()
        store.close()
        assert left == 0

    def run(self, *argv: str) -> None:
        """A program, to its end."""
        subprocess.run(argv, env=self.environment(), check=True, capture_output=True)


def bare_client(server: S3Server, *, connections: int) -> S3Client:
    """What anyone makes who writes a loop around boto3."""
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        region_name="us-east-1",
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=connections,
        ),
    )


def timed(step: Callable[[], object]) -> float:
    """Seconds."""
    begun = time.perf_counter()
    step()
    return time.perf_counter() - begun


def uploads(folder: Path, name: str, server: S3Server, count: int, threads: int) -> Table:
    """Clips of 100 kB, in rounds that are interleaved: what else the machine does meets all ways alike."""
    bench = Bench(folder, server, threads)
    bench.store.put(BUCKET, "ann/first", b"")
    keep_features(bench.home, probe(bench.store))  # as `voxledger doctor` does
    ways: dict[str, Callable[[list[tuple[str, Path]]], Callable[[], object]]] = {
        "bare boto3: PUT": lambda clips: lambda: bench.bare(clips, checked=False),
        "bare boto3: PUT and HEAD": lambda clips: lambda: bench.bare(clips, checked=True),
        "voxledger": lambda clips: (bench.queued(clips), bench.uploader)[1],
        'voxledger, store.confirm = "auto"': lambda clips: (
            bench.queued(clips),
            lambda: bench.uploader("auto"),
        )[1],
        "rclone copy": lambda clips: lambda: bench.run(
            find_rclone(), "copy", str(clips[0][1].parent), f"bench:{BUCKET}/copied/{bench.rounds}", "--transfers",
            str(threads), "--checkers", str(threads), "--no-check-dest",
        ),
    }  # fmt: skip
    if shutil.which("aws"):
        ways["aws s3 sync"] = lambda clips: (
            lambda: bench.run(
                "aws",
                "s3",
                "sync",
                "--only-show-errors",
                str(clips[0][1].parent),
                f"s3://{BUCKET}/synced/{bench.rounds}",
            )
        )
    times: dict[str, list[float]] = {way: [] for way in ways}
    each = max(1, count // ROUNDS)
    for _ in range(ROUNDS):
        for way, prepare in ways.items():
            times[way].append(timed(prepare(bench.clips(each))))
    table = Table(title=f"{name}: {each * ROUNDS:,} clips of {SIZE / 1e3:g} kB, {threads} threads")
    for heading in ("way", "clips/s", "MB/s", "of bare PUT", "of the same requests"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    put, same = median(times["bare boto3: PUT"]), median(times["bare boto3: PUT and HEAD"])
    for way, found in times.items():
        taken = median(found)
        table.add_row(
            way,
            f"{each / taken:,.0f}",
            f"{each * SIZE / taken / 1e6:,.1f}",
            f"{put / taken:.2f}",
            f"{same / taken:.2f}",
        )
    return table


def models(folder: Path, name: str, server: S3Server, gigabytes: float, threads: int) -> Table:
    """A model of a few large files, pulled: the limit is ranged GETs over as many connections, written and not looked at."""
    source = folder / "checkpoint"
    source.mkdir()
    block = secrets.token_bytes(8 << 20)
    size = int(gigabytes * 1e9)
    for number, share in enumerate((0.55, 0.3, 0.1, 0.05)):
        with (source / f"part{number}.safetensors").open("wb") as file:
            for piece in range(round(size * share / len(block)) or 1):
                file.write(piece.to_bytes(8, "big") + block[8:])
    size = sum(path.stat().st_size for path in source.iterdir())
    settings = {
        "store_endpoint": server.url,
        "store_access_key": server.access_key,
        "store_secret_key": server.secret_key,
    }
    with voxledger.open(folder / "pushing", models_threads=threads, **settings) as vox:
        pushed = timed(lambda: vox.models.push(source, "bench@1"))
    bench = Bench(folder / "bare", server, threads)
    keys = {info.key: info.bytes for info in bench.store.list("indextts-models", "blobs/")}

    def bare(target: Path) -> None:
        ranges = [(key, start) for key, length in keys.items() for start in range(0, length, RANGE)]
        target.mkdir()
        files = {key: (target / key.rpartition("/")[2]).open("wb") for key in keys}

        def get(piece: tuple[str, int]) -> None:
            key, start = piece
            answer = bench.client.get_object(
                Bucket="indextts-models", Key=key, Range=f"bytes={start}-{start + RANGE - 1}"
            )
            place = start
            for chunk in answer["Body"].iter_chunks(1 << 20):
                os.pwrite(files[key].fileno(), chunk, place)
                place += len(chunk)

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(get, ranges))
        for file in files.values():
            os.fsync(file.fileno())
            file.close()

    def checked(target: Path) -> None:
        bare(target)
        for path in target.iterdir():
            with path.open("rb") as file:
                assert hashlib.file_digest(file, "sha256").hexdigest() == path.name

    def pull(target: Path) -> None:
        with voxledger.open(target, models_threads=threads, **settings) as vox:
            vox.models.pull("bench@1")

    ways: dict[str, Callable[[Path], object]] = {
        "bare boto3: ranged GETs": bare,
        "the same, then the SHA-256 of each file": checked,
        "voxledger models pull, every byte checked": pull,
        "rclone copy": lambda target: bench.run(
            find_rclone(), "copy", "bench:indextts-models/blobs", str(target), "--transfers", str(threads)
        ),
    }
    if shutil.which("aws"):
        ways["aws s3 cp --recursive"] = lambda target: bench.run(
            "aws", "s3", "cp", "--recursive", "--only-show-errors", "s3://indextts-models/blobs", str(target)
        )
    times: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way, step in ways.items():
            target = folder / f"pulled{number}"
            times[way].append(timed(lambda: step(target)))  # noqa: B023  # called at once
            shutil.rmtree(target)
    table = Table(title=f"{name}: a model of {size / 1e9:.2f} GB, {threads} connections; pushed in {pushed:.1f} s")
    for heading in ("way", "s", "MB/s", "of bare GETs", "of the same, checked"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    limit, same = median(times["bare boto3: ranged GETs"]), median(times["the same, then the SHA-256 of each file"])
    for way, found in times.items():
        taken = median(found)
        table.add_row(way, f"{taken:.2f}", f"{size / taken / 1e6:,.0f}", f"{limit / taken:.2f}", f"{same / taken:.2f}")
    return table


def fetch(folder: Path, calls: int) -> Table:
    """Asking for a clip that is in the cache, beside a look at the file itself."""
    with voxledger.open(folder / "home", store_endpoint="http://127.0.0.1:9", store_close_wait=0) as vox:
        clips = [vox.speak(f"The tide turns {number} times.", language="en") for number in range(50)]
        clip = [vox.catalog.clip(made.id) for made in clips]
    with voxledger.open(folder / "home", store_endpoint="http://127.0.0.1:9", store_close_wait=0) as vox:
        vox.catalog.fetch(clip[0].id)
        first = median(timed(lambda: vox.catalog.fetch(one.id)) for one in clip[1:])  # noqa: B023  # called at once
        clip = [vox.catalog.clip(made.id) for made in clips]
        ways: dict[str, Callable[[int], object]] = {
            "stat and open of the file": lambda number: clip[number].path.open("rb").close(),  # type: ignore[union-attr]
            "catalog.fetch(clip)": lambda number: vox.catalog.fetch(clip[number]),
            "catalog.fetch(id), of a clip that was shown or asked for": lambda number: vox.catalog.fetch(
                clip[number].id
            ),
        }
        table = Table(title=f"a clip from the cache, medians of {calls:,}; each is recorded as use. Bar: 2 ms")
        for heading in ("way", "ms"):
            table.add_column(heading, justify="left" if heading == "way" else "right")
        table.add_row("catalog.fetch(id), out of the blue", f"{first * 1e3:.3f}")
        for way, step in ways.items():
            found = [timed(lambda: step(number % len(clip))) for number in range(calls)]  # noqa: B023  # called at once
            table.add_row(way, f"{median(found) * 1e3:.3f}")
    return table


def main() -> None:
    """The parts asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar=f"{{{','.join(PARTS)}}}")
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=16)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    asked = parser.parse_args()
    parts = asked.parts or [*PARTS]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if "fetch" in parts:
            console.print(fetch(folder / "fetch", 2000))
        if {"uploads", "models"} & set(parts):
            with servers(folder) as found:
                for label, server in found.items():
                    place = folder / label.split()[0]
                    if "uploads" in parts:
                        console.print(uploads(place / "uploads", label, server, asked.clips, asked.threads))
                    if "models" in parts:
                        (place / "models").mkdir(parents=True)
                        console.print(models(place / "models", label, server, asked.gigabytes, asked.threads))
                        shutil.rmtree(place / "models")


if __name__ == "__main__":
    main()
