"""What retention asks of a store. The catalog's own store fits; so does anything that answers like it."""

from __future__ import annotations

from typing import Protocol


class Deletable(Protocol):
    """A store in which single objects can be looked at and deleted, from several threads at once."""

    def head(self, bucket: str, key: str) -> object | None:
        """What is known of an object; None when it, or its bucket, is not there.

        Raises StoreUnavailable when nobody answers, StoreError when the store refuses.
        """

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object. One that is not there is no error, so repeating is safe.

        Raises as `head` does; a bucket that is not there is a StoreError with the code `NoSuchBucket`.
        """
