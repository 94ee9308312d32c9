"""The journal: the durable inbox in front of the log."""

from voxledger.catalog.journal.journal import MOST_BYTES, Journal
from voxledger.catalog.journal.records import UPLOAD, Cursor, Fingerprint, OpenTask, Task, TaskCount
from voxledger.catalog.journal.transaction import Transaction

__all__ = ["MOST_BYTES", "UPLOAD", "Cursor", "Fingerprint", "Journal", "OpenTask", "Task", "TaskCount", "Transaction"]
