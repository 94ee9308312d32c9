"""Planning: what a policy would do, clip by clip, with the reasons."""

from voxledger.catalog.retention.planning.amounts import Amount, BudgetSummary, Fuse, KeepSummary, RuleSummary
from voxledger.catalog.retention.planning.plan import Plan

__all__ = ["Amount", "BudgetSummary", "Fuse", "KeepSummary", "Plan", "RuleSummary"]
