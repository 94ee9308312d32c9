"""The door: what this floor needs of a ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel import Mixpanel
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.access import Tokens
    from voxledger.catalog.cache import Cache
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.erasure import Erasure
    from voxledger.catalog.events import Channel
    from voxledger.catalog.home import Home
    from voxledger.catalog.journal import Journal
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.models import Models
    from voxledger.catalog.objects import Store, Uploader
    from voxledger.catalog.objects.shipping import Archive
    from voxledger.catalog.recorder import Recorder
    from voxledger.catalog.retention import Retention
    from voxledger.catalog.search import SearchIndex
    from voxledger.catalog.settings import Loaded, Settings
    from voxledger.catalog.status import Status
    from voxledger.catalog.steps import Steps
    from voxledger.catalog.vault import Vault
    from voxledger.synth.studio import Studio
    from voxledger.synth.voices import Voices


class Door(Protocol):
    """A ledger, as this floor sees it."""

    home: Home
    loaded: Loaded
    settings: Settings
    journal: Journal
    vault: Vault
    recorder: Recorder
    steps: Steps
    actor: str
    channel: Channel

    def acting(self, actor: str, channel: Channel) -> Door:
        """The same in somebody else's name."""

    def status(self) -> Status:
        """What is there, what waits, and why."""

    @property
    def keeper(self) -> Keeper:
        """Drains."""

    @property
    def archive(self) -> Archive:
        """Publishes."""

    @property
    def search(self) -> SearchIndex:
        """Indexes."""

    @property
    def store(self) -> Store:
        """Is tried."""

    @property
    def uploader(self) -> Uploader:
        """Uploads."""

    @property
    def cache(self) -> Cache:
        """Makes room."""

    @property
    def tokens(self) -> Tokens:
        """Lets programs in."""

    @property
    def catalog(self) -> Catalog:
        """Finds."""

    @property
    def studio(self) -> Studio:
        """Speaks."""

    @property
    def voices(self) -> Voices:
        """Knows who may be spoken with."""

    @property
    def models(self) -> Models:
        """Keeps models."""

    @property
    def mixpanel(self) -> Mixpanel:
        """Delivers."""

    @property
    def erasure(self) -> Erasure:
        """Forgets."""

    @property
    def reports(self) -> Reports:
        """Reports."""

    @property
    def retention(self) -> Retention:
        """Lets go what may go."""
