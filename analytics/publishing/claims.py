"""Claims: of two HOMEs that are copies of one node, one sends a report. Who may is decided in the store, by a conditional PUT; where
the store knows none, by who came first, which leaves a second in which both may think so.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import TAKEN
from voxledger.catalog.objects.features import store_features


class Claims:
    """The claims of one HOME, in the bucket of reports."""

    def __init__(self, home: Home, store: Callable[[], Store], bucket: str) -> None:
        self._home = home
        self._store = store
        self._bucket = bucket

    @property
    def possible(self) -> bool:
        """Whether there is a place for them that copies of this HOME share."""
        return bool(self._bucket) and not self._store().is_embedded

    @property
    def honoured(self) -> bool:
        """Whether the store is known to let exactly one of several writers win. Contacts nobody."""
        return self.possible and store_features(self._home, self._store().settings).never_overwrites

    @property
    def missing(self) -> str:
        """What they cannot keep apart, in words; empty where they keep everybody apart."""
        if self.honoured:
            return ""
        if not self._bucket:
            return "two copies of this HOME would both send mail and messages: report.bucket is empty"
        if not self.possible:
            return "two copies of this HOME would both send mail and messages: the embedded store belongs to this one alone"
        if store_features(self._home, self._store().settings).probed is None:
            return "nobody has tried whether the store keeps copies of this HOME apart; `voxledger doctor` does"
        return (
            "two copies of this HOME that wake in the same second would both send: the store knows no conditional PUT"
        )

    def learn(self) -> None:
        """Find out what the store can do, where nobody has tried. Raises StoreError."""
        from voxledger.catalog.objects.probing import learn

        if self._bucket and not self._store().is_embedded:
            learn(self._home, self._store())

    def take(self, key: str) -> bool:
        """Whether this HOME may go on with what `key` names; taking what is ours already is no matter. Raises StoreError."""
        store, mine = self._store(), self._mine()
        key = f"{key}.claim"
        try:
            if store.exists(self._bucket, key):
                return store.get(self._bucket, key) == mine
            store.put(self._bucket, key, mine, content_type="text/plain", if_absent=True)
        except StoreError as error:
            if error.code not in TAKEN:
                raise
        # Where the store writes over what was there, the last one of those who came at once has it.
        return store.get(self._bucket, key) == mine

    def _mine(self) -> bytes:
        """What tells this HOME from its copies: where it lies, and on what. Restored from a backup it is another one, too."""
        about = [str(self._home.path)]
        with contextlib.suppress(OSError):
            about.append(str(self._home.journal.stat().st_ino))
        return hashlib.sha256("\0".join(about).encode()).hexdigest().encode()
