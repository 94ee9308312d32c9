"""The index: a subscription of its own, with its place in its own file, and the searches in it."""

from __future__ import annotations

import logging
import math
import random
import sqlite3
import threading
import time
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, DiskFull
from voxledger.catalog.log import PATIENCE, Keeper
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.search import database, feed, pages
from voxledger.catalog.search.database import Place, Unusable
from voxledger.catalog.search.filling import Filler
from voxledger.catalog.search.pages import Found

NAME = "search"
"""The subscription's name."""
WAIT = 5.0
"""Seconds a search waits for another process that fills the index, before it searches what is there."""
_WIPE_BRIEFLY = 1.0
_START = Place(0, "", "", erasing=False)
_SQL = load("feed.sql", "voxledger.catalog.search")
_log = logging.getLogger(__name__)


class SearchIndex:
    """Finds clips by words in their texts, names and tags.

    The index is filled from the log and can always be filled again: one that is missing, damaged, of another version or
    of another log is replaced. Any number of processes may search; one at a time fills. Safe from many threads.
    """

    def __init__(self, keeper: Keeper, *, path: Path | None = None) -> None:
        """`path` is HOME/search.sqlite unless it is said otherwise."""
        self.path = path or keeper.home.search
        self._keeper = keeper
        self._journal = keeper.journal
        self._vault = keeper.recorder.vault

    def search(
        self,
        query: str,
        *,
        emotion: str | None = None,
        voice: str | None = None,
        language: str | None = None,
        since: datetime | None = None,
        limit: int = 20,
        after: str | None = None,
        newest: bool = False,
        actor: str | None = None,
        fresh: bool = True,
        patience: float = WAIT,
        progress: Counting | None = None,
    ) -> Found:
        """A page of the clips in which all words of `query` stand, in text, name or tags.

        `"several words"` follow one another, `begin*` finds what begins so. `voice` is a name or a whole SHA-256; language
        `en` includes `en-GB`; `since` is aware; `actor` is the opaque id of the one whose clips are looked at.

        Up to 50,000 matches come best first, more (or `newest`) newest first.
        `after` is `next` of the page before. What was written before is found; `fresh=False` skips the look at the log.
        When another process fills the index or holds the log for longer than `patience` (s), what is there is searched,
        and `Found.waiting` says how many events are missing. Raises SearchError, DiskFull.
        """
        asked = pages.request(
            query, emotion=emotion, voice=voice, language=language, actor=actor, since=since, limit=limit, after=after,
            newest=newest,
        )  # fmt: skip
        head = self._journal.head()
        if fresh:
            self._catch_up(patience, progress)
        try:
            found = self._find(asked)
        except Unusable as error:
            if not self._replace(str(error)):
                raise
            if fresh:
                self._catch_up(patience, progress)
            found = self._find(asked)
        return msgspec.structs.replace(found, waiting=max(0, head - self.place().position))

    def advance(
        self,
        *,
        patience: float = PATIENCE,
        progress: Counting | None = None,
        stop: threading.Event | None = None,
        wipe: float = math.inf,
    ) -> int:
        """Bring the index to the journal's head as it is now; gives the position reached.

        Done in pieces, each of them whole: killed, or stopped with `stop`, it goes on next time where it was. Waits up to
        `patience` seconds while another process fills. At most `wipe` seconds go into wiping out erased words; the rest is
        left for the next time. Raises CatalogBusy, DiskFull, SearchError, LogCorrupt.
        """
        head = self._journal.head()
        deadline = time.monotonic() + patience
        while not self._is_done(head):
            with self._alone() as held:
                if held:
                    return self._advance_alone(patience, progress, stop or threading.Event(), wipe)
            if time.monotonic() > deadline:
                break
            time.sleep(random.uniform(0.01, 0.05))  # noqa: S311  # jitter, not a secret
        return self.place().position

    def _advance_alone(self, patience: float, progress: Counting | None, stop: threading.Event, wipe: float) -> int:
        try:
            with database.writing(self.path) as connection:
                return self._fill(connection, patience, progress, stop, wipe)
        except Unusable as error:
            database.discard(self.path, str(error))
        with database.writing(self.path) as connection:
            return self._fill(connection, patience, progress, stop, wipe)

    def rewrite(self, *, patience: float = PATIENCE, progress: Counting | None = None) -> int:
        """Throw the index away and fill a new file, so that no page of the old one is left; gives the position reached.

        Killed in between, the next search fills it. Raises CatalogBusy when another process fills it for longer than `patience` (s).
        """
        deadline = time.monotonic() + patience
        while True:
            with self._alone() as held:
                if held:
                    database.discard(self.path, "its words are to go", quietly=True)
                    return self._advance_alone(patience, progress, threading.Event(), math.inf)
            if time.monotonic() > deadline:
                raise CatalogBusy(
                    f"another process has been filling {self.path} for {patience:g} s; wait for its end and run it again"
                )
            time.sleep(0.05)

    def place(self) -> Place:
        """Where the index stands; at the start when there is none that can be used."""
        try:
            with database.reading(self.path) as connection:
                return database.place(connection)
        except Unusable:
            return _START

    def waiting(self) -> int:
        """How many events lie between the index and the journal's head. Opens no DuckDB: a millisecond."""
        return max(0, self._journal.head() - self.place().position)

    def clips(self, found: Found) -> dict[str, dict[str, Any]]:
        """The clips of a page as they are now, by id: state, name, emotion and whatever else a list shows."""
        if not found.hits:
            return {}
        with self._keeper.reading(fresh=False) as reading:
            rows = reading.rows(_SQL["page"], {"clips": [hit.clip for hit in found.hits]})
        return {row["id"]: row for row in rows}

    def _is_done(self, head: int) -> bool:
        place = self.place()
        known = place.epoch == self._epoch() or not head
        return known and place.position == head and not place.erasing

    def _epoch(self) -> str:
        return self._journal.epochs()[-1].epoch

    def _catch_up(self, patience: float, progress: Counting | None) -> None:
        """Advance as far as can be done now; what is there already can be searched all the same."""
        try:
            self.advance(patience=patience, progress=progress, wipe=_WIPE_BRIEFLY)
        except (CatalogBusy, DiskFull) as error:
            if not self.place().position:
                raise
            _log.warning("%s. What was indexed before is searched", str(error).rstrip("."))

    def _fill(
        self,
        connection: sqlite3.Connection,
        patience: float,
        progress: Counting | None,
        stop: threading.Event,
        wipe: float,
    ) -> int:
        filler = Filler(connection)
        place, epoch = database.place(connection), self._epoch()
        # The log may hold more than a journal that was restored.
        head = self._keeper.drain(patience=patience)
        if place.position > head:
            raise Unusable(f"{self.path} is ahead of the log, which was restored or replaced")
        rebuilt = False
        while (place.position < head or place.epoch != epoch) and head and not stop.is_set():
            piece = feed.read(self._keeper, place.position, place.event, head, patience=patience)
            if piece is None:
                raise Unusable(f"{self.path} belongs to another log")
            if piece.stale and not rebuilt:
                self._keeper.rebuild(patience=patience, progress=progress)
                rebuilt = True
                continue
            filler.apply(piece, epoch)
            place = database.place(connection)
            if progress:
                progress(place.position, head)
        until = time.monotonic() + wipe
        while not stop.is_set() and time.monotonic() < until and filler.wipe():
            pass
        return place.position

    def _find(self, asked: pages.Request) -> Found:
        """A page without clips whose actor's key is gone; as soon as that is seen, their words leave the index."""
        found, gone = self._look(asked)
        if gone:
            with self._alone() as held:
                if held:
                    with database.writing(self.path) as connection:
                        Filler(connection).forget(gone, database.place(connection).position)
            found, gone = self._look(asked)
        return msgspec.structs.replace(found, hits=tuple(hit for hit in found.hits if hit.actor not in gone))

    def _look(self, asked: pages.Request) -> tuple[Found, set[str]]:
        """A page, and all actors without a key if one of them is on it."""
        with database.reading(self.path) as connection:
            found = pages.find(connection, asked)
            if all(self._vault.key(hit.actor) for hit in found.hits):
                return found, set()
            return found, {actor for actor in database.actors(connection) if self._vault.key(actor) is None}

    def _replace(self, why: str) -> bool:
        """Throw a file away that cannot be used; False when another process is at work on it."""
        with self._alone() as held:
            if held:
                database.discard(self.path, why)
                with database.writing(self.path):
                    pass
        return held

    def _alone(self) -> AbstractContextManager[bool]:
        """The right to change the file; yields False at once when another process or thread has it."""
        return platform.locked(self._keeper.home.path / f"subscription-{NAME}.lock", blocking=False)
