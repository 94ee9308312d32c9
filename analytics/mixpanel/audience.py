"""Audience: about whom Mixpanel hears, and under which id."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

from voxledger.analytics.mixpanel.lines import encode
from voxledger.analytics.mixpanel.told_names import ToldNames
from voxledger.analytics.mixpanel.vocabulary import LONGEST_STRING
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.recorder import SYSTEM
from voxledger.catalog.vault import Vault

BANNED = frozenset(
    {
        "anonymous", "null", "none", "nil", "n/a", "na", "undefined", "unknown", "0", "-1", "true", "false", "[]", "{}", "",
        "lmy47d", "00000000-0000-0000-0000-000000000000",
    }
)  # fmt: skip
"""Ids that Mixpanel refuses (https://developer.mixpanel.com/reference/import-events); whoever is called so keeps the opaque id."""
NOBODY = b'""'
"""The empty id: such an event is counted and tied to no profile, and no hot shard comes of it
(https://docs.mixpanel.com/troubleshooting/errors/server-side-events-without-a-user)."""
Silence = Literal["", "erased", "off"]
_log = logging.getLogger(__name__)


class Audience:
    """Answers for one HOME and its settings. What it has learned holds until `refresh`, because people are erased meanwhile."""

    def __init__(self, settings: catalog_settings.Mixpanel, vault: Vault, told: ToldNames) -> None:
        self._vault = vault
        self._told = told
        self._labels = settings.actor_ids == "label"
        self._off = opted_out(settings)
        self._names: dict[str, bytes | None] = {}
        self._system = vault.actor(SYSTEM).id
        self._silent: frozenset[str] = frozenset()
        self.refresh()

    def refresh(self) -> None:
        """Forget what was learned."""
        self._names.clear()
        self._silent = frozenset(key.id for name in self._off if (key := self._vault.known(name))) | frozenset(
            self._off
        )

    def unknown(self) -> Sequence[str]:
        """Who is to be left out by a name that nobody has here."""
        return [name for name in self._off if self._vault.known(name) is None and self._vault.key(name) is None]

    def silence(self, actor: str) -> Silence:
        """Why Mixpanel hears nothing about somebody; empty when it hears."""
        if actor in self._silent:
            return "off"
        return "erased" if self._vault.destroyed(actor) else ""

    def name(self, actor: str) -> bytes | None:
        """The id under which Mixpanel knows somebody, as JSON; `NOBODY` for Voxledger itself, None when it hears nothing."""
        if actor in self._names:
            return self._names[actor]
        found: bytes | None = NOBODY
        if actor != self._system:
            found = None if self.silence(actor) else encode(self._id(actor))
        self._names[actor] = found
        return found

    def _id(self, actor: str) -> str:
        key = self._vault.key(actor) if self._labels else None
        label = key.label if key else None
        if label is None or label.lower() in BANNED or len(label.encode()) > LONGEST_STRING:
            return actor
        # Before it is told: whoever is erased loses the name here, and Mixpanel must be asked to forget it all the same.
        self._told.remember(actor, label)
        return label


def opted_out(settings: catalog_settings.Mixpanel) -> list[str]:
    """Names and ids of those about whom nothing is sent."""
    return [each.name for each in settings.actors if each.analytics == "off"]
