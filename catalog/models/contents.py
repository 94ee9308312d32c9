"""Contents: files by their SHA-256, from the store onto this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, ModelError, StoreError
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.models.bucket import Bucket, blob_key
from voxledger.catalog.models.local import Local
from voxledger.catalog.models.manifest import Manifest, ModelFile
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.progress import Meter
from voxledger.catalog.objects.client import MISSING
from voxledger.catalog.objects.lines import Lines
from voxledger.catalog.objects.part_file import PartFile
from voxledger.catalog.objects.range_reader import Stopped
from voxledger.catalog.objects.ranged import fetch_object
from voxledger.catalog.parallel import Crew, in_parallel
from voxledger.catalog.progress import Progress, unheard

LARGE = 64 << 20
"""Files from here on travel two at a time, over all connections; smaller ones side by side, over one each."""
_LANES = 2
"""Large files at a time: while the end of one is hashed and forced onto the disk, the other uses the network."""


def present(local: Local, manifest: Manifest, progress: Progress) -> tuple[list[ModelFile], list[ModelFile]]:
    """The contents of a version that are here, every byte read, and those that are not. Called within `locked()`."""
    wanted, linked = list(manifest.contents.values()), local.linked(manifest.contents)
    near = [file for file in wanted if local.blob(file.sha256).exists()]
    meter = Meter("checking", sum(file.bytes for file in near), progress) if near else None
    read = meter.add if meter else unheard
    found = list(in_parallel(lambda file: local.has(file, linked, read), wanted, threads=4, name="hash"))
    return [file for file, is_here in found if is_here], [file for file, is_here in found if not is_here]


def fetch(
    bucket: Bucket,
    local: Local,
    reference: Reference,
    files: list[ModelFile],
    *,
    room: int,
    threads: int,
    progress: Progress,
) -> int:
    """Bring contents here, each verified before it appears. Called again after any end, it goes on where it stopped; gives
    the bytes that travelled this time.

    Raises DiskFull before anything is fetched when `room` bytes would not be left; ModelError when the store lacks one.
    """
    _require_room(local, reference, files, room)
    meter, came = Meter("pulling", sum(file.bytes for file in files), progress), 0
    large = sorted((file for file in files if file.bytes >= LARGE), key=lambda file: -file.bytes)
    for size in _side_by_side(
        lambda file, lines: _fetch(bucket, local, reference, file, threads, meter, lines), large, threads
    ):
        came += size
        failpoint("models.after_pulled_file")
    small = [file for file in files if file.bytes < LARGE]
    for _, size in in_parallel(
        lambda file: _fetch(bucket, local, reference, file, 1, meter), small, threads=threads, name="pull"
    ):
        came += size
        failpoint("models.after_pulled_file")
    return came


def _side_by_side(bring: Callable[[ModelFile, Lines], int], files: list[ModelFile], connections: int) -> Iterator[int]:
    """What `bring` gives for each file. The first error, and Ctrl-C, end all of them within moments."""
    lines = Lines(connections)

    def one(file: ModelFile) -> int:
        try:
            return bring(file, lines)
        except BaseException as error:
            lines.end(error)
            raise

    with Crew(_LANES, name="pull") as crew:
        try:
            for coming in [crew.submit(one, file) for file in files]:
                yield coming.result()
        except Stopped:
            assert lines.error is not None
            raise lines.error from None
        except BaseException as error:
            lines.end(error)
            raise


class _Arrivals:
    """Counts what travels. The first that `fetch_object` says is what an earlier fetch had left."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._left: int | None = None
        self._lock = threading.Lock()
        self.came = 0

    def __call__(self, size: int) -> None:
        with self._lock:
            if self._left is None:
                self._left = size
            else:
                self.came += max(0, size)  # what must come again has travelled nevertheless
        self._meter.add(size)


def _fetch(
    bucket: Bucket,
    local: Local,
    reference: Reference,
    file: ModelFile,
    threads: int,
    meter: Meter,
    lines: Lines | None = None,
) -> int:
    path, arrivals = local.prepare(file.sha256), _Arrivals(meter)
    if not file.bytes:
        path.touch()
        return 0
    try:
        fetch_object(
            bucket.store, bucket.name, blob_key(file.sha256), path, bytes=file.bytes, sha256=file.sha256, threads=threads,
            progress=arrivals, called=f"{file.path} of {reference}", lines=lines,
        )  # fmt: skip
    except StoreError as error:
        if error.code in MISSING:
            raise lacking(reference, [file.path]) from error
        if error.code in ("Damaged", "Changed"):
            raise ModelError(
                f"{file.path} of {reference} is damaged in the store ({error}). `voxledger models restore {reference} --deep`"
                " mends it on a machine that has it, or where the bucket keeps versions",
                files=[file.path],
            ) from error
        raise
    return arrivals.came


def lacking(reference: Reference, paths: Iterable[str]) -> ModelError:
    """The error for contents that the store does not have."""
    named = list(paths)
    shown = ", ".join(named[:5]) + (f" and {len(named) - 5:,} more" if len(named) > 5 else "")
    return ModelError(
        f"the store lacks {shown} of {reference}. `voxledger models restore {reference}` puts it back, on a machine that has"
        " it or where the bucket keeps versions",
        files=named,
    )


def _require_room(local: Local, reference: Reference, files: list[ModelFile], room: int) -> None:
    needed = sum(
        file.bytes - PartFile(local.blob(file.sha256), size=file.bytes, sha256=file.sha256).on_disk() for file in files
    )
    free = platform.free_disk(local.folder)
    if needed and free - needed < room:
        raise DiskFull(
            f"{reference} needs {needed / 1e9:,.2f} GB more, and {free / 1e9:,.2f} GB are free under {local.folder}, of which"
            f" general.min_free_disk = {room / 1e9:,.2f} GB stay free; free some space (`voxledger models remove`, or"
            " `voxledger models gc --here`), or lower the setting. Nothing was pulled"
        )
