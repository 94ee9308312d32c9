"""Repetition: a run that sends events of the log again, whatever for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, ClassVar

from voxledger.analytics.mixpanel.audience import Audience
from voxledger.analytics.mixpanel.courier import Courier
from voxledger.analytics.mixpanel.identity import Identity
from voxledger.analytics.mixpanel.insisting import Pause
from voxledger.analytics.mixpanel.messages import Composer
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.progress import Progress, silent

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper


class Repetition:
    """One run of one process, under a lock. `COUNTED` are the things that can become of an event."""

    COUNTED: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        settings: catalog_settings.Mixpanel,
        keeper: Keeper,
        audience: Audience,
        *,
        pause: Pause,
        stop: threading.Event | None = None,
        progress: Progress = silent,
    ) -> None:
        """Raises SettingsError for an endpoint or credentials that cannot be."""
        self._identity = Identity.of(settings)
        self._keeper = keeper
        self._recorder = keeper.recorder
        self._audience = audience
        self._composer = Composer(settings.token, audience, node=keeper.journal.node)
        self._courier = Courier(settings, pause=pause, stop=stop)
        self._progress = progress
        self._counts = dict.fromkeys(self.COUNTED, 0)
        self._total = 0
