"""Delivery to Mixpanel: a subscription over the log that posts to `/import`."""

from voxledger.analytics.mixpanel.backfill import Backfilled
from voxledger.analytics.mixpanel.comparing import Comparison, Difference
from voxledger.analytics.mixpanel.delivery import Delivered
from voxledger.analytics.mixpanel.identity import Told
from voxledger.analytics.mixpanel.lexicon import lexicon
from voxledger.analytics.mixpanel.profiles import Profiled
from voxledger.analytics.mixpanel.project import Mixpanel, Status, Waiting
from voxledger.analytics.mixpanel.quarantine import Quarantined, Reason, Retried
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY

__all__ = [
    "VOCABULARY",
    "Backfilled",
    "Comparison",
    "Delivered",
    "Difference",
    "Mixpanel",
    "Profiled",
    "Quarantined",
    "Reason",
    "Retried",
    "Status",
    "Told",
    "Waiting",
    "lexicon",
]
