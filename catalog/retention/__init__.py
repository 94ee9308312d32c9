"""Retention: decisions about audio that explain themselves. Policy, plan, mark, grace, purge."""

from voxledger.catalog.retention.applying.executor import Applied, Note
from voxledger.catalog.retention.applying.restoring import Back, Restored
from voxledger.catalog.retention.applying.store import Deletable
from voxledger.catalog.retention.applying.undo import Undone
from voxledger.catalog.retention.explaining import Explanation
from voxledger.catalog.retention.holds import Hold, Released
from voxledger.catalog.retention.nights import Ran, Standing, Stopped, Waiting
from voxledger.catalog.retention.planning import Amount, BudgetSummary, Fuse, KeepSummary, Plan, RuleSummary
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.retention.retention import Retention

__all__ = [
    "Amount",
    "Applied",
    "Back",
    "BudgetSummary",
    "Deletable",
    "Explanation",
    "Fuse",
    "Hold",
    "KeepSummary",
    "Note",
    "Plan",
    "Policy",
    "Ran",
    "Released",
    "Restored",
    "Retention",
    "RuleSummary",
    "Standing",
    "Stopped",
    "Undone",
    "Waiting",
]
