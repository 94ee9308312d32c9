"""The reconciler: the whole of a bucket against the whole of the catalog. Differences become events and a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain
from typing import Any

from voxledger.catalog.errors import StoreError
from voxledger.catalog.events import AudioStored, Draft, Fact, ObjectMissing, ObjectVerified, now
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.reconcile.around import Around, workplace
from voxledger.catalog.reconcile.findings import Finding, Kind, Reconciled
from voxledger.catalog.reconcile.looking import Seen, look
from voxledger.catalog.reconcile.orphans import Orphans
from voxledger.catalog.reconcile.repairing import Repairs
from voxledger.catalog.reconcile.scratch import Scratch
from voxledger.catalog.reconcile.since import Since

GRACE = 3600.0
"""Seconds; younger objects and clips are left alone."""
_BATCH = 500
"""Most clips that one journal transaction is about."""
_FEW = 10
"""So many clips may be missing at once without making anybody suspicious of the listing."""


def reconcile(
    around: Around,
    *,
    repair: bool = False,
    accept_loss: bool = False,
    grace: float = GRACE,
    progress: Progress = silent,
) -> Reconciled:
    """Compare what the store lists with what the catalog holds, record what differs, and say so.

    Nothing is deleted, and nothing overwritten. `repair` uploads missing clips again from the cache, and adopts orphans
    that say which clip of this node they are. What is recorded already is not recorded again, so a run that was cut off
    is simply repeated. Memory does not grow with the bucket.

    Raises StoreError when the listing fails, is empty though clips should be there, or lacks most of them (`accept_loss` is for
    whoever knows that they are lost); then nothing was recorded. Raises CatalogBusy while another run goes on.
    """
    with workplace(around.home) as folder, Scratch.open(folder) as scratch:
        return _Run(around, scratch, repair=repair, grace=grace, progress=progress).run(accept_loss=accept_loss)


class _Run:
    def __init__(self, around: Around, scratch: Scratch, *, repair: bool, grace: float, progress: Progress) -> None:
        self._around = around
        self._scratch = scratch
        self._recorder = around.recorder
        self._recent = now() - timedelta(seconds=grace)
        self._progress = progress
        self._repair = repair
        self.report = Reconciled()

    def run(self, *, accept_loss: bool) -> Reconciled:
        """The catalog after the listing: what was stored meanwhile is younger than the grace, what was purged is known."""
        report, scratch, store = self.report, self._scratch, self._around.store
        own = self._around.settings.store.audio
        report.objects = scratch.list_bucket(store, own, progress=self._progress)
        position = scratch.copy_catalog(self._around, progress=self._progress)
        others = sorted(bucket for (bucket,) in scratch.execute("buckets") if bucket != own)
        for bucket in others:
            report.objects += scratch.list_bucket(store, bucket, progress=self._progress)
        report.buckets = (own, *others)
        scratch.compare(recent=self._recent, own=own)
        self._check(accept_loss)
        self._count()
        since = Since(self._around.recorder.journal, position)
        with Repairs(self._around, since) as repairs:
            self._clips(since, repairs if self._repair else None)
            Orphans(self._around, scratch, since, report, progress=self._progress).run(repair=self._repair)
        return report

    def _check(self, accept_loss: bool) -> None:
        for bucket, expected, absent, objects in self._scratch.execute("expected"):
            if not expected or accept_loss:
                continue
            if not objects:
                raise StoreError(
                    f"the bucket {bucket} lists nothing, though {expected:,} clips should be in it. Is it the right endpoint"
                    f" ({self._around.store.endpoint or 'the embedded store'}), and the right bucket (store.audio)? Nothing was"
                    " recorded. If they really are lost: `voxledger reconcile --accept-loss`",
                    code="EmptyListing",
                )
            if absent > _FEW and 2 * absent > expected:
                raise StoreError(
                    f"the bucket {bucket} lacks {absent:,} of the {expected:,} clips that should be in it: more likely it is"
                    " another bucket, or the listing ended early. Nothing was recorded. If they really are lost:"
                    " `voxledger reconcile --accept-loss`",
                    code="MostMissing",
                )

    def _count(self) -> None:
        report = self.report
        for kind, count, size in self._scratch.execute("counts"):
            if kind in ("there", "back"):
                report.there += count
                report.bytes += size
            if kind in ("recent", "purging"):
                setattr(report, kind, count)
        report.nameless = int(self._scratch.execute("nameless")[0][0])

    def _clips(self, since: Since, repairs: Repairs | None) -> None:
        """The clips whose audio is not where it should be, or is where nobody knew it was."""
        classes = {"classes": ["absent", "other", "back", "unconfirmed"]}
        rows = chain.from_iterable(self._scratch.rows("of_class", classes))
        looked = in_parallel(
            lambda row: look(self._around.store, row), rows, threads=self._around.threads, name="reconcile"
        )
        done = 0
        for batch in in_batches(looked, _BATCH):
            self._settle(batch, since, repairs)
            done += len(batch)
            self._progress("Looking closer", done, None)
        for unsent in self._scratch.rows("of_class", {"classes": ["unsent"]}):
            waiting = self._around.recorder.journal
            rest = [row for row in unsent if not _waits(waiting, row["clip"])]
            self._settle([(row, Seen("absent", "listing")) for row in rest], since, repairs)

    def _settle(self, batch: Sequence[tuple[dict[str, Any], Seen]], since: Since, repairs: Repairs | None) -> None:
        """Record what is new about a batch of clips, and queue their repair, in one transaction."""
        ready = repairs.prepare([row for row, seen in batch if seen.state == "absent"]) if repairs else {}
        failpoint("reconcile.after_prepared")
        outcomes: list[tuple[dict[str, Any], Seen, bool]] = []
        drafts: list[Draft] = []
        unsure = 0
        with self._recorder.journal.transaction() as write:
            for row, seen in batch:
                if since.touched(row["clip"]):
                    unsure += 1
                    continue
                queued = seen.state == "absent" and row["clip"] in ready
                if queued and repairs:
                    repairs.queue(write, ready[row["clip"]])
                elif seen.state != "there" and not self._is_cached(row["key"]):
                    write.forget(row["clip"])  # whoever asks for the same again gets audio that can be played
                drafts += self._drafts(row, seen)
                outcomes.append((row, seen, queued))
            for draft in drafts:
                since.mine(draft.id)
            write.append(drafts)
            failpoint("reconcile.before_commit")
        failpoint("reconcile.after_commit")
        self.report.recorded += len(drafts)
        self.report.unsure += unsure
        for row, seen, queued in outcomes:
            self._tell(row, seen, queued=queued, wanted=repairs is not None)

    def _is_cached(self, key: str) -> bool:
        try:
            return (self._around.home.cache / key).is_file()
        except (OSError, ValueError):  # a key of an adopted object, which may be no path at all
            return False

    def _drafts(self, row: Mapping[str, Any], seen: Seen) -> list[Draft]:
        fact = _fact(row, seen)
        key = self._recorder.vault.key(row["actor_id"])
        # An actor who was erased meanwhile: then nothing more is written about the clip, and its key to nowhere.
        return [self._recorder.draft(fact, subject=row["clip"], actor=key)] if fact and key else []

    def _tell(self, row: Mapping[str, Any], seen: Seen, *, queued: bool, wanted: bool) -> None:
        report, kind = self.report, row["class"]
        if seen.state == "there":
            report.back += bool(row["missing"])
            report.confirmed += kind == "unconfirmed"
            report.there += kind in ("absent", "other", "unconfirmed")
            report.bytes += row["bytes"] if kind in ("absent", "other", "unconfirmed") else 0
            return
        name: Kind = "unsent" if kind == "unsent" else "changed" if seen.state == "changed" else "missing"
        setattr(report, name, getattr(report, name) + 1)
        report.queued += queued
        note = _note(name, queued=queued, wanted=wanted)
        report.add(
            Finding(
                kind=name,
                clip=row["clip"],
                bucket=row["bucket"],
                key=row["key"],
                bytes=row["bytes"],
                mended=queued,
                note=note,
            )
        )


def _fact(row: Mapping[str, Any], seen: Seen) -> Fact | None:
    """What there is to record about a clip; None when the log says it already."""
    place = {"bucket": row["bucket"], "bytes": row["bytes"], "key": row["key"]}
    if seen.state == "there" and row["class"] == "unconfirmed":
        return AudioStored(**place, etag=seen.etag or "", attempts=0, transfer_us=0, waited_us=0)
    if seen.state == "there":
        # A listing that was behind, contradicted by a look, is no news.
        news = row["missing"] or row["class"] == "other"
        return ObjectVerified(**place, method=seen.method, etag=seen.etag or "") if news else None
    if row["missing"] or row["class"] in ("unsent", "unconfirmed"):
        return None
    absent = seen.state == "absent"
    return ObjectMissing(
        **place,
        state="absent" if absent else "changed",
        found_bytes=None if absent else seen.bytes,
        found_etag=None if absent else seen.etag,
    )


def _note(kind: Kind, *, queued: bool, wanted: bool) -> str:
    if queued:
        return "uploaded again from the cache"
    if kind == "changed":
        return "other bytes lie under its key and are not overwritten; look at them, move them away, and repair then"
    if wanted:
        return "the cache does not have it either, only a backup may"
    return "`voxledger reconcile --repair` uploads it again if the cache has it"


def _waits(journal: Any, clip: str) -> bool:
    from voxledger.catalog.journal import UPLOAD

    return bool(journal.open_tasks(UPLOAD, [clip]))
