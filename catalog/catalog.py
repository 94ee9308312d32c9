"""The catalog: what a HOME knows about its clips, and the small changes people make to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Generator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from voxledger.catalog.audio import Audio, Kept
from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import ClipNotFound, QueryError, VaultError, VoxledgerError
from voxledger.catalog.events import (
    Channel,
    ClipPinned,
    ClipRated,
    ClipTagged,
    ClipUnpinned,
    ClipUntagged,
    Event,
    Fact,
    GenerationCompleted,
)
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.log import Keeper
from voxledger.catalog.progress import Counting, Progress, silent
from voxledger.catalog.queries import load
from voxledger.catalog.query.asking import asking
from voxledger.catalog.query.condition import explain
from voxledger.catalog.query.export import Exported, check_target, export
from voxledger.catalog.query.guard import check
from voxledger.catalog.query.history import Happening, history, record
from voxledger.catalog.query.moment import check_end
from voxledger.catalog.query.page import COLUMNS, Page, request
from voxledger.catalog.query.result import Result
from voxledger.catalog.recorder import Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.catalog.objects import Store
    from voxledger.catalog.query.parquet import ParquetExported

__all__ = ["Catalog", "Result", "check_tag", "clip_of"]

_SQL = load("catalog.sql")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TAG = re.compile(r"[^\x00-\x1f\x7f]{1,128}")


class Catalog:
    """Finds clips and changes what is known about them. Reads see everything written before, by any process."""

    def __init__(
        self,
        home: Home,
        recorder: Recorder,
        keeper: Keeper,
        store: Callable[[], Store],
        *,
        actor: str,
        channel: Channel,
        zone: str = "UTC",
        uploaded: Callable[[str], bool] | None = None,
        arrived: Callable[[int], None] | None = None,
    ) -> None:
        """`uploaded` waits a little for a clip's upload and says whether it is done; without it nobody waits. `zone` is the IANA
        name of the time zone whose weeks count.

        `arrived` hears how many bytes a download has put into the cache.
        """
        self.home = home
        self.recorder = recorder
        self.keeper = keeper
        self._actor = actor
        self._zone = zone
        self.audio = Audio(
            home,
            recorder,
            store,
            actor=actor,
            channel=channel,
            uploaded=uploaded or (lambda clip: not recorder.journal.open_tasks(UPLOAD, [clip])),
            look=self._kept,
            arrived=arrived,
        )

    def clip(self, reference: str | Clip, *, actor: str | None = None) -> Clip:
        """A clip by its id, or by as many of its last hex digits as make it unique (4 or more); a Clip as it is now.

        With `actor` only that one's clips are looked at. Raises ClipNotFound when there is none, or several.
        """
        return self._found(reference, fresh=True, actor=actor)

    def _found(self, reference: str | Clip, *, fresh: bool, actor: str | None = None) -> Clip:
        """`clip`; unless `fresh`, as it was when somebody last asked for what is new."""
        reference = digits = Clip.named(reference)
        digits = digits if _UUID.fullmatch(digits) else digits.replace("-", "")
        if not (_UUID.fullmatch(digits) or re.fullmatch(r"[0-9a-f]{4,32}", digits)):
            raise ClipNotFound(
                f"{reference!r} is no clip id: give at least the last 4 hex digits of one (`voxledger clips` shows them)"
            )
        with self.keeper.reading(fresh=fresh) as reading:
            ids = _ids(reading, digits, actor)
            if len(ids) > 1:
                raise ClipNotFound(f"more than one clip id ends in {reference!r}; give more of its digits")
            rows = reading.rows(_SQL["clip"].format(columns=COLUMNS), [*ids, actor, actor]) if ids else []
        if not rows:
            whose = "here; `voxledger clips` lists the newest" if actor is None else f"of {actor}"
            raise ClipNotFound(f"there is no clip {reference!r} {whose}")
        return self._clip(rows[0])

    def clips(
        self,
        *,
        where: str | None = None,
        order: str = "-created",
        limit: int = 50,
        after: str | None = None,
        as_of: datetime | None = None,
        actor: str | None = None,
        session: str | None = None,
        emotion: str | None = None,
        language: str | None = None,
        voice: str | None = None,
        tag: str | None = None,
        state: str | None = None,
    ) -> Page:
        """A page of the clips that fit all conditions given; `after=page.next` gives the next one.

        `where` is one expression over the columns of `clips` (docs/sql.md); language `en` includes `en-GB`; `voice` is a name,
        or the SHA-256 of a recording (8 digits or more) that was the voice or the emotion's reference. `order` is one of
        `query.ORDERS`, with a hyphen in front for the largest first; clips without a value come last. Pages neither
        overlap nor miss a clip while others arrive. `as_of` asks how it was at that moment. Raises QueryError.
        """
        filters = {
            "actor": actor,
            "session": session,
            "emotion": emotion,
            "language": language,
            "voice": voice,
            "tag": tag,
            "state": state,
        }
        asked = request(filters, where=where, order=order, limit=limit, after=after)
        with asking(self.keeper, explain=explain, as_of=as_of) as reading:
            rows, following = asked.answer(reading)
        return Page([self._clip(row) for row in rows], following)

    def history(self, reference: str | Clip) -> list[Happening]:
        """Every event about a clip in words, the oldest first; also about one whose attempt failed, by its whole id.

        Raises ClipNotFound.
        """
        reference = wanted = Clip.named(reference)
        identity = wanted if _UUID.fullmatch(wanted) else self.clip(reference).id
        with self.keeper.reading() as reading:
            found = history(identity, reading, self.recorder)
        if not found:
            raise ClipNotFound(f"nothing was ever recorded about {reference!r} here")
        return found

    def record(self, reference: str | Clip) -> GenerationCompleted:
        """What was recorded when a clip was made: everything that decided how it sounds. Raises ClipNotFound."""
        clip = self.clip(reference)
        with self.keeper.reading(fresh=False) as reading:
            found = record(clip.id, reading, self.recorder)
            adopted = found is None and bool(reading.tuples(_SQL["adopted"], [clip.id]))
        if found is None:
            why = (
                "was adopted: nobody recorded how it was made"
                if adopted
                else "has no record in the log; `voxledger verify` says why"
            )
            raise ClipNotFound(f"clip {clip.short} {why}")
        return found

    def sql(
        self, query: str, *, params: Mapping[str, Any] | None = None, fresh: bool = True, as_of: datetime | None = None
    ) -> Result:
        """The answer to one SELECT over the documented relations (docs/sql.md); `params` fill `$name`. Raises QueryError.

        Reads drain the journal first, so that they see what was just written; `fresh=False` skips that. `as_of` asks how it
        was at that moment. The query runs in this process with this user's rights: it reads relations of the catalog and
        nothing else, but it may take as much time and memory as it likes.
        """
        check(query)
        with asking(self.keeper, explain="DuckDB refused the query: {}".format, fresh=fresh, as_of=as_of) as reading:
            return Result(reading.table(query, params))

    def export(
        self,
        path: str | Path,
        *,
        storage_version: str | None = None,
        as_of: datetime | None = None,
        force: bool = False,
        progress: Counting | None = None,
    ) -> Exported:
        """Write a detached copy of all documented relations into a DuckDB file, now or as of a moment.

        DuckDB from `storage_version` on (`export.STORAGE_VERSION` by default) reads it. It holds names and texts: erasing
        somebody later does not reach into it. Raises VoxledgerError when the file is there and not forced.
        """
        target = Path(path).expanduser().absolute()
        if target.resolve().parent == self.home.path.resolve():
            raise VoxledgerError(f"{target} lies among the files of this HOME; choose another folder")
        check_target(target, force=force)
        with asking(self.keeper, explain="DuckDB refused: {}".format, as_of=as_of) as reading:
            return export(reading, target, storage_version=storage_version, force=force, progress=progress)

    def export_parquet(
        self,
        folder: str | Path,
        *,
        relations: Collection[str] = (),
        as_of: datetime | None = None,
        force: bool = False,
        progress: Progress = silent,
    ) -> ParquetExported:
        """Bring a folder of Parquet files, one a relation and ISO week, to the catalog as it is now or was at a moment.

        Only weeks that have changed since the last export there are written; `force` writes all of them, and takes over the
        export of another node. The files hold names and texts: erasing somebody reaches them with the next export.
        Raises VoxledgerError when the folder is not one of ours.
        """
        from voxledger.catalog.query.parquet import export_parquet

        target = Path(folder).expanduser().absolute()
        if target.resolve().is_relative_to(self.home.path.resolve()):
            raise VoxledgerError(f"{target} lies in this HOME; choose a folder elsewhere")
        with asking(self.keeper, explain="DuckDB refused: {}".format, as_of=as_of) as reading:
            return export_parquet(
                reading, target, node=self.recorder.journal.node, zone=self._zone, names=relations, as_of=as_of,
                force=force, progress=progress,
            )  # fmt: skip

    def events(
        self,
        *,
        since: datetime | int | None = None,
        types: Collection[str] = (),
        follow: bool = False,
        name: str | None = None,
    ) -> Generator[Event, None, None]:
        """Events in the order of the log, from a position on or from what was recorded at a moment (aware) or later.

        `follow` goes on with each new one and waits for it. With a `name` the place is remembered: an event has been dealt
        with when the next one is asked for, and the next iteration under this name goes on there, at least once. Without
        a place to begin, one that follows begins at the end, and others at the beginning. `to_cloudevent` makes CloudEvents.
        Raises QueryError for a place that is not there yet, or an unknown type; CatalogBusy while another one has the name.
        """
        from voxledger.catalog.exchange import check_types
        from voxledger.catalog.feed import Feed

        check_types(types, self.keeper)
        return Feed(self.keeper, since=since, types=types, name=name, follow=follow).each()

    def totals(self) -> dict[str, int]:
        """Clips whose audio is there, its length (µs) and size (bytes); of them stored, missing, pinned, marked;
        and the purged ones.
        """
        with self.keeper.reading() as reading:
            return reading.rows(_SQL["totals"])[0]

    def tag(self, reference: str | Clip, *tags: str) -> Clip:
        """Put tags on a clip; those it has already stay as they are."""
        clip = self._alive(reference)
        self._record(clip, [ClipTagged(tag=check_tag(tag)) for tag in tags if tag not in clip.tags])
        return self.clip(clip.id)

    def untag(self, reference: str | Clip, *tags: str) -> Clip:
        """Take tags off a clip. Raises QueryError for one that it does not have."""
        clip = self.clip(reference)
        for tag in tags:
            if tag not in clip.tags:
                has = ", ".join(clip.tags) or "none"
                raise QueryError(f"clip {clip.short} has no tag {tag!r}; its tags: {has}")
        self._record(clip, [ClipUntagged(tag=tag) for tag in tags])
        return self.clip(clip.id)

    def pin(self, reference: str | Clip, *, reason: str | None = None, until: datetime | None = None) -> Clip:
        """Keep a clip: no rule expires it while it is pinned, for good or `until` (aware). A later pin takes its place.

        Raises QueryError for an end that is over.
        """
        ends = check_end(until, now=datetime.now(UTC)) if until is not None else None
        clip = self._alive(reference)
        self._record(clip, [ClipPinned(reason=reason, until=ends)])
        return self.clip(clip.id)

    def unpin(self, reference: str | Clip) -> Clip:
        """Take the pin off a clip."""
        clip = self.clip(reference)
        self._record(clip, [ClipUnpinned()] if clip.pinned else [])
        return self.clip(clip.id)

    def rate(self, reference: str | Clip, rating: int) -> Clip:
        """Say how good a clip is, from 1 to 5; the newest rating counts. Keep rules and budgets heed it (docs/retention.md).

        Raises ClipNotFound, and QueryError for another number.
        """
        if not 1 <= rating <= 5:
            raise QueryError(f"a rating of {rating} is none: give 1 to 5, 5 being the best")
        clip = self.clip(reference)
        self._record(clip, [ClipRated(rating=rating)])
        return self.clip(clip.id)

    def fetch(self, clip: str | Clip, *, progress: Callable[[int], None] | None = None) -> Path:
        """A local file with a clip's audio: the cached one, or downloaded in ranges, checked and kept. Counts as use.

        An interrupted download goes on where it stopped. `progress` hears by how many bytes more are there. Raises
        ClipNotFound; StoreError when the audio was purged, or the store does not have it as it was stored; DiskFull.
        """
        if isinstance(clip, str):
            given = self.audio.fetch_again(clip)
            if given is not None:
                return given
            if _UUID.fullmatch(clip):
                remembered = self._remembered(clip)
                if remembered is not None:
                    return remembered
                # Each use is an event, and what is new takes long to read: the last known state will do, for what has
                # changed since shows when the file or the object is not there.
                with suppress(ClipNotFound):
                    return self.audio.fetch(self._found(clip, fresh=False), progress=progress)
        return self.audio.fetch(self._given(clip), progress=progress)

    def url(self, clip: str | Clip, expires: int = 300) -> str:
        """A presigned link to the stored audio, for `expires` seconds, at most 7 days. Counts as use.

        Raises ClipNotFound, and StoreError while the upload has not been confirmed.
        """
        return self.audio.url(self._given(clip), expires)

    def _remembered(self, clip: str) -> Path | None:
        """The file of a clip that the journal keeps as an answer to requests, if it is here. To open the catalog takes twenty
        times as long; a clip that was adopted, made with `reuse=False` or elsewhere, is found only there.
        """
        found = self.recorder.journal.answer_with(clip)
        if found is None or found.answer is None:
            return None
        try:
            facts = self.recorder.unseal(found.answer, actor=found.actor, about=clip)
        except VaultError:  # erased
            return None
        return self.audio.fetch_known(clip, self.home.cache / facts["key"], facts["bytes"])

    def _given(self, clip: str | Clip) -> Clip:
        return clip if isinstance(clip, Clip) else self.clip(clip)

    def _kept(self, clip: str) -> Kept:
        with self.keeper.reading() as reading:
            found = reading.tuples(_SQL["kept"], [clip])
        return Kept(*found[0]) if found else Kept(stored=False, missing=False, purged=False)

    def _record(self, clip: Clip, facts: Iterable[Fact]) -> None:
        actor = self.recorder.vault.actor(self._actor)
        drafts = [self.recorder.draft(fact, subject=clip.id, actor=actor) for fact in facts]
        if drafts:
            self.recorder.journal.emit(*drafts)

    def _alive(self, reference: str | Clip) -> Clip:
        clip = self.clip(reference)
        if clip.state in ("purging", "purged"):
            raise ClipNotFound(f"the audio of clip {clip.short} was purged; it can only be restored")
        return clip

    def _clip(self, row: dict[str, Any]) -> Clip:
        clip = clip_of(row, self.home.cache).bound(self.audio)
        self.audio.handed(clip)
        return clip


def clip_of(row: Mapping[str, Any], cache: Path) -> Clip:
    """The clip of a row of `query.page.COLUMNS`, in a HOME with this cache; `bound` gives it a way to its audio."""
    known = {name: row[name] for name in Clip.__struct_fields__ if name in row}
    return Clip(
        **{
            **known,
            "id": str(row["id"]),
            "created": row["created"].astimezone(UTC),
            "dropped": tuple(row["dropped"]),
            "tags": tuple(row["tags"]),
            "suspect": tuple(row["suspect"] or ()),
            # Where this HOME keeps it: a HOME may have been copied or moved since.
            "path": cache / row["key"] if row["key"] and row["path"] else None,
        }
    )


def _ids(reading: Reading, digits: str, actor: str | None) -> list[str]:
    """The ids that end with these hex digits, two at least when there are several; of one actor's clips, if one is given."""
    if len(digits) >= 32:
        return [str(UUID(digits))]
    if len(digits) >= 8:
        found = reading.tuples(_SQL["ids_by_tail"], [int(digits[-8:], 16), actor, actor])
    else:
        found = reading.tuples(_SQL["ids_by_ending"], [16 ** len(digits) - 1, int(digits, 16), actor, actor])
    return [str(identity) for (identity,) in found if str(identity).replace("-", "").endswith(digits)]


def check_tag(tag: str) -> str:
    """A tag as it may be recorded. Raises QueryError for an empty one, or one with control characters."""
    clean = tag.strip()
    if not _TAG.fullmatch(clean):
        raise QueryError(f"{tag!r} cannot be a tag: 1 to 128 printable characters")
    return clean
