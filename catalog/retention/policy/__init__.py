"""Policies: what the settings ask of retention, checked and made ready to be evaluated."""

from voxledger.catalog.retention.policy.compiling import Problem, compiled
from voxledger.catalog.retention.policy.expressions import Expression
from voxledger.catalog.retention.policy.policy import Budget, KeepRule, Newest, Policy, Rule
from voxledger.catalog.retention.policy.window import Window

__all__ = ["Budget", "Expression", "KeepRule", "Newest", "Policy", "Problem", "Rule", "Window", "compiled"]
