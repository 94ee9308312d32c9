"""What retention asks of a store. The catalog's own store fits; so does anything that answers like it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from voxledger.catalog.objects.deleting import Answer


class Deletable(Protocol):
    """A store in which objects can be looked at, from several threads at once, and deleted, many at a time."""

    def head(self, bucket: str, key: str) -> object | None:
        """What is known of an object; None when it, or its bucket, is not there.

        Raises StoreUnavailable when nobody answers, StoreError when the store refuses.
        """

    def purge(self, bucket: str, keys: Iterable[str], *, perhaps: Iterable[str] = ()) -> Mapping[str, Answer]:
        """Delete objects with all their versions, see that they are gone, and give the answer about each key.

        One that is not there is no error, so repeating is safe. Where there is no such bucket the answers say so (`nowhere`): that
        is fine for what was never stored. Under the keys `perhaps` hardly anything lies. Raises nothing: what was refused, and that
        nobody answers, stands in the answers.
        """
