"""Publishing: a weekly report is made when its week is over, and goes to each channel once: folder, bucket, mail, webhook."""

from voxledger.analytics.publishing.bucket import Bucket
from voxledger.analytics.publishing.channel import Channel, Parcel
from voxledger.analytics.publishing.claims import Claims
from voxledger.analytics.publishing.deciding import Due, Publication, due
from voxledger.analytics.publishing.errors import (
    ChannelAway,
    ChannelRefused,
    DeliveryUnknown,
    NotDelivered,
    NotPublished,
    PublishingStopped,
    SentElsewhere,
)
from voxledger.analytics.publishing.mail import Mail
from voxledger.analytics.publishing.publisher import Outdated, Published, Publisher
from voxledger.analytics.publishing.revisions import Revisions
from voxledger.analytics.publishing.sending import Sender, Sent
from voxledger.analytics.publishing.standing import AtChannel, Listed, Standing
from voxledger.analytics.publishing.tasks import Errand
from voxledger.analytics.publishing.timing import Weekly
from voxledger.analytics.publishing.webhook import Webhook

__all__ = [
    "AtChannel",
    "Bucket",
    "Channel",
    "ChannelAway",
    "ChannelRefused",
    "Claims",
    "DeliveryUnknown",
    "Due",
    "Errand",
    "Listed",
    "Mail",
    "NotDelivered",
    "NotPublished",
    "Outdated",
    "Parcel",
    "Publication",
    "Published",
    "Publisher",
    "PublishingStopped",
    "Revisions",
    "Sender",
    "Sent",
    "SentElsewhere",
    "Standing",
    "Webhook",
    "Weekly",
    "due",
]
