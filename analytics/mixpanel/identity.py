"""Identity: which project is told, and under which ids people are known there.

Mixpanel knows a repeat by its user, too: an event that is sent again under another id counts twice. So it is kept, with the
cursor of delivery, up to which position each project was told under each kind of ids. The token is a secret: a digest of the
project stands for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from voxledger.analytics.errors import WouldCountTwice
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.journal import Journal

_DIGITS = 16


@dataclass(frozen=True, kw_only=True)
class Told:
    """Under which ids a project was told events up to a position, and when last (s since the epoch)."""

    actor_ids: str
    through: int
    until: float


@dataclass(frozen=True)
class Identity:
    """`project` is a digest, `actor_ids` the setting of this name."""

    project: str
    actor_ids: str

    @classmethod
    def of(cls, settings: catalog_settings.Mixpanel) -> Identity:
        """What these settings name. A proxy in `mixpanel.endpoint` makes no other project of it."""
        named = [settings.region, settings.project_id, settings.token]
        digest = hashlib.sha256(msgspec.json.encode(named)).hexdigest()[:_DIGITS]
        return cls(digest, settings.actor_ids)

    @property
    def cursor(self) -> str:
        """The name under which the journal keeps how far this project was told under these ids."""
        return f"{self._of_project}{self.actor_ids}"

    def note(self, journal: Journal, through: int) -> None:
        """Durably, before events up to this position are sent under these ids."""
        if journal.cursor(self.cursor) < through:
            with journal.transaction() as write:
                write.move_cursor(self.cursor, through)

    def otherwise(self, journal: Journal) -> Sequence[Told]:
        """Under which other ids this project was told."""
        return tuple(
            Told(actor_ids=ids, through=cursor.position, until=cursor.updated)
            for cursor in journal.cursors()
            if (ids := cursor.name.removeprefix(self._of_project)) not in (cursor.name, self.actor_ids)
        )

    def refuse_twice(self, journal: Journal, first: int) -> None:
        """Raises WouldCountTwice when something from this position on was told under other ids."""
        for told in self.otherwise(journal):
            if told.through >= first:
                raise WouldCountTwice(
                    f"Mixpanel was told of some of these events under mixpanel.actor_ids = {told.actor_ids!r}; sent again as"
                    f" {self.actor_ids!r} they would count twice: begin later with --since, change the setting back, or accept it"
                    " with --again"
                )

    @property
    def _of_project(self) -> str:
        return f"mixpanel-told-{self.project}-"
