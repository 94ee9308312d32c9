"""Restoring: a mark is taken back, or audio that is gone is brought back from wherever its bytes still are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from voxledger.catalog.catalog import clip_of
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import (
    BackupError,
    ClipNotFound,
    PolicyError,
    StoreError,
    StoreUnavailable,
    VaultError,
)
from voxledger.catalog.events import ClipRestored, Event, GenerationCompleted, decode_fact
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.description import upload_of
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.objects.uploads.transfer import transfer
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.query.page import COLUMNS
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.applying.executor import Note
from voxledger.catalog.retention.applying.places import Places, Source
from voxledger.catalog.vault import ActorKey

if TYPE_CHECKING:
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.objects import Store

_BATCH = 500
_THREADS = 4
_SQL = load("applying.sql", "voxledger.catalog.retention.applying")
_ERASED = "it was erased, and what was erased never comes back"
_HIDDEN = (
    "nothing that the access key may look at has its bytes; one that may also list versions and read them (ListBucketVersions,"
    " GetObjectVersion) may find them"
)
_ASKED = "its erasure was asked for, and what is erased never comes back"


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """A clip that is back, and where it came from."""

    clip: str
    source: Source
    bytes: int


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What restoring did. The clips in `there` had never gone: the store was seen to have them, or has not had them yet."""

    time: datetime
    restored: tuple[Back, ...] = ()
    there: tuple[str, ...] = ()
    failed: tuple[Note, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def chosen(keeper: Keeper, references: Sequence[str | Clip], plan: str | None) -> list[str]:
    """The ids of the clips that are meant. Raises ClipNotFound for a reference that names none or several, PolicyError for none."""
    found: dict[str, None] = {}
    with keeper.reading() as reading:
        for reference in references:
            digits = Clip.named(reference).replace("-", "")
            valid = re.fullmatch(r"[0-9a-f]{4,32}", digits)
            rows = reading.tuples(_SQL["named"], {"digits": digits}) if valid else []
            if len(rows) > 1:
                raise ClipNotFound(f"more than one clip id ends in {reference!r}; give more of its digits")
            if not rows:
                raise ClipNotFound(f"there is no clip {reference!r}: give at least the last 4 hex digits of its id")
            found[str(rows[0][0])] = None
        if plan is not None:
            rows = reading.tuples(_SQL["taken"], {"plan": plan})
            if not rows:
                raise PolicyError(
                    f"no clip is marked or gone because of plan {plan!r}; `voxledger retention explain ID` names plans"
                )
            found |= dict.fromkeys(str(row[0]) for row in rows)
    if not found:
        raise PolicyError("nothing was named: give the ids of clips, or a plan")
    return list(found)


class _Wanted(NamedTuple):
    """A clip to be brought back, where its event stands, the recordings it was made with, its event unless
    nothing has to be fetched, and whose it is. One that is `believed` to be in the store may be there.
    """

    clip: Clip
    key: str
    plan: str
    position: int
    voices: tuple[str, str]
    event: Event | None
    channels: int | None
    owner: ActorKey
    believed: bool = False


class _Looked(NamedTuple):
    """What the places said about a clip: where its bytes are, or not; that one `refused` to be looked into; or that it is `there`."""

    wanted: _Wanted
    source: Source | None
    path: Path
    said: list[str]
    refused: bool = False
    there: bool = False


class Restorer:
    """Brings clips back. Killed at any point, it is simply called again. Nothing else may apply plans meanwhile."""

    def __init__(
        self,
        recorder: Recorder,
        keeper: Keeper,
        store: Callable[[], Store],
        backups: Callable[[], Backups] | None,
        cache: Path,
        folder: Path,
        now: datetime,
        *,
        progress: Counting | None = None,
    ) -> None:
        """`folder` takes what passes through, and is removed in the end."""
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._backups = backups
        self._cache = cache
        self._folder = folder
        self._now = now
        self._progress = progress
        self._back: list[Back] = []
        self._there: list[str] = []
        self._failed: list[Note] = []
        self._total = 0

    def restore(self, clips: Sequence[str]) -> Restored:
        """Bring these clips (whole ids) back. Raises StoreUnavailable when something is fetched and nobody answers."""
        self._total = len(clips)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        try:
            missing = [looked for batch in in_batches(clips, _BATCH) for looked in self._from_places(batch)]
            if missing:
                self._from_backups(missing)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return Restored(
            time=self._now, restored=tuple(self._back), there=tuple(self._there), failed=tuple(self._failed)
        )

    def _from_places(self, clips: Sequence[str]) -> Iterator[_Looked]:
        """Bring back what is in grace, in the cache or in the store; gives what is not."""
        wanted = self._wanted(clips)
        if not wanted:
            return
        places = Places(self._store(), self._cache, self._twins)

        def look(one: _Wanted) -> _Looked:
            path = self._folder / one.clip.id
            if one.believed and places.holds(one.clip, one.key):
                return _Looked(one, None, path, [], there=True)
            return _Looked(one, *places.find(one.clip, one.key, path))

        for _, looked in in_parallel(look, wanted, threads=_THREADS, name="restore"):
            if looked.there:
                self._there.append(looked.wanted.clip.id)
                self._tell()
            elif looked.source is None:
                yield looked
            else:
                self._put_back(looked.wanted, looked.source, looked.path)

    def _from_backups(self, missing: Sequence[_Looked]) -> None:
        from voxledger.catalog.backup.recovery import Found, Recovery

        found: dict[str, Found] = {}
        said, recovery = "in no backup: there are none here", None
        if self._backups is not None:
            try:
                recovery = Recovery(self._backups())
                found, looked_into = recovery.find([looked.wanted.clip.id for looked in missing])
                said = f"in none of {looked_into} backups with audio"
            except (StoreError, BackupError) as error:
                said = f"in no backup, they cannot be read ({error})"
        for looked in missing:
            clip, path = looked.wanted.clip, self._folder / looked.wanted.clip.id
            why = said
            if recovery is not None and clip.id in found and found[clip.id].saved.sha256 == clip.sha256:
                try:
                    recovery.fetch(found[clip.id], path)
                except (StoreError, BackupError) as error:
                    why = f"its backup cannot be read ({error})"
                else:
                    self._put_back(looked.wanted, "backup", path)
                    continue
            lead = _HIDDEN if looked.refused else "nothing has its bytes any more"
            self._fail(clip.id, f"{lead}: {', '.join([*looked.said, why])}")

    def _wanted(self, clips: Sequence[str]) -> list[_Wanted]:
        """Those whose audio must be fetched. The others are settled: there already, in grace, or not to be had."""
        wanted = []
        with self._keeper.reading(fresh=False) as reading:
            rows = reading.rows(_SQL["absent"].format(columns=COLUMNS), {"ids": list(clips)})
            for row in rows:
                clip, identity = clip_of(row, self._cache), str(row["id"])
                owner = self._recorder.vault.key(row["actor_id"])
                voices = (row["voice_sha256"] or "", row["emotion_sha256"] or "")
                asked = {
                    "position": row["position"], "actor": row["actor_id"], "voice": voices[0], "emotion": voices[1],
                }  # fmt: skip
                erased, requested = reading.tuples(_SQL["erased"], asked)[0]
                if owner is None or not clip.key or erased:
                    self._fail(identity, _ERASED)
                    continue
                if requested and not row["held"]:  # a legal hold keeps its clip, whatever was asked for
                    self._fail(identity, _ASKED)
                    continue
                found = _Wanted(clip, clip.key, row["mark_plan"], row["position"], voices, None, row["channels"], owner)
                if row["marked"]:
                    if self._record(found, "grace"):
                        self._note(Back(clip=identity, source="grace", bytes=clip.bytes))
                    else:
                        self._fail(identity, _ERASED)
                    continue
                believed = not row["purging"] and not row["lost"]
                if believed and not row["was_stored"]:
                    self._there.append(identity)  # only this machine ever had it
                    continue
                begun = reading.rows(_SQL["begun"], {"position": row["position"]})[0]
                wanted.append(found._replace(event=_event(begun), believed=believed))
        return wanted

    def _twins(self, clip: Clip) -> Sequence[tuple[str, str]]:
        with self._keeper.reading(fresh=False) as reading:
            return [(str(b), str(k)) for b, k in reading.tuples(_SQL["twins"], {"sha256": clip.sha256, "id": clip.id})]

    def _put_back(self, wanted: _Wanted, source: Source, path: Path) -> None:
        """Upload verified bytes with what stands beside them, and record that the clip is back."""
        clip, store = wanted.clip, self._store()
        assert wanted.event is not None
        failpoint("retrieve.after_fetch")
        with self._recorder.journal.transaction():
            erased = self._is_erased(wanted)
        if erased:
            self._fail(clip.id, _ERASED)
            return
        try:
            other = store.head(clip.bucket, wanted.key)
            if other is not None and (other.bytes, other.metadata.get("sha256", clip.sha256)) != (
                clip.bytes,
                clip.sha256,
            ):
                self._fail(clip.id, f"another object lies at {clip.bucket}/{wanted.key} now; move it away first")
                return
            upload = upload_of(msgspec.structs.replace(clip, path=path), wanted.event, channels=wanted.channels)
            # Written anew even where it lies: a purge that had begun may have tagged it for the store's own rules.
            transfer(store, msgspec.structs.replace(upload, replace=True), tried=False)
        except StoreUnavailable:
            raise
        except StoreError as error:
            self._fail(clip.id, f"the store did not take it: {error}")
            return
        failpoint("retrieve.after_upload")
        if not self._record(wanted, source):
            self._fail(clip.id, self._taken_away(store, wanted))
            return
        if path.is_relative_to(self._folder):
            path.unlink(missing_ok=True)
        self._note(Back(clip=clip.id, source=source, bytes=clip.bytes))

    def _record(self, wanted: _Wanted, source: Source) -> bool:
        """One transaction: the clip is back, and answers its request again, unless another one does meanwhile.

        False, and nothing is recorded, when it was erased since it was looked at.
        """
        clip, owner, event = wanted.clip, wanted.owner, wanted.event
        fact = ClipRestored(
            bucket=clip.bucket, source=source, plan=wanted.plan or None, bytes=clip.bytes, key=wanted.key
        )
        draft = self._recorder.draft(fact, subject=clip.id, actor=owner, time=self._now)
        begun = None if event is None else decode_fact(event, self._recorder.unsealed(event))
        with self._recorder.journal.transaction() as write:
            if self._is_erased(wanted):
                return False
            write.append([draft])
            if isinstance(begun, GenerationCompleted) and write.fingerprint(begun.fingerprint) is None:
                content: Mapping[str, Any] = {
                    **msgspec.to_builtins(clip, enc_hook=str), "saved_us": begun.synthesis_us, "timing": begun.timing or "",
                }  # fmt: skip
                write.claim(begun.fingerprint, clip=clip.id, actor=owner.id)
                write.answer(begun.fingerprint, self._recorder.seal(content, actor=owner, about=clip.id))
        return True

    def _is_erased(self, wanted: _Wanted) -> bool:
        """Whether its actor, or a recording that it was made with, was erased since it was looked at.

        Ask within a transaction of the journal.
        """
        try:
            self._recorder.require_key(wanted.owner)
        except VaultError:
            return True
        forgotten = self._recorder.vault.forgotten_voices()
        return any(forgotten.get(sha256, -1) >= wanted.position for sha256 in wanted.voices)

    def _taken_away(self, store: Store, wanted: _Wanted) -> str:
        """Delete what was uploaded too late; gives what to say of it."""
        answers = store.purge(wanted.clip.bucket, [wanted.key], perhaps=[record_key(wanted.key)])
        kept = next((answer for answer in answers.values() if not answer.gone), None)
        if kept is None:
            return _ERASED
        return f"{_ERASED}; but the store keeps what was just uploaded ({kept.code}: {kept.reason}); delete it by hand"

    def _note(self, back: Back) -> None:
        self._back.append(back)
        self._tell()

    def _fail(self, clip: str, reason: str) -> None:
        self._failed.append(Note(clip=clip, reason=reason))
        self._tell()

    def _tell(self) -> None:
        if self._progress:
            self._progress(len(self._back) + len(self._failed) + len(self._there), self._total)


def _event(row: Mapping[str, Any]) -> Event:
    times = {name: row[name].astimezone(UTC) for name in ("time", "recorded")}
    return Event(**{**row, **times, "data": msgspec.Raw(row["data"].encode())})
