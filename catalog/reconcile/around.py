"""What everything in this package works with: one HOME's log, keys and store, and a folder for what is only passing."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy
from voxledger.catalog.home import Home
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store


class Opened(Protocol):
    """What an open ledger has of it."""

    home: Home
    settings: Settings
    recorder: Recorder
    actor: str

    @property
    def keeper(self) -> Keeper:
        """The log."""

    @property
    def store(self) -> Store:
        """The S3 store."""


@dataclass(frozen=True, kw_only=True)
class Around:
    """One HOME as this package sees it. `actor` is who asks, in whose name audio is adopted."""

    home: Home
    settings: Settings
    recorder: Recorder
    keeper: Keeper
    store: Store
    actor: str

    @classmethod
    def of(cls, opened: Opened) -> Around:
        """That of an open ledger."""
        return cls(
            home=opened.home,
            settings=opened.settings,
            recorder=opened.recorder,
            keeper=opened.keeper,
            store=opened.store,
            actor=opened.actor,
        )

    @property
    def threads(self) -> int:
        """Requests to the store at a time."""
        return max(8, self.settings.store.upload_threads)


@contextlib.contextmanager
def workplace(home: Home) -> Iterator[Path]:
    """An empty folder in HOME that goes with the block, for one process at a time. Raises CatalogBusy for the second one.

    What an earlier process that was killed left in it is cleared away.
    """
    with platform.locked(home.path / ".reconcile.lock", blocking=False) as ours:
        if not ours:
            raise CatalogBusy(
                f"another process is reconciling, adopting or importing in {home.path}; wait for it to end"
            )
        folder = home.path / "reconcile"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
