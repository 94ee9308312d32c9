"""Delivery to Mixpanel: a subscription over the log that posts to `/import`."""

from voxledger.analytics.mixpanel.delivery import Delivered
from voxledger.analytics.mixpanel.project import Mixpanel, Status
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY

__all__ = ["VOCABULARY", "Delivered", "Mixpanel", "Status"]
