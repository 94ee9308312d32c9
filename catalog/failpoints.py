"""Failpoints: named places where a test lets this process end as a power cut would end it.

A testing device and nothing else. Set `VOXLEDGER_FAILPOINT=NAME` (or `NAME:N`, for the N-th time that the place is
reached) before a process starts, and it sends itself SIGKILL there: no handler runs, nothing is flushed. Without the
variable a failpoint is a function that does nothing. A name that nobody knows is an error when this module is imported,
so that a test never passes because of a slip of the pen.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable

from voxledger.catalog.errors import SettingsError

VARIABLE = "VOXLEDGER_FAILPOINT"
KNOWN = frozenset(
    [
        "journal.before_begin",
        "journal.after_insert",
        "journal.before_commit",
        "journal.after_commit",
        "journal.after_mark",
        "log.before_append",
        "log.after_append",
        "log.before_commit",
        "log.after_commit",
        "create.after_statement",
        "fold.before_commit",
        "fold.after_commit",
        "segment.after_write",
        "segment.after_fsync",
        "log.before_checkpoint",
        "log.after_checkpoint",
        "prune.before_commit",
        "prune.after_commit",
        "rebuild.after_piece",
        "rebuild.before_swap",
        "rebuild.after_swap",
        "voices.after_copy",
        "upload.after_create",
        "upload.after_part",
        "upload.before_complete",
        "upload.after_send",
        "cache.after_unlink",
        "fetch.after_range",
        "fetch.before_publish",
        "fetch.after_publish",
        "models.after_pushed_file",
        "models.before_manifest",
        "models.after_manifest",
        "models.after_pulled_file",
        "models.before_folder",
        "models.after_folder",
        "reconcile.after_prepared",
        "reconcile.before_adopting",
        "reconcile.before_commit",
        "reconcile.after_commit",
        "adopt.after_copy",
        "adopt.before_commit",
        "adopt.after_commit",
        "backup.after_copy",
        "backup.after_chunk",
        "backup.before_manifest",
        "backup.after_manifest",
        "backup.after_forgotten",
        "restore.after_file",
        "restore.after_settled",
        "restore.after_drained",
        "restore.before_moving",
        "restore.after_moved",
        "purge.before_commit",
        "purge.after_start",
        "purge.after_delete",
        "purge.after_record",
        "undo.after_batch",
        "retrieve.after_fetch",
        "retrieve.after_upload",
        "erasure.after_asked",
        "erasure.after_started",
        "erasure.after_deleted",
        "erasure.after_manifest",
        "erasure.between_manifests",
        "erasure.before_key",
        "erasure.after_key",
        "erasure.before_end",
        "reports.after_rewritten",
        "reports.after_files",
        "reports.after_recorded",
        "reports.before_sending",
        "reports.after_sending",
        "reports.after_delivered",
        "mixpanel.after_queued",
        "mixpanel.after_asked",
    ]
)
"""The names there are: the room, then the place in it."""


def armed(setting: str) -> Callable[[str], None]:
    """What `failpoint` does under a setting of the variable. Raises SettingsError for one that nobody knows."""
    if not setting:
        return _nothing
    name, colon, count = setting.partition(":")
    if name not in KNOWN:
        raise SettingsError(
            f"{VARIABLE}={setting} names no failpoint; choose one of {', '.join(sorted(KNOWN))}", name=VARIABLE
        )
    if colon and not (count.isascii() and count.isdigit() and int(count)):
        raise SettingsError(f"{VARIABLE}={setting}: after the colon stands a number from 1 on", name=VARIABLE)
    last = int(count) if colon else 1
    reached = itertools.count(1)  # its next() is atomic, so that threads count together

    def die_here(place: str) -> None:
        if place == name and next(reached) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return die_here


def _nothing(place: str) -> None:
    """The variable is not set."""


failpoint: Callable[[str], None] = armed(os.environ.get(VARIABLE, ""))
"""Call it with a name of KNOWN where a test may want the process to end."""
