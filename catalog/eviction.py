"""Eviction: local copies of clips go, the least recently used first, and only those that the store holds for certain."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.cache_files import CachedFile, survey
from voxledger.catalog.cache_owners import owners
from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import CacheEvicted, Draft, ObjectMissing
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.objects.client import REFUSED
from voxledger.catalog.objects.holding import Held, held
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.applying.watch import Watch

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.objects import Store
    from voxledger.catalog.objects.object_info import ObjectInfo

Reason: TypeAlias = Literal["waiting", "missing", "unproved", "purging", "unknown", "altered", "used", "open"]
"""Why a copy stays: not stored yet, lost by the store, not shown to be the same there, being purged, no clip's, not of the size
on record, used just now, open."""
_BATCH = 200
"""Copies that the store is asked about at a time."""
_HELD = 0.05
"""Seconds that the journal is held for removing files: whoever records a clip waits so long at most."""
_LOOKED_UP = 2000
"""Files that the catalog is asked about at a time."""
_ROUNDS = 20
"""Walks through the cache in one run, at most."""
_OPEN_TASKS = "SELECT DISTINCT subject FROM tasks WHERE kind = ? AND subject IN (SELECT value FROM json_each(?))"
_SQL = load("cache.sql")
_log = logging.getLogger(__name__)


class Trimmed(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: `clips` and `bytes` went, `left` bytes are there. `kept`: copies that stayed although it was their turn."""

    clips: int = 0
    bytes: int = 0
    left: int = 0
    files: int = 0
    kept: dict[str, int] = {}
    trouble: str | None = None
    """Why it ended early: the store does not answer."""


class _Copy(NamedTuple):
    """A local copy that may go; `used` is the last use that anybody knows of."""

    used: float
    file: CachedFile
    clip: dict[str, Any]


class Evictor:
    """One run. Raises JournalError, CatalogBusy, OSError; ends early, and says so, when the store does not answer."""

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        keeper: Keeper,
        store: Store,
        *,
        keep: float,
        now: float,
        stopped: Callable[[], bool],
        progress: Counting,
        dry: bool = False,
    ) -> None:
        """`keep` in s; `progress` hears of bytes freed, and bytes to be freed."""
        self._home = home
        self._recorder = recorder
        self._journal = recorder.journal
        self._keeper = keeper
        self._store = store
        self._keep = keep
        self._now = now
        self._stopped = stopped
        self._progress = progress
        self._dry = dry
        self._kept: Counter[str] = Counter()
        self._clips = 0
        self._freed = 0
        self._trouble: str | None = None

    def run(self, target: int) -> Trimmed:
        """Make room until the cache has `target` bytes."""
        after, total, files = None, 0, 0
        for number in range(_ROUNDS):
            found = survey(self._home.cache, self._now, after=after)
            if not number:
                total, files = found.bytes, found.files
                if not self._dry and found.bytes > target:
                    self._freed += self._clear(found.left_over)
            excess = total - self._freed - target
            if excess <= 0 or not found.oldest or self._stopped():
                break
            after = found.oldest[-1].age
            self._round(found.oldest, excess, horizon=after[0] if found.more else float("inf"))
            if self._trouble or not found.more:
                break
        return Trimmed(
            clips=self._clips, bytes=self._freed, left=total - self._freed, files=files - self._clips,
            kept=dict(self._kept), trouble=self._trouble,
        )  # fmt: skip

    def _round(self, files: Sequence[CachedFile], excess: int, *, horizon: float) -> None:
        """Look up whose these files are, and let the ones go that have waited longest, until it is enough.

        Files come in the order of their own times; one that was used later, as the log knows, waits until it is its turn.
        Nothing is known of files beyond `horizon`.
        """
        goal, later, watch = self._freed + excess, list[_Copy](), None
        for start in range(0, len(files), _LOOKED_UP):
            some = files[start : start + _LOOKED_UP]
            reached = some[-1].used if start + _LOOKED_UP < len(files) else horizon
            position, copies = self._look_up(some, fresh=watch is None)
            watch = watch or Watch(self._journal, position)
            copies = sorted([*later, *copies], key=lambda copy: copy.used)
            later = [copy for copy in copies if copy.used > reached]
            self._let_go([copy for copy in copies if copy.used <= reached], watch, goal)
            if self._freed >= goal or self._trouble or self._stopped():
                break
        for copy in later:
            self._remember_use(copy)

    def _let_go(self, copies: Sequence[_Copy], watch: Watch, goal: int) -> None:
        batch, going = list[_Copy](), 0
        for copy in copies:
            if self._now - copy.used < self._keep:
                self._kept["used"] += 1
                continue
            batch.append(copy)
            going += copy.file.bytes
            if len(batch) == _BATCH or self._freed + going >= goal:
                self._evict(batch, watch, goal)
                batch, going = [], 0
                if self._freed >= goal or self._trouble or self._stopped():
                    return
        if batch:
            self._evict(batch, watch, goal)

    def _look_up(self, files: Sequence[CachedFile], *, fresh: bool) -> tuple[int, list[_Copy]]:
        """The position that the answer is of, and the files that are copies of stored clips."""
        with self._keeper.reading(fresh=fresh) as reading:
            position = int(reading.tuples(_SQL["position"])[0][0])
            clips = owners(reading, [file.path for file in files])
        asked = json.dumps([row["id"] for row in clips.values()])
        busy = {subject for (subject,) in self._journal.rows(_OPEN_TASKS, (UPLOAD, asked))}
        copies = []
        for file in files:
            clip = clips.get(file.path)
            reason = _objection(file, clip, busy)
            if reason is not None or clip is None:
                self._kept[reason or "unknown"] += 1
            else:
                copies.append(_Copy(max(file.used, clip["last_used"].timestamp()), file, clip))
        return position, copies

    def _evict(self, copies: Sequence[_Copy], watch: Watch, goal: int) -> None:
        if self._dry:
            for copy in copies:
                if self._freed < goal:
                    self._count(copy)
            return
        confirmed = self._confirmed(copies)
        if not confirmed:
            return
        opened = platform.open_files()
        self._recorder.accesses.try_flush()
        waiting = deque(confirmed)
        while waiting and self._freed < goal:
            self._remove(waiting, watch, goal, opened)
        self._remove_folders({copy.file.path.rpartition("/")[0] for copy in confirmed})

    def _remove(self, waiting: deque[_Copy], watch: Watch, goal: int, opened: set[tuple[int, int]]) -> None:
        """Remove some of those that wait, and record it, in one journal transaction that keeps nobody waiting for long."""
        drafts: list[Draft] = []
        watch.catch_up()
        # Nobody can record a use between the last look and the moment when the file goes.
        with self._journal.transaction() as write:
            watch.catch_up()
            until = time.monotonic() + _HELD
            while waiting and self._freed < goal and time.monotonic() < until:
                copy = waiting.popleft()
                if watch.objection(copy.clip["id"]):
                    self._kept["used"] += 1
                elif copy.file.identity in opened:
                    self._kept["open"] += 1
                elif self._was_used_since(copy.file):
                    self._kept["used"] += 1
                elif self._unlink(copy.file.path):
                    drafts.append(self._draft(copy))
                    self._count(copy)
            failpoint("cache.after_unlink")
            write.append(drafts)

    def _count(self, copy: _Copy) -> None:
        self._clips += 1
        self._freed += copy.file.bytes
        self._progress(copy.file.bytes, self._freed)

    def _draft(self, copy: _Copy) -> Draft:
        fact = CacheEvicted(
            bytes=copy.file.bytes, last_used=datetime.fromtimestamp(copy.used, UTC), path=copy.file.path
        )
        return self._recorder.draft(fact, subject=copy.clip["id"], actor=self._recorder.known(copy.clip["actor_id"]))

    def _confirmed(self, copies: Sequence[_Copy]) -> list[_Copy]:
        """Those that the store has at this moment: what goes may be the last copy but that one."""
        known = [copy for copy in copies if self._recorder.vault.key(copy.clip["actor_id"]) is not None]
        confirmed = []
        try:
            threads = self._store.settings.upload_threads
            for copy, (found, same) in in_parallel(self._look, known, threads=threads, name="cache"):
                if same:
                    confirmed.append(copy)
                elif same is None:
                    self._kept["unproved"] += 1
                else:
                    self._kept["missing"] += 1
                    self._tell_missing(copy.clip, found)
        except StoreError as error:
            self._trouble = f"the store does not confirm what it holds ({error.code}), so nothing goes"
            if error.code in REFUSED:
                self._trouble += "; an access key that may not look needs the role `reader` too"
            _log.info("%s", self._trouble)
            return []
        return confirmed

    def _look(self, copy: _Copy) -> Held:
        clip, path = copy.clip, self._home.cache / copy.file.path
        # A refusal tells nothing: a HEAD has no body, and wrong keys read like a right that is missing.
        return held(self._store, clip["bucket"], clip["key"], path, bytes=clip["bytes"], sha256=clip["sha256"])

    def _tell_missing(self, clip: dict[str, Any], found: ObjectInfo | None) -> None:
        self._recorder.emit(
            ObjectMissing(
                bucket=clip["bucket"], state="absent" if found is None else "changed", bytes=clip["bytes"],
                found_bytes=None if found is None else found.bytes, found_etag=None if found is None else found.etag, key=clip["key"],
            ),
            subject=clip["id"], actor=self._recorder.known(clip["actor_id"]),
        )  # fmt: skip

    def _was_used_since(self, file: CachedFile) -> bool:
        """Whether somebody was given the file after it was found here; whoever is, marks it (`Audio.local`)."""
        try:
            state = (self._home.cache / file.path).stat()
        except OSError:
            return False
        return max(state.st_atime, state.st_mtime) > file.used or (state.st_dev, state.st_ino) != file.identity

    def _unlink(self, path: str) -> bool:
        """False when it is gone already, or cannot go: Windows removes no file that is open."""
        try:
            (self._home.cache / path).unlink()
        except FileNotFoundError:
            return False
        except PermissionError:
            self._kept["open"] += 1
            return False
        return True

    def _remember_use(self, copy: _Copy) -> None:
        """Let the file say what the log knows: its turn comes later, in this run or the next."""
        with contextlib.suppress(OSError):
            path = self._home.cache / copy.file.path
            os.utime(path, ns=(int(copy.used * 1e9), path.stat().st_mtime_ns))

    def _clear(self, left_over: Sequence[CachedFile]) -> int:
        """Remove what interrupted fetches left long ago; gives the bytes."""
        opened = platform.open_files() if left_over else set()
        gone = [file for file in left_over if file.identity not in opened and self._unlink(file.path)]
        return sum(file.bytes for file in gone)

    def _remove_folders(self, folders: set[str]) -> None:
        for folder in folders:
            place = self._home.cache / folder
            with contextlib.suppress(OSError):
                while place != self._home.cache:
                    place.rmdir()
                    place = place.parent


def _objection(file: CachedFile, clip: dict[str, Any] | None, busy: set[str]) -> Reason | None:
    if clip is None:
        return "unknown"
    if clip["state"] == "stored" and clip["id"] in busy:
        return "waiting"
    if clip["state"] != "stored":
        reason: Reason = clip["state"]
        return reason
    return None if file.bytes == clip["bytes"] else "altered"
