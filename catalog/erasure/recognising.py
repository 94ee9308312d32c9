"""Recognising: whether a store is the one into which things were put. Another one with a bucket of the same name, or without the
bucket, reads as if all of it were gone.

No store tells who it is. But of what came there at the same time, something is there, or nothing is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.store import Store
from voxledger.catalog.parallel import in_parallel

_LOOKS = 64
"""Most clips of a subject that are looked at, spread over the time in which they came."""
_ABSENT = 8
"""Most of those that are not there for which others are looked at."""
_THREADS = 8
TRUST = "if it was emptied, replaced or deleted on purpose: `voxledger erase --resume --trust-store`"
"""How an operator says that what is not in the store is gone."""


def doubt(store: Store, keeper: Keeper, subject: Subject) -> str | None:
    """Why nobody can tell that clips are gone which the store does not have; None where it is the one that had them.

    It is, where each clip that was stored is there, or where others are that came there at nearly the same time. A bucket that is
    not there at all is the deletion's affair. A store that is away, or does not let us look, is not doubted.
    """
    with keeper.reading() as reading:
        believed = reading.rows(subject.query("believed"), {"target": subject.target, "most": _LOOKS})
    try:
        there = {bucket: has_bucket(store, bucket) for bucket in {row["bucket"] for row in believed}}
        absent = _absent(store, [row for row in believed if there[row["bucket"]]])
        for row in absent[:: max(1, len(absent) // _ABSENT)]:
            asked = {name: row[name] for name in ("bucket", "key", "stored")}
            with keeper.reading(fresh=False) as reading:
                others = reading.rows(subject.query("neighbours"), {"target": subject.target, **asked})
            if len(_absent(store, others)) == len(others):
                return (
                    f"clips that were stored in {row['bucket']} are not {place(store)}, nor is anything else that came there then. Did the"
                    f" endpoint change? Set it right and run this again, or {TRUST}"
                )
    except StoreError:
        return None  # what is deleted next tells of it
    return None


def _absent(store: Store, rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    looked = in_parallel(
        lambda row: store.head(row["bucket"], row["key"]) is None, rows, threads=_THREADS, name="recognise"
    )
    return [row for row, gone in looked if gone]


def has_bucket(store: Store, bucket: str) -> bool:
    """Whether the bucket is there. An access key that may not ask is trusted to know it. Raises StoreUnavailable."""
    try:
        store.request(f"HEAD {bucket}", lambda s3: s3.head_bucket(Bucket=bucket))
    except StoreUnavailable:
        raise
    except StoreError as error:
        return error.code not in seam.MISSING
    return True


def place(store: Store) -> str:
    """Where the store is, in words."""
    return "in the embedded store" if store.is_embedded else f"at {store.endpoint}"
