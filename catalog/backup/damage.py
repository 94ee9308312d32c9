"""Damage: what was found damaged in the bucket is noted there, so that the next backup looks at it again.

A listing does not show everything that can happen to an object. Whoever makes a backup reads what is noted, on any machine,
and sends it again where it is damaged and the content is still there. Nothing is deleted for a note.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from voxledger.catalog.backup.bucket import Bucket
from voxledger.catalog.errors import StoreError

PREFIX = "damaged/"
_log = logging.getLogger(__name__)


def noted(bucket: Bucket) -> frozenset[str]:
    """The keys of everything that was found damaged, and that no backup has looked at since."""
    return frozenset(info.key.removeprefix(PREFIX) for info in bucket.store.list(bucket.name, PREFIX))


def note(bucket: Bucket, keys: Iterable[str]) -> bool:
    """Note what is damaged; says whether the store took it. An access key that may only read cannot."""
    try:
        for key in sorted(keys):
            bucket.store.put(bucket.name, PREFIX + key, b"")
    except StoreError as error:
        _log.warning("what is damaged cannot be noted, so that the next backup will not look at it: %s", error)
        return False
    return True


def forget(bucket: Bucket, keys: Iterable[str]) -> None:
    """Take notes back."""
    bucket.store.delete_many(bucket.name, [PREFIX + key for key in sorted(keys)])
