"""The journal: the durable inbox in front of the log."""

from voxledger.catalog.journal.journal import MOST_BYTES, Journal
from voxledger.catalog.journal.mark import Mark
from voxledger.catalog.journal.records import UPLOAD, Cursor, Epoch, Fingerprint, OpenTask, Reason, Task, TaskCount, Use
from voxledger.catalog.journal.transaction import Transaction

__all__ = [
    "MOST_BYTES",
    "UPLOAD",
    "Cursor",
    "Epoch",
    "Fingerprint",
    "Journal",
    "Mark",
    "OpenTask",
    "Reason",
    "Task",
    "TaskCount",
    "Transaction",
    "Use",
]
