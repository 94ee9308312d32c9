"""Links: short-lived addresses of the clips that go next, so that whoever reads the report can hear them before they decide."""

from __future__ import annotations

from collections.abc import Mapping

from voxledger.analytics.report.weekly import WeeklyReport
from voxledger.catalog.objects import Store


def links(report: WeeklyReport, store: Store, seconds: int) -> Mapping[str, str]:
    """Addresses by clip id, good for so many seconds (7 days at most); none where the store serves this machine alone, and none
    of what is not in the store.

    Nothing is asked of the store. They do not count as use: a page that lists what goes next would otherwise keep it for ever.
    """
    if not seconds or store.is_embedded:
        return {}
    return {
        clip.clip: store.presign(clip.bucket, clip.key, seconds)
        for clip in report.retention.expiring
        if clip.bucket and clip.key and clip.audio == "stored"
    }
