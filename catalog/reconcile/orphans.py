"""Orphans: objects that no clip accounts for. They are recorded, and adopted where they say which clip of this node they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from voxledger.catalog.errors import EventRejected, VaultError
from voxledger.catalog.events import Draft, ObjectOrphaned
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.parallel import in_parallel
from voxledger.catalog.progress import Progress
from voxledger.catalog.reconcile.around import Around
from voxledger.catalog.reconcile.findings import Finding, Reconciled
from voxledger.catalog.reconcile.reviving import named_by, revive
from voxledger.catalog.reconcile.scratch import Scratch
from voxledger.catalog.reconcile.since import Since
from voxledger.catalog.reconcile.telling import Found, Told, tell
from voxledger.catalog.recorder import SYSTEM
from voxledger.catalog.vault import ActorKey

_log = logging.getLogger(__name__)
_NOTES = {
    "unknown": "`voxledger adopt s3://{bucket}/{key}` makes it a clip, if it is audio",
    "purged": "retention deleted this clip, and the object is there again; nothing brings it back, delete it",
    "erased": "its person was erased, and the object is still there; delete it",
}


class _Orphan(NamedTuple):
    row: Mapping[str, Any]
    found: Found

    @property
    def reason(self) -> str:
        """unknown, purged or erased."""
        if self.row["nameless"]:
            return "erased"
        return "purged" if self.row["class"] == "purged" or self.row["gone"] else "unknown"


class Orphans:
    """Goes through the orphans of a scratch, and tells the report."""

    def __init__(
        self, around: Around, scratch: Scratch, since: Since, report: Reconciled, *, progress: Progress
    ) -> None:
        self._around = around
        self._scratch = scratch
        self._since = since
        self._report = report
        self._progress = progress

    def run(self, *, repair: bool) -> None:
        """Adopt what can be, where `repair` asks for it, and record the rest, unless it is on record already."""
        done = 0
        for rows in self._scratch.rows("orphans"):
            orphans = [_Orphan(row, _found(row)) for row in rows]
            left = self._adopt(orphans) if repair else [(orphan, "") for orphan in orphans]
            self._record(left)
            done += len(rows)
            self._progress("Orphans", done, None)

    def _adopt(self, orphans: list[_Orphan]) -> list[tuple[_Orphan, str]]:
        """Those that are left, each with why it was not adopted where that is not plain."""
        left = [(orphan, "") for orphan in orphans if orphan.reason != "unknown"]
        asked = (orphan for orphan in orphans if orphan.reason == "unknown")
        store, node = self._around.store, self._around.recorder.journal.node
        ready: list[tuple[_Orphan, Told, list[Draft]]] = []
        for orphan, told in in_parallel(
            lambda one: tell(store, one.found), asked, threads=self._around.threads, name="reconcile"
        ):
            if told is None:
                left.append((orphan, ""))
            elif told.description.node != node:
                # Nodes may share a bucket; without a node (objects of before) nobody can tell whose it is.
                self._report.elsewhere += bool(told.description.node)
                left.append((orphan, "another node put it there" if told.description.node else ""))
            else:
                drafts, why = self._revived(orphan, told)
                if drafts:
                    ready.append((orphan, told, drafts))
                else:
                    left.append((orphan, why))
        self._commit(ready)
        return left

    def _revived(self, orphan: _Orphan, told: Told) -> tuple[list[Draft], str]:
        known = dict(self._scratch.execute("clips_by_id", {"clips": [told.description.clip]}))
        if known:
            gone = known[told.description.clip]
            return [], "its clip was purged or erased" if gone else "a copy of a clip that is where it should be"
        if told.description.actor and self._is_erased(told.description.actor):
            return [], "its person was erased"
        try:
            return revive(
                told,
                orphan.found,
                self._around.recorder,
                template=self._around.settings.store.key,
                actor=self._around.actor,
            )[0], ""
        except (VaultError, EventRejected) as error:
            _log.warning("an orphan could not be adopted (%s)", type(error).__name__)
            return [], "it says what cannot be"

    def _is_erased(self, actor: str) -> bool:
        """Whether its key was destroyed, or it is being erased: then it has no name any more."""
        key = self._around.recorder.vault.key(actor)
        return key is None or key.label is None

    def _commit(self, ready: list[tuple[_Orphan, Told, list[Draft]]]) -> None:
        if not ready:
            return
        adopted = []
        failpoint("reconcile.before_adopting")
        with self._around.recorder.journal.transaction() as write:
            for orphan, told, drafts in ready:
                # An erasure takes the name away in a transaction of its own: before this one, or after it.
                erased = any(self._is_erased(draft.actor) for draft in drafts)
                if erased or self._since.touched(told.description.clip):
                    self._report.unsure += 1
                    continue
                for draft in drafts:
                    self._since.mine(draft.id)
                write.append(drafts)
                self._report.recorded += len(drafts)
                adopted.append((orphan, told))
        for orphan, told in adopted:
            self._report.orphans += 1
            self._report.adopted += 1
            self._tell(orphan, "adopted: it said what it is", clip=told.description.clip, mended=True)

    def _record(self, left: list[tuple[_Orphan, str]]) -> None:
        hashed: Callable[[_Orphan], str] = lambda orphan: self._around.recorder.vault.keyed_hash(  # noqa: E731  # used twice
            f"{orphan.found.bucket}\0{orphan.found.key}".encode(), purpose="object"
        )
        subjects = {hashed(orphan): orphan for orphan, _ in left}
        known = dict(self._scratch.execute("known_orphans", {"subjects": list(subjects)})) if subjects else {}
        drafts = [
            self._draft(subject, orphan)
            for subject, orphan in subjects.items()
            if known.get(subject) != orphan.found.etag
        ]
        self._around.recorder.journal.emit(*drafts) if drafts else None
        self._report.recorded += len(drafts)
        for orphan, why in left:
            if orphan.reason == "unknown":
                self._report.orphans += 1
            else:
                self._report.purged += 1
            note = why or _NOTES[orphan.reason].format(bucket=orphan.found.bucket, key=orphan.found.key)
            self._tell(orphan, note, clip=orphan.row["clip"], mended=False)

    def _draft(self, subject: str, orphan: _Orphan) -> Draft:
        found, reason = orphan.found, orphan.reason
        owner = self._owner(orphan)
        fact = ObjectOrphaned(
            bucket=found.bucket,
            reason="erased" if reason == "erased" else "purged" if reason == "purged" else "unknown",
            clip=orphan.row["clip"],
            bytes=found.bytes,
            etag=found.etag,
            modified=found.modified,
            # What named an erased person is not written down again.
            key="" if owner is None else found.key,
        )
        actor = owner or self._around.recorder.vault.actor(SYSTEM)
        return self._around.recorder.draft(fact, subject=subject, actor=actor)

    def _owner(self, orphan: _Orphan) -> ActorKey | None:
        """Whose words the key holds, so that erasing them erases it; None for somebody who was erased."""
        vault = self._around.recorder.vault
        if orphan.reason == "erased":
            return None
        if orphan.row["actor_id"]:
            return vault.key(orphan.row["actor_id"])
        label = named_by(self._around.settings.store.key, orphan.found.key).get("actor")
        known = vault.known(label) if label else None
        return known or vault.actor(SYSTEM)

    def _tell(self, orphan: _Orphan, note: str, *, clip: str | None, mended: bool) -> None:
        found = orphan.found
        kind = "orphan" if orphan.reason == "unknown" else "purged"
        self._report.add(
            Finding(
                kind="orphan" if kind == "orphan" else "purged", clip=clip, bucket=found.bucket, key=found.key, bytes=found.bytes,
                mended=mended, note=note,
            )
        )  # fmt: skip


def _found(row: Mapping[str, Any]) -> Found:
    return Found(row["bucket"], row["key"], row["bytes"], row["etag"], row["modified"], row["record_bytes"])
