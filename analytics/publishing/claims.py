"""Claims: of two HOMEs that are copies of one node, one sends a report. Who may is decided in the store, by a conditional PUT."""

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
    """The claims of one HOME, in the bucket of reports, where the store keeps them apart."""

    def __init__(self, home: Home, store: Callable[[], Store], bucket: str) -> None:
        self._home = home
        self._store = store
        self._bucket = bucket

    @property
    def honoured(self) -> bool:
        """Whether the store is known to let exactly one of several writers win. Contacts nobody."""
        store = self._store()
        return (
            bool(self._bucket) and not store.is_embedded and store_features(self._home, store.settings).never_overwrites
        )

    @property
    def missing(self) -> str:
        """Why there are none, in words; empty where there are."""
        store = self._store()
        if self.honoured:
            return ""
        if not self._bucket:
            return "report.bucket is empty"
        if store.is_embedded:
            return "the embedded store belongs to this HOME alone"
        if store_features(self._home, store.settings).probed is None:
            return "nobody has tried what the store can do; `voxledger doctor` does"
        return "the store does not keep two writers apart (no conditional PUT)"

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
            store.put(self._bucket, key, mine, content_type="text/plain", if_absent=True)
        except StoreError as error:
            if error.code not in TAKEN:
                raise
            return store.get(self._bucket, key) == mine
        return True

    def _mine(self) -> bytes:
        """What tells this HOME from its copies: where it lies, and on what. Restored from a backup it is another one, too."""
        about = [str(self._home.path)]
        with contextlib.suppress(OSError):
            about.append(str(self._home.journal.stat().st_ino))
        return hashlib.sha256("\0".join(about).encode()).hexdigest().encode()
