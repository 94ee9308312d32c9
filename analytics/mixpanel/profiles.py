"""Profiles: what Mixpanel knows of each user and of this node as a group: totals, first and last seen, favourites.

They have a cursor of their own. Whoever did something behind it is counted anew, from the projections and over everything, so
that a profile is right however often it is sent. Opaque ids, categories and numbers only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import mixpanel
import msgspec

from voxledger.analytics.mixpanel.answers import Later, TooLarge, Verdict, judge_profiles
from voxledger.analytics.mixpanel.audience import NOBODY, Audience
from voxledger.analytics.mixpanel.insisting import Insistence
from voxledger.analytics.mixpanel.messages import MOST_BYTES
from voxledger.analytics.mixpanel.transport import NoAnswer, Path, Transport
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import now
from voxledger.catalog.queries import load
from voxledger.catalog.subscriptions import Subscription

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

MOST_PROFILES = 1000
"""Profiles a request; the reference allows 2000 (https://developer.mixpanel.com/reference/user-profile-limits)."""
GROUP = "node"
"""Key of the group, and the property of every event that names it."""
TYPES = (
    "AudioAccessed", "GenerationCancelled", "GenerationCompleted", "GenerationFailed", "GenerationReused",
)  # fmt: skip
"""What changes a profile."""
_SQL = load("profiles.sql", "voxledger.analytics.mixpanel")


@dataclass(frozen=True, kw_only=True)
class Profiled:
    """What an update of profiles achieved. `due` is False when it was not time yet, or there was nothing new."""

    due: bool = False
    users: int = 0
    refused: int = 0


class _Collector:
    """A consumer of the library that keeps what it would send."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def send(self, endpoint: str, json_message: str, api_key: object = None, api_secret: object = None) -> None:  # noqa: ARG002  # the library's protocol
        self.lines.append(json_message.encode())


class Profiles:
    """Keeps the profiles of one HOME up to date in one project."""

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        keeper: Keeper,
        subscription: Subscription,
        audience: Audience,
        insistence: Callable[[str], Insistence],
    ) -> None:
        """`subscription` is the profiles' own. `insistence` is asked with the host."""
        self._settings = settings
        self._keeper = keeper
        self._subscription = subscription
        self._audience = audience
        self._insistence = insistence
        self._collector = _Collector()
        self._library = mixpanel.Mixpanel(settings.token, consumer=self._collector)

    def is_due(self) -> bool:
        """Whether it is time, by the settings."""
        seconds = self._settings.profiles
        return seconds > 0 and time.time() >= self._subscription.state().updated + seconds

    def update(self) -> Profiled:
        """Send what changed since the last time. Raises DeliveryError; then the cursor stays."""
        after = self._subscription.cursor
        with self._keeper.reading() as reading:
            position = int(reading.tuples(_SQL["position"])[0][0])
            rows = reading.rows(_SQL["profiles"], {"after": after, "types": list(TYPES)})
            (node,) = reading.rows(_SQL["node"])
        if not rows:
            if position > after:
                self._subscription.advance(position)
            return Profiled()
        sent = self._people(rows)
        refused = self._send("/engage", sent) + self._send("/groups", self._node(node))
        note = (
            f"Mixpanel refused {refused} profiles for good; they are sent again when they change" if refused else None
        )
        self._subscription.advance(position, note=note)
        return Profiled(due=True, users=len(sent) - refused, refused=refused)

    def _people(self, rows: Sequence[dict[str, Any]]) -> list[bytes]:
        self._collector.lines.clear()
        for row in rows:
            actor = row.pop("actor_id")
            name = self._audience.name(actor)
            if name in (None, NOBODY):
                continue
            distinct_id = msgspec.json.decode(name)
            known = {key: value for key, value in row.items() if value is not None} | {
                "node": self._keeper.journal.node
            }
            if distinct_id != actor:
                known["$name"] = distinct_id
            self._library.people_set(distinct_id, known, meta={"$ip": "0"})
        return list(self._collector.lines)

    def _node(self, row: dict[str, Any]) -> list[bytes]:
        self._collector.lines.clear()
        node = self._keeper.journal.node
        known = {key: value for key, value in row.items() if value is not None}
        known |= {"$name": f"Voxledger {node[-8:]}", "voxledger_version": version("voxledger")}
        self._library.group_set(GROUP, node, known)
        return list(self._collector.lines)

    def _send(self, path: Path, lines: Sequence[bytes]) -> int:
        """Gives how many were refused."""
        refused = start = 0
        with Transport(self._settings, path) as transport:
            insistence = self._insistence(transport.host)
            while start < len(lines):
                end, size = start, 0
                while (
                    end < len(lines)
                    and end - start < MOST_PROFILES
                    and (size := size + len(lines[end]) + 1) < MOST_BYTES
                ):
                    end += 1
                end = max(end, start + 1)
                refused += _post(transport, insistence, lines[start:end])
                start = end
        return refused


def _post(transport: Transport, insistence: Insistence, lines: Sequence[bytes]) -> int:
    insistence.heed_stop()

    def post() -> Verdict:
        try:
            answer = transport.post(b"[" + b",".join(lines) + b"]")
        except NoAnswer as error:
            return Later(reason=str(error))
        return judge_profiles(answer, len(lines), now=now())

    verdict = insistence.insist(post(), post)
    refused = len(lines) if isinstance(verdict, TooLarge) else len(verdict.refused)
    if refused < len(lines) or refused <= 1:
        return refused
    # It speaks of all at once: which one it is, halves tell.
    middle = len(lines) // 2
    return _post(transport, insistence, lines[:middle]) + _post(transport, insistence, lines[middle:])
