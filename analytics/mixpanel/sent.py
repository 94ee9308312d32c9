"""Sent: what Mixpanel was told about one person."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.analytics.mixpanel.audience import opted_out
from voxledger.analytics.mixpanel.lines import lines
from voxledger.analytics.mixpanel.names import NAME
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.analytics.mixpanel.vocabulary import VOCABULARY
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.queries import load
from voxledger.catalog.subscriptions import raw_events

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

_PAGE = 100_000
"""Positions of the log that are read at a time."""
_SQL = load("sent.sql", "voxledger.analytics.mixpanel")


def sent(keeper: Keeper, settings: catalog_settings.Mixpanel, actor: str) -> dict[str, Any]:
    """Up to where delivery has come: how many events of each name, and the properties that they had.

    `analytics` is `off` where the settings leave this person out: then these are the most that can have been told before.
    """
    after, cursor = 0, keeper.journal.cursor(NAME)
    key = keeper.recorder.vault.key(actor)
    off = {actor, key.label if key else None} & set(opted_out(settings))
    counts: dict[str, int] = defaultdict(int)
    properties: dict[str, set[str]] = defaultdict(set)
    while after < cursor:
        last = min(after + _PAGE, cursor)
        with keeper.reading(fresh=False) as reading:
            values = {"actor": actor, "after": after, "last": last, "types": sorted(VOCABULARY)}
            events = raw_events(reading.table(_SQL["of_actor"], values))
        after = last
        for event in events:
            told = lines(event.type).told(event.data or b"{}")
            counts[told.name] += 1
            properties[told.name].update(msgspec.json.decode(b"{" + told.properties[1:] + b"}"))
    return {
        "distinct_id": actor,
        "names": list(ToldNames(keeper.home.path).of(actor)),
        "analytics": "off" if off else "on",
        "delivered_through": cursor,
        "events": {name: {"count": counts[name], "properties": sorted(properties[name])} for name in sorted(counts)},
    }
