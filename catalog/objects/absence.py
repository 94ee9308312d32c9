"""Absence: what a store still has of objects that were to go. Seen, not concluded.

Where the store is known to list in order, which stores with versions do, a page of a listing answers for all keys that lie
within it: worth it while these are many. Else the store is asked for each key. The embedded store is looked into where its files
lie. Versions can only be listed; what lies between the keys is jumped over.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects.features import store_features
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.parallel import in_batches, in_parallel

if TYPE_CHECKING:
    from voxledger.catalog.objects.store import Store

_FEW, _MANY = 20, 1000
"""Entries of a page while what is asked for lies far apart, and most that S3 gives."""
_DENSE = 0.25
"""From this share of a page on it is worth asking for a larger one."""
_WORTH = 40
"""Keys for which one page is quicker than a request for each of them."""


class Version(NamedTuple):
    """A version of an object, or a delete marker, which has no bytes."""

    key: str
    id: str
    bytes: int
    is_latest: bool
    is_marker: bool


class _Page(NamedTuple):
    """Entries in order, and where the next page begins; None at the end of the bucket."""

    entries: list[Version]
    following: dict[str, str] | None


def left_of(store: Store, bucket: str, keys: Iterable[str], *, threads: int) -> set[str]:
    """Which of these objects a store without versions still has. Raises StoreError."""
    wanted = sorted(set(keys))
    if store.embedded is not None:
        return {key for key in wanted if store.embedded.holds(bucket, key)}
    left: set[str] = set()
    if store_features(store.home, store.settings).versioning:
        left, wanted = _listed(store, bucket, wanted)

    def look(key: str) -> bool:
        return patiently(lambda: store.head(bucket, key)) is not None

    return left | {key for key, there in in_parallel(look, wanted, threads=threads, name="absence") if there}


def _listed(store: Store, bucket: str, wanted: list[str]) -> tuple[set[str], list[str]]:
    """Those that listings show, and those that lie too far apart for listings."""
    left, size = set[str](), _FEW
    while len(wanted) >= _WORTH:
        # What a key begins with stands before it, and hardly anything lies between.
        page = _objects(store, bucket, _shared(wanted[0], wanted[-1]), wanted[0][:-1], size)
        left |= {entry.key for entry in page.entries}.intersection(wanted)
        if page.following is None:
            return left, []
        settled = bisect_right(wanted, page.entries[-1].key)
        wanted = wanted[settled:]
        if settled < _WORTH and size == _MANY:
            break
        size = _FEW if settled >= _WORTH else _MANY
    return left, wanted


def versions_of(store: Store, bucket: str, keys: Iterable[str], *, threads: int) -> dict[str, list[Version]]:
    """All versions and delete markers of these keys, the newest first; a key without any is left out. Raises StoreError."""
    wanted = sorted(set(keys))
    stretches = list(in_batches(wanted, max(1, -(-len(wanted) // threads))))
    found = defaultdict[str, list[Version]](list)
    for _, versions in in_parallel(
        lambda stretch: list(_walk(store, bucket, stretch)), stretches, threads=threads, name="absence"
    ):
        for version in versions:
            found[version.key].append(version)
    return dict(found)


def _walk(store: Store, bucket: str, wanted: Sequence[str]) -> Iterator[Version]:
    """The versions of these keys, which are in order."""
    prefix, size, place = _shared(wanted[0], wanted[-1]), _FEW, 0
    following: dict[str, str] | None = None
    asked = set(wanted)
    while place < len(wanted):
        page = _versions(store, bucket, prefix, following or {"KeyMarker": wanted[place][:-1]}, size)
        hits = [entry for entry in page.entries if entry.key in asked]
        yield from hits
        if page.following is None:
            return
        last = page.entries[-1].key
        # Of the last key there may be more on the next page.
        place = bisect_left(wanted, last)
        size = min(_MANY, size * 4) if len(hits) >= _DENSE * len(page.entries) else _FEW
        following = page.following if place < len(wanted) and wanted[place][:-1] <= last else None


def _shared(one: str, other: str) -> str:
    """What both begin with."""
    end = next(
        (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    return one[:end]


def _objects(store: Store, bucket: str, prefix: str, after: str, size: int) -> _Page:
    page = _asked(
        store, bucket, lambda s3: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=size, StartAfter=after)
    )
    entries = [Version(found["Key"], "", found["Size"], True, False) for found in page.get("Contents", [])]
    more = page["IsTruncated"] and entries
    return _Page(entries, {"StartAfter": entries[-1].key} if more else None)


def _versions(store: Store, bucket: str, prefix: str, after: dict[str, str], size: int) -> _Page:
    page = _asked(
        store, bucket, lambda s3: s3.list_object_versions(Bucket=bucket, Prefix=prefix, MaxKeys=size, **after)
    )
    entries = [
        Version(found["Key"], found["VersionId"], found.get("Size", 0), found["IsLatest"], is_marker)
        for name, is_marker in (("Versions", False), ("DeleteMarkers", True))
        for found in page.get(name, [])
    ]
    entries.sort(key=lambda entry: (entry.key, not entry.is_latest))
    if not (page["IsTruncated"] and entries):
        return _Page(entries, None)
    markers = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page.get("NextVersionIdMarker", "")}
    return _Page(entries, {name: value for name, value in markers.items() if value})


def _asked(store: Store, bucket: str, step: Callable[[Any], Any]) -> dict[str, Any]:
    """A page; an empty one where there is no bucket."""

    def ask() -> dict[str, Any]:
        try:
            page: dict[str, Any] = store.request(f"LIST {bucket}", step)
        except StoreError as error:
            if error.code == "NoSuchBucket":
                return {"IsTruncated": False}
            raise
        if "IsTruncated" not in page:
            # An answer whose end was lost reads like that of an empty bucket.
            raise StoreUnavailable(f"LIST {bucket}: half an answer came; try again", code="IncompleteRead")
        return page

    return patiently(ask)
