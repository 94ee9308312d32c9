"""Quarantine: events that Mixpanel refused for good. They are in the log, with the reason, and can be sent again after a fix."""

from __future__ import annotations

from voxledger.analytics.mixpanel.answers import Accepted
from voxledger.analytics.mixpanel.insisting import Censor
from voxledger.analytics.mixpanel.messages import Parcel
from voxledger.analytics.mixpanel.names import NAME
from voxledger.catalog.events import DeliveryQuarantined, Draft
from voxledger.catalog.recorder import SYSTEM, Recorder


def refusals(recorder: Recorder, parcel: Parcel, verdict: Accepted, safe: Censor) -> list[Draft]:
    """What to record of the rows that Mixpanel refused."""
    system = recorder.vault.actor(SYSTEM)
    return [
        recorder.draft(
            DeliveryQuarantined(
                subscription=NAME,
                refused_type=parcel.messages[row.index].type,
                field=safe(row.field),
                reason=safe(row.reason),
            ),
            subject=parcel.messages[row.index].id,
            actor=system,
        )
        for row in verdict.refused
    ]
