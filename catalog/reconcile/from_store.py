"""From the store: an empty HOME gets its catalog back from what lies beside the objects of its bucket, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog import tombstones
from voxledger.catalog.errors import EventRejected, HomeError, StoreError, VaultError
from voxledger.catalog.events import Draft
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.parallel import in_batches, in_parallel
from voxledger.catalog.progress import Progress, silent
from voxledger.catalog.reconcile.around import Around, workplace
from voxledger.catalog.reconcile.reviving import revive
from voxledger.catalog.reconcile.scratch import Scratch
from voxledger.catalog.reconcile.telling import Found, Told, tell

CURSOR = "rebuild-from-store"
"""Says in the journal that this HOME was begun from its store, so that a run that was cut off may go on."""
_BATCH = 500


class Rebuilt(msgspec.Struct, kw_only=True):
    """What came back. Filled while it runs."""

    objects: int = 0
    """Objects in the bucket, records not counted."""
    whole: int = 0
    """Clips that came back as they were recorded once, what is personal included."""
    open: int = 0
    """Clips that came back with what is known in the open: their records are not there, or the vault lacks their keys."""
    known: int = 0
    """Clips that an earlier run had brought back."""
    unknown: int = 0
    """Objects that do not say what they are; `voxledger adopt` makes clips of those that are audio."""
    bytes: int = 0
    """Of the clips that came back."""
    duration_us: int = 0
    """Likewise."""

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class _Revived(NamedTuple):
    told: Told | None
    found: Found
    drafts: list[Draft]
    whole: bool


def rebuild_from_store(around: Around, *, progress: Progress = silent) -> Rebuilt:
    """Fill an empty HOME from the bucket of clips: from the records beside the objects, else from their metadata.

    Records hold personal fields sealed: put the vault into HOME before this, and clips come back as they were; without it
    they come back with their open fields, called what their keys call them. A run that was cut off goes on when it is
    called again. Raises HomeError for a HOME that has clips of its own, StoreError when the bucket is empty or nobody
    answers, CatalogBusy.
    """
    journal = around.recorder.journal
    if journal.head() and not any(cursor.name == CURSOR for cursor in journal.cursors()):
        raise HomeError(
            f"{around.home.path} has a log of its own, which a rebuild from the store would not be the same as. Name an"
            " empty folder with --home; for this one, `voxledger rebuild` folds its log anew, and"
            " `voxledger reconcile --repair` takes back what its bucket holds"
        )
    rebuilt = Rebuilt()
    bucket = around.settings.store.audio
    stones = tombstones.everywhere((around.store, around.settings.store.events))
    tombstones.destroy(stones, around.recorder)  # whoever was erased since that vault was saved never comes back
    with workplace(around.home) as folder, Scratch.open(folder) as scratch:
        rebuilt.objects = scratch.list_bucket(around.store, bucket, progress=progress)
        if not rebuilt.objects:
            raise StoreError(
                f"the bucket {bucket} lists nothing at {around.store.endpoint or 'the embedded store'}: check"
                " store.endpoint and store.audio. Nothing was recorded",
                code="EmptyListing",
            )
        with journal.transaction() as write:
            write.move_cursor(CURSOR, 1, note="this HOME was begun from its store")
        scratch.copy_catalog(around, progress=progress)
        left = sum(1 for _ in _strangers(scratch))
        rebuilt.known = rebuilt.objects - left
        done = 0
        asked = in_parallel(
            lambda one: _revive(around, one), _strangers(scratch), threads=around.threads, name="reconcile"
        )
        for batch in in_batches((revived for _, revived in asked), _BATCH):
            journal.emit(*(draft for revived in batch for draft in revived.drafts))
            failpoint("adopt.after_commit")
            _count(rebuilt, batch)
            done += len(batch)
            progress("Bringing clips back", done, left)
    tombstones.record(stones, around.recorder, around.keeper)
    around.keeper.drain()
    return rebuilt


def _strangers(scratch: Scratch) -> Iterator[Found]:
    for rows in scratch.rows("strangers"):
        yield from (Found(**row) for row in rows)


def _revive(around: Around, found: Found) -> _Revived:
    told = tell(around.store, found)
    if told is None or around.recorder.vault.destroyed(told.description.actor):
        return _Revived(None, found, [], False)
    try:
        drafts, whole = revive(told, found, around.recorder, template=around.settings.store.key, actor=around.actor)
    except (VaultError, EventRejected):
        # Erased in the vault that was brought along, or a record that says what cannot be.
        return _Revived(None, found, [], False)
    return _Revived(told, found, drafts, whole)


def _count(rebuilt: Rebuilt, batch: Sequence[_Revived]) -> None:
    for revived in batch:
        if revived.told is None:
            rebuilt.unknown += 1
            continue
        rebuilt.whole += revived.whole
        rebuilt.open += not revived.whole
        rebuilt.bytes += revived.found.bytes
        rebuilt.duration_us += revived.told.description.duration_us
