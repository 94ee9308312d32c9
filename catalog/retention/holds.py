"""Holds: people keep clips, for a reason, until a day or for good; a legal hold keeps them even from erasure."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import ClipNotFound, HoldError, QueryError
from voxledger.catalog.events import REGISTRY, Fact, HoldPlaced, HoldReleased
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.parallel import in_batches
from voxledger.catalog.progress import Counting
from voxledger.catalog.queries import load
from voxledger.catalog.query.asking import asking
from voxledger.catalog.query.condition import check_condition, explain
from voxledger.catalog.query.moment import check_end
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.applying.watch import Watch
from voxledger.catalog.vault import ActorKey

Deed: TypeAlias = Literal["place a legal hold", "renew a legal hold", "release a legal hold"]
"""What only an admin may do."""
Permit: TypeAlias = Callable[[Deed], None]
"""Raises an error when whoever acts may not do a deed."""
_BATCH = 1000
"""Most clips that one journal transaction puts under a hold, or takes from under it."""
_PURGES = frozenset({"PurgeStarted", "ClipPurged"})
_SQL = load("holds.sql", "voxledger.catalog.retention")


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """A hold as it stands. `clips` are all that it was placed on, `standing` those that it keeps at present; of those that it
    was not taken off `gone` have no audio any more, because they were erased, say.

    `owner` placed it, or renewed it last; None once erased, as is the reason. `late` are clips that it could not be placed
    on: their deletion began at the same moment.
    """

    id: str
    kind: Literal["ordinary", "legal"]
    reason: str | None
    owner: str | None
    placed: datetime
    until: datetime | None
    review: datetime | None
    clips: int
    standing: int
    gone: int
    state: Literal["open", "ended", "released"]
    released: datetime | None = None
    release_reason: str | None = None
    overdue: bool = False
    late: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """What releasing did: the clips that the hold no longer keeps."""

    hold: str
    clips: int

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def anybody(deed: Deed) -> None:
    """Everybody who can write to a HOME is its admin."""


class Holds:
    """Places, renews and releases holds in the name of one actor. `permit` is asked before every deed of an admin."""

    def __init__(self, recorder: Recorder, keeper: Keeper, actor: Callable[[], ActorKey], *, permit: Permit = anybody):
        self._recorder = recorder
        self._keeper = keeper
        self._actor = actor
        self._permit = permit

    def place(
        self,
        references: Sequence[str | Clip],
        *,
        plan: str | None,
        where: str | None,
        reason: str,
        until: datetime | None,
        legal: bool,
        review: datetime | None,
        now: datetime,
        progress: Counting | None = None,
    ) -> Hold:
        """See `Retention.hold`."""
        kind: Literal["ordinary", "legal"] = "legal" if legal else "ordinary"
        until, review = _checked(kind, reason, until, review, now)
        if legal:
            self._permit("place a legal hold")
        with asking(self._keeper, explain=explain) as reading:
            position = int(reading.tuples("SELECT position FROM projections WHERE name = 'catalog'")[0][0])
            clips = _chosen(reading, references, plan, where)
        fact = HoldPlaced(hold=secrets.token_hex(6), kind=kind, until=until, review=review, reason=reason.strip())
        watch = Watch(self._recorder.journal, position, ignoring=frozenset(REGISTRY) - _PURGES)
        late = self._record(fact, clips, watch=watch, progress=progress)
        if len(late) == len(clips):
            raise HoldError(
                f"nothing is held: the deletion of {_count(len(clips))} has begun meanwhile; look at them again"
            )
        return msgspec.structs.replace(self._one(fact.hold, now), late=tuple(late))

    def renew(
        self,
        identity: str,
        *,
        reason: str | None,
        until: datetime | None,
        review: datetime | None,
        now: datetime,
        progress: Counting | None = None,
    ) -> Hold:
        """See `Retention.renew`."""
        found = self._open(identity, now)
        kept = reason or found.reason or ""
        if found.kind == "legal":
            self._permit("renew a legal hold")
        until, review = _checked(found.kind, kept, until, review, now)
        fact = HoldPlaced(hold=found.id, kind=found.kind, until=until, review=review, reason=kept.strip())
        self._record(fact, self._clips(found.id), progress=progress)
        return self._one(found.id, now)

    def release(
        self, identity: str, *, reason: str | None, now: datetime, progress: Counting | None = None
    ) -> Released:
        """See `Retention.release`."""
        found = self._open(identity, now)
        if found.kind == "legal":
            self._permit("release a legal hold")
        clips = self._clips(found.id)
        self._record(HoldReleased(hold=found.id, kind=found.kind, reason=reason or None), clips, progress=progress)
        return Released(hold=found.id, clips=len(clips))

    def all(self, now: datetime, *, every: bool, due: bool) -> list[Hold]:
        """See `Retention.holds`."""
        with self._keeper.reading() as reading:
            rows = reading.rows(_SQL["holds"], {"id": None, "now": now})
        found = [self._hold(row, now) for row in rows]
        return [hold for hold in found if (every or hold.state == "open") and (hold.overdue or not due)]

    def overdue(self, now: datetime) -> int:
        """How many legal holds nobody has looked at again in time."""
        with self._keeper.reading() as reading:
            return int(reading.tuples(_SQL["overdue"], {"now": now})[0][0])

    def of(self, reading: Reading, clip: str, now: datetime) -> list[dict[str, Any]]:
        """The holds that a clip was ever under, the oldest first, each with `owner` and `ended_by`, who took it off."""
        rows = reading.rows(_SQL["of"], {"clip": clip, "now": now})
        return [
            {**row, "owner": self.label(row["actor_id"]), "ended_by": self.label(row["released_by"])} for row in rows
        ]

    def _record(
        self, fact: Fact, clips: Iterable[str], *, watch: Watch | None = None, progress: Counting | None = None
    ) -> list[str]:
        """Say this of each clip; gives those of which `watch` knows that it comes too late."""
        actor, late, done, chosen = self._actor(), list[str](), 0, list(clips)
        for batch in in_batches(chosen, _BATCH):
            drafts = {clip: self._recorder.draft(fact, subject=clip, actor=actor) for clip in batch}
            with self._recorder.journal.transaction() as write:
                if watch:
                    watch.catch_up()
                    gone = [clip for clip in batch if watch.objection(clip)]
                    late += gone
                    for clip in gone:
                        del drafts[clip]
                write.append(list(drafts.values()))
            done += len(batch)
            if progress:
                progress(done, len(chosen))
        return late

    def _clips(self, hold: str) -> list[str]:
        with self._keeper.reading() as reading:
            return [clip for (clip,) in reading.tuples(_SQL["on"], {"hold": hold})]

    def _one(self, identity: str, now: datetime) -> Hold:
        digits = identity.strip().lower()
        with self._keeper.reading() as reading:
            rows = reading.rows(_SQL["holds"], {"id": digits, "now": now}) if len(digits) >= 4 else []
        if len(rows) != 1:
            what = f"more than one hold is called {identity!r}" if rows else f"there is no hold {identity!r}"
            raise HoldError(f"{what}; `voxledger retention holds --every` lists them")
        return self._hold(rows[0], now)

    def _open(self, identity: str, now: datetime) -> Hold:
        found = self._one(identity, now)
        if found.state == "released":
            raise HoldError(f"hold {found.id} was released on {found.released:%Y-%m-%d} already")
        return found

    def _hold(self, row: dict[str, Any], now: datetime) -> Hold:
        state: Literal["open", "ended", "released"] = (
            "open" if row["standing"] else "ended" if row["unreleased"] else "released"
        )
        legal, review = row["kind"] == "legal", _utc(row["review"])
        return Hold(
            id=row["id"], kind="legal" if legal else "ordinary", reason=row["reason"] or None, owner=self.label(row["actor_id"]),
            placed=row["placed"].astimezone(UTC), until=_utc(row["until"]), review=review, clips=row["clips"],
            standing=row["standing"], gone=row["gone"], state=state, released=_utc(row["released"]) if state == "released" else None,
            release_reason=row["release_reason"] if state == "released" else None,
            overdue=state == "open" and legal and review is not None and review <= now,
        )  # fmt: skip

    def label(self, actor: str | None) -> str | None:
        """The name behind an opaque id; None once erased."""
        found = self._recorder.vault.key(actor) if actor else None
        return found.label if found else None


def _checked(
    kind: str, reason: str, until: datetime | None, review: datetime | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """End and review in UTC. Raises HoldError for a hold that says too little, or what does not go together."""
    if not reason.strip():
        raise HoldError("a hold needs a reason, for those who ask later why this is still here")
    if kind == "legal" and review is None:
        raise HoldError("a legal hold needs a day on which somebody looks at it again: give it a review date")
    if kind == "legal" and until is not None:
        raise HoldError("a legal hold does not end by itself: give it a day of review, and release it when it is over")
    if kind != "legal" and review is not None:
        raise HoldError("only a legal hold has a day of review; give an ordinary one an end")
    try:
        return (
            None if until is None else check_end(until, now=now),
            None if review is None else check_end(review, now=now, option="review"),
        )
    except QueryError as error:
        raise HoldError(str(error)) from None


def _chosen(reading: Reading, references: Sequence[str | Clip], plan: str | None, where: str | None) -> list[str]:
    """The clips that are meant. One that was named must still be there; of a plan or a condition only those that are count."""
    named = _named(reading, references)
    if gone := [clip for clip, is_gone in named.items() if is_gone]:
        few = ", ".join(clip[-8:] for clip in gone[:5]) + (", …" if len(gone) > 5 else "")
        raise HoldError(
            f"the deletion of {_count(len(gone))} has begun ({few}): a hold comes too late. Nothing is held;"
            " `voxledger retention restore` may bring them back"
        )
    wanted = dict.fromkeys(named)
    asked = bool(references)
    if plan is not None:
        asked = True
        found = reading.tuples(_SQL["marked"], {"plan": plan})
        if not found:
            raise HoldError(f"plan {plan!r} has marked no clip; `voxledger retention plan` shows what it would mark")
        wanted |= {clip: None for clip, gone in found if not gone}
    if where is not None:
        asked = True
        condition = check_condition(where)
        found = reading.tuples(_SQL["fitting"].replace("{condition}", condition))
        wanted |= {clip: None for clip, gone in found if not gone}
    if not asked:
        raise HoldError("nothing was named: give the ids of clips, a plan, or a condition")
    if not wanted:
        raise HoldError("no clip that is still here fits; nothing is held")
    return list(wanted)


def _named(reading: Reading, references: Sequence[str | Clip]) -> dict[str, bool]:
    """The clips that were named, and whether each one is going or gone. Raises ClipNotFound."""
    digits = [(reference, Clip.named(reference).replace("-", "")) for reference in references]
    whole = [str(UUID(found)) for _, found in digits if re.fullmatch(r"[0-9a-f]{32}", found)]
    known = dict(reading.tuples(_SQL["named"], {"ids": whole})) if whole else {}
    clips: dict[str, bool] = {}
    for reference, ending in digits:
        if re.fullmatch(r"[0-9a-f]{32}", ending):
            rows = [(key, known[key])] if (key := str(UUID(ending))) in known else []
        else:
            valid = re.fullmatch(r"[0-9a-f]{4,31}", ending)
            rows = reading.tuples(_SQL["ending"], {"digits": ending}) if valid else []
        if len(rows) > 1:
            raise ClipNotFound(f"more than one clip id ends in {reference!r}; give more of its digits")
        if not rows:
            raise ClipNotFound(f"there is no clip {reference!r}: give at least the last 4 hex digits of its id")
        clips[rows[0][0]] = rows[0][1]
    return clips


def _utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.astimezone(UTC)


def _count(number: int) -> str:
    return "1 clip" if number == 1 else f"{number:,} clips"
