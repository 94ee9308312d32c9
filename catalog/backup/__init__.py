"""Backup: a HOME at one moment, put away so that it can be proved, restored on another machine, and pruned."""

from voxledger.catalog.backup.backups import Backups, Entry, Source, rules_of
from voxledger.catalog.backup.bringing import Brought
from voxledger.catalog.backup.bucket import Bucket, Listed
from voxledger.catalog.backup.contents import Manifest
from voxledger.catalog.backup.creating import Created
from voxledger.catalog.backup.keeping import Candidate, Decision, Rules, decide
from voxledger.catalog.backup.pruning import Pruned
from voxledger.catalog.backup.restoring import Restored
from voxledger.catalog.backup.verifying import Checked

__all__ = [
    "Backups",
    "Brought",
    "Bucket",
    "Candidate",
    "Checked",
    "Created",
    "Decision",
    "Entry",
    "Listed",
    "Manifest",
    "Pruned",
    "Restored",
    "Rules",
    "Source",
    "decide",
    "rules_of",
]
