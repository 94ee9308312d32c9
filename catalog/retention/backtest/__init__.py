"""Backtests: what policies would have deleted in the past, and which of it was wanted again."""

from voxledger.catalog.retention.backtest.backtest import MAX_REGRET, WORST, Asked, backtest, policies
from voxledger.catalog.retention.backtest.family import Family
from voxledger.catalog.retention.backtest.outcomes import Backtest, Outcome, Regret

__all__ = ["MAX_REGRET", "WORST", "Asked", "Backtest", "Family", "Outcome", "Regret", "backtest", "policies"]
