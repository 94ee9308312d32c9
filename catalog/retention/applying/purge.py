"""Purging: deletes the audio of clips in the store and in the cache, and makes sure that it is gone."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects.client import MISSING
from voxledger.catalog.objects.deleting import Answer
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.retention.applying.store import Deletable

_AWAY = "StoreUnavailable"
_log = logging.getLogger(__name__)


class Doomed(msgspec.Struct, frozen=True, kw_only=True):
    """A clip whose audio is to go: where it lies, whose it is (an opaque id), and the plan and rule that condemned it.

    `stored`: whether the store was ever known to have it.
    """

    id: str
    bucket: str
    key: str | None
    path: str | None
    bytes: int
    plan: str
    rule: str
    actor_id: str = ""
    stored: bool = True


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one clip: `failure` is None when its absence was seen, else what happened, in words.

    `kind` is the failure's category, without names or keys: it may leave the house. `answer` is what the store said,
    `versions` are the ids of those it deleted, and `kept_bytes` is what old versions still hold, for the reason `kept`.
    """

    clip: Doomed
    failure: str | None = None
    kind: str = ""
    answer: str = ""
    versions: tuple[str, ...] = ()
    kept_bytes: int = 0
    kept: str = ""


class Purger:
    """Deletes audio. Deleting what is gone already is fine, so a purge can be repeated after any interruption.

    `condemn` is called with bucket and key before an object is deleted, for stores with a backstop behind us
    (`objects.lifecycle`); that it fails stops nothing. `away` is set once the store has stopped answering; nothing more
    is asked of it then.
    """

    def __init__(
        self,
        store: Deletable,
        cache: Path,
        *,
        threads: int = 4,
        condemn: Callable[[str, str], None] | None = None,
    ) -> None:
        self.away: str = ""
        self._store = store
        self._cache = cache.resolve()
        self._threads = threads
        self._condemn = condemn

    def probe(self, clip: Doomed) -> None:
        """Raises StoreUnavailable or StoreError when the store does not answer as it should."""
        if clip.key is not None:
            self._store.head(clip.bucket, clip.key)

    def purge(self, clips: Iterable[Doomed]) -> list[Outcome]:
        """Delete the audio of some clips, all of a bucket at once; gives what became of each. From several threads at once."""
        buckets, outcomes = defaultdict[str, list[tuple[Doomed, str]]](list), list[Outcome]()
        for clip in clips:
            if clip.key is None:
                unknown = "nobody knows its key any more: the personal fields of its actor were erased"
                outcomes.append(Outcome(clip=clip, failure=unknown, kind="KeyUnknown"))
            else:
                buckets[clip.bucket].append((clip, clip.key))
        for bucket, doomed in buckets.items():
            self._tag(doomed)
            answers: Mapping[str, Answer] = {}
            if not self.away:
                keys = [key for _, key in doomed]
                answers = self._store.purge(bucket, keys, perhaps=[record_key(key) for key in keys])
            folders: dict[str, str | None] = {}
            outcomes += [self._outcome(clip, key, answers, folders) for clip, key in doomed]
            self._remove_folders(folder for folder in folders.values() if folder)
        return outcomes

    def _outcome(
        self, clip: Doomed, key: str, answers: Mapping[str, Answer], folders: dict[str, str | None]
    ) -> Outcome:
        if not answers:
            return Outcome(clip=clip, failure=f"not tried, the store has gone away: {self.away}", kind=_AWAY)
        both = [answers[key], answers[record_key(key)]]
        refused = next((answer for answer in both if not (answer.gone or answer.hidden or _never(answer, clip))), None)
        if refused is not None:
            if refused.away:
                self.away = refused.reason
            return Outcome(clip=clip, failure=refused.reason or refused.code, kind=refused.code)
        try:
            for file in {str(self._cache / clip.path) if clip.path else "", f"{self._cache}/{key}"} - {""}:
                self._remove(file, clip.id, folders)
        except OSError as error:
            return Outcome(clip=clip, failure=f"its cached file cannot be removed: {error}", kind=type(error).__name__)
        hidden = next((answer for answer in both if answer.hidden), None)
        audio, record = (answer.kept_bytes if answer.hidden else 0 for answer in both)
        kept = (clip.bytes if audio is None else audio) + (record or 0)
        return Outcome(
            clip=clip, answer=(hidden or both[0]).code, versions=(*both[0].versions, *both[1].versions), kept_bytes=kept,
            kept=hidden.reason if hidden else "",
        )  # fmt: skip

    def _tag(self, clips: Iterable[tuple[Doomed, str]]) -> None:
        """Tell the store's own rules, where there are some, what has been condemned."""
        condemn = self._condemn
        if condemn is None or self.away:
            return

        def tag(doomed: tuple[Doomed, str]) -> None:
            clip, key = doomed
            for name in (key, record_key(key)):
                try:
                    condemn(clip.bucket, name)
                except StoreUnavailable:
                    return  # the deletion will say so
                except StoreError as error:
                    level = logging.DEBUG if error.code in MISSING else logging.WARNING
                    _log.log(level, "clip %s: no tag for the store's own rules (%s)", clip.id[-8:], error.code)

        for _ in in_parallel(tag, clips, threads=self._threads, name="purge"):
            pass

    def _remove(self, path: str, clip: str, folders: dict[str, str | None]) -> None:
        """Remove a file of the cache; what lies elsewhere is never touched. `folders` remembers where folders really are."""
        above, name = os.path.split(path)
        if above not in folders:
            place = os.path.realpath(above)
            folders[above] = place if Path(place).is_relative_to(self._cache) else None
        folder = folders[above]
        if folder is None or name in ("", ".."):
            _log.warning("clip %s: its file lies outside the cache and was left where it is", clip[-8:])
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{folder}/{name}")  # noqa: PTH108  # a Path takes as long to make as the file to remove

    def _remove_folders(self, folders: Iterable[str]) -> None:
        """Remove the folders that are empty now, and those above that they leave empty."""
        for folder in folders:
            place = Path(folder)
            with contextlib.suppress(OSError):
                while place != self._cache:
                    place.rmdir()
                    place = place.parent


def _never(answer: Answer, clip: Doomed) -> bool:
    """Whether there is nothing to be gone: the clip was never stored, and its bucket never made."""
    return answer.nowhere and not clip.stored
