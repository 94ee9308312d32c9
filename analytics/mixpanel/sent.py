"""Sent: what Mixpanel was told about one person."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.analytics.mixpanel.delivery import NAME
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY, translate
from voxledger.catalog.queries import load
from voxledger.catalog.subscriptions import LoggedEvent

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

_PAGE = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SQL = load("sent.sql", "voxledger.analytics.mixpanel")


def sent(keeper: Keeper, actor: str) -> dict[str, Any]:
    """Up to where delivery has come: how many events of each name, and the properties that they had."""
    after, cursor = 0, keeper.journal.cursor(NAME)
    counts: dict[str, int] = defaultdict(int)
    properties: dict[str, set[str]] = defaultdict(set)
    while True:
        with keeper.reading(fresh=False) as reading:
            values = {"actor": actor, "after": after, "last": cursor, "types": sorted(VOCABULARY), "limit": _PAGE}
            rows = reading.tuples(_SQL["of_actor"], values)
        if not rows:
            break
        after = rows[-1][0]
        for position, identity, kind, subject, time_us, version, data in rows:
            event = LoggedEvent(
                position=position, id=identity, type=kind, subject=subject, time=_EPOCH + timedelta(microseconds=time_us),
                actor=actor, version=version, data=msgspec.json.decode(data),
            )  # fmt: skip
            if told := translate(event):
                counts[told[0]] += 1
                properties[told[0]].update(told[1])
    return {
        "distinct_id": actor,
        "delivered_through": cursor,
        "events": {name: {"count": counts[name], "properties": sorted(properties[name])} for name in sorted(counts)},
    }
