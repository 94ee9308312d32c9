"""The policy's place in the log: each policy under which something is applied is recorded once, with its text."""

from __future__ import annotations

import math

from voxledger.catalog.events import Draft, PolicyChanged
from voxledger.catalog.log import Keeper
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.retention.policy import Policy
from voxledger.catalog.vault import ActorKey

_SQL = load("nights.sql", "voxledger.catalog.retention")
_MICROSECONDS = 1_000_000


def policy_drafts(policy: Policy, recorder: Recorder, keeper: Keeper, actor: ActorKey) -> list[Draft]:
    """What records the policy, and nothing when it is the one that was recorded last.

    It is recorded together with the plan, so that no run can come between.
    """
    with keeper.reading(fresh=False) as reading:
        found = reading.tuples(_SQL["policy"])
    previous = str(found[0][0]) if found else None
    if previous == policy.hash:
        return []
    fact = PolicyChanged(
        policy=policy.hash, previous=previous, keep_rules=len(policy.keep), expire_rules=len(policy.rules),
        budgets=len(policy.budgets), grace_us=round(policy.grace.total_seconds() * _MICROSECONDS),
        minimum_age_us=round(policy.minimum_age.total_seconds() * _MICROSECONDS), max_clips=policy.max_clips,
        max_bytes=policy.max_bytes or None, max_percent=math.ceil(policy.max_percent), text=policy.text,
    )  # fmt: skip
    return [recorder.draft(fact, subject=policy.hash, actor=actor)]
