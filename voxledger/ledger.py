"""The ledger: one HOME with everything in it. Wires the floors together and holds no logic of its own."""

from __future__ import annotations

import getpass
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from voxledger.catalog import arriving
from voxledger.catalog.errors import CatalogBusy, SettingsError, VoxledgerError
from voxledger.catalog.events import Channel
from voxledger.catalog.home import Home
from voxledger.catalog.interrupts import held_back
from voxledger.catalog.journal import Journal
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Loaded, load
from voxledger.catalog.steps import Steps
from voxledger.catalog.vault import Vault

if TYPE_CHECKING:
    from voxledger.analytics.mixpanel import Mixpanel
    from voxledger.analytics.reports import Reports
    from voxledger.catalog.access import Tokens
    from voxledger.catalog.backup import Backups
    from voxledger.catalog.cache import Cache
    from voxledger.catalog.catalog import Catalog
    from voxledger.catalog.erasure import Erasure, Exporter, Target
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.models import Models
    from voxledger.catalog.objects import Store, Uploader
    from voxledger.catalog.objects.shipping import Archive
    from voxledger.catalog.retention import Retention
    from voxledger.catalog.search import SearchIndex
    from voxledger.catalog.status import DueReport, Status
    from voxledger.synth.studio import Studio
    from voxledger.synth.voices import Voices

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class _once(cached_property[_T]):  # noqa: N801  # a decorator, named like one
    """A cached property that two threads never make twice."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        if instance is None:
            return self
        with instance._lock:
            return super().__get__(instance, owner)


class Ledger:
    """One HOME: `.speak` and `.studio` make clips, `.catalog` finds them, `.retention` and `.reports` look after them.

    Everything is opened when it is first used. Safe from many threads; any number of processes may have the same HOME
    open.
    """

    def __init__(
        self, home: Path | str | None = None, *, overrides: Mapping[str, Any] | None = None, channel: Channel = "python"
    ) -> None:
        self.home = Home.open(home)
        self.loaded: Loaded = load(self.home.path, overrides=overrides)
        self.settings = self.loaded.settings
        self.channel: Channel = channel
        self.actor = _checked(self.settings.general.actor or _login_name())
        self.vault = Vault(self.home.vault)
        self.journal = Journal(self.home.journal, base=self._logged)
        self.recorder = Recorder(self.journal, self.vault)
        self.steps = Steps()
        self._lock = threading.RLock()
        self._undrained = 0
        self._closed = False
        if arriving.noted(self.home):
            self._look_again()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(error, KeyboardInterrupt):
            self.close()
            return
        # Whoever interrupts does not want to wait: the uploads go on with the next process.
        with held_back():
            self.close(wait=0)

    def __repr__(self) -> str:
        return f"<Ledger {self.home.path}>"

    def acting(self, actor: str, channel: Channel) -> Ledger:
        """This ledger in somebody else's name: what is recorded through it is done by `actor`. It shares everything else."""
        from voxledger.acting import Acting

        return cast("Ledger", Acting(self, actor=_checked(actor), channel=channel))

    def close(self, *, wait: float | None = None) -> None:
        """Finish: give running uploads up to `wait` seconds (`store.close_wait` by default), drain, let everything go.

        What is not uploaded by then waits in the journal for the next process. Idempotent.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            with ExitStack() as steps:  # each of them, whatever the one before does; the last one entered goes first
                steps.callback(self.vault.close)
                steps.callback(self.journal.close)
                if "backups" in self.__dict__:
                    steps.callback(self.backups.close)
                if "store" in self.__dict__:
                    steps.callback(self.store.close)
                steps.callback(self.recorder.accesses.close)
                if "cache" in self.__dict__:
                    steps.callback(self.cache.close, wait=self.settings.store.close_wait if wait is None else wait)
                steps.callback(self._drain_at_end)  # which may need the store, where a segment is missing here
                if "studio" in self.__dict__:
                    steps.callback(self.studio.close)
                if "uploader" in self.__dict__:
                    patience = self.settings.store.close_wait if wait is None else wait
                    steps.callback(self._end_uploads, patience)

    def _look_again(self) -> None:
        """Somebody fetches, or was killed at it: then nobody else would see what arrived too late."""
        try:
            self.catalog.audio.look_again()
        except VoxledgerError as error:
            _log.debug("what was fetched before a kill is looked at by the next ledger: %s", error)

    def _end_uploads(self, patience: float) -> None:
        try:
            self.uploader.flush(timeout=patience)
        except KeyboardInterrupt:
            patience = 0.0
            raise
        finally:
            self.uploader.close(timeout=patience)

    def _drain_at_end(self) -> None:
        try:
            if self._undrained:
                self.keeper.drain(patience=2.0)
        except VoxledgerError as error:
            # Everything is safe in the journal; the next process drains it.
            _log.log(logging.DEBUG if isinstance(error, CatalogBusy) else logging.WARNING, "%s", error)

    @property
    def speak(self) -> Any:
        """Speak a text and record the clip: a shortcut for `studio.speak`."""
        if self._closed:
            raise VoxledgerError("this ledger is closed; open it again with voxledger.open()")
        return self.studio.speak

    @_once
    def keeper(self) -> Keeper:
        """Moves events from the journal into the log and the projections."""
        from voxledger.catalog.log import Keeper
        from voxledger.catalog.objects.shipping import ship

        shipped = partial(ship, recorder=self.recorder, bucket=self.settings.store.events)
        return Keeper(
            self.home, self.recorder, on_sealed=shipped, recover=lambda position: self.archive.recover(position),
            on_step=self.steps.tell,
        )  # fmt: skip

    @_once
    def archive(self) -> Archive:
        """The copy of the log's segments in the store."""
        from voxledger.catalog.objects.shipping import Archive

        return Archive(self.store, self.settings.store.events, self.recorder, self.home.segments)

    @_once
    def store(self) -> Store:
        """The S3 store; nothing is contacted before its first use."""
        from voxledger.catalog.objects import Store

        return Store(self.home, self.settings.store, threads=self.settings.models.threads)

    @_once
    def uploader(self) -> Uploader:
        """Uploads in the background."""
        from voxledger.catalog.objects import Uploader

        if not self.settings.cache.max_bytes:
            return Uploader(self.recorder, self.store, self.settings.store, on_step=self.steps.tell)
        # Made here: its threads must not come back for it while somebody closes.
        grown = self.cache.grown
        return Uploader(self.recorder, self.store, self.settings.store, on_stored=grown, on_step=self.steps.tell)

    @_once
    def cache(self) -> Cache:
        """Local copies of clips, kept within `cache.max_bytes`."""
        from voxledger.catalog.cache import Cache

        return Cache(self.home, self.settings.cache, self.recorder, self.keeper, self.store)

    @_once
    def tokens(self) -> Tokens:
        """Makes, lists and revokes the tokens with which programs ask a node."""
        from voxledger.catalog.access import Tokens

        return Tokens(self.recorder, actor=self.actor, zone=self.settings.general.time_zone)

    @_once
    def catalog(self) -> Catalog:
        """Finds clips, answers SQL, and takes tags and pins."""
        from voxledger.catalog.catalog import Catalog

        return Catalog(
            self.home,
            self.recorder,
            self.keeper,
            lambda: self.store,
            actor=self.actor,
            channel=self.channel,
            zone=self.settings.general.time_zone,
            uploaded=lambda clip: not self.uploader.flush([clip], timeout=self.settings.store.close_wait),
            arrived=(lambda size: self.cache.grown(size)) if self.settings.cache.max_bytes else None,
        )

    @_once
    def models(self) -> Models:
        """Versions of an engine's files: pushed, pulled, and put back when they are lost."""
        from voxledger.catalog.models import Models

        return Models(self.settings, self.recorder, lambda: self.keeper, lambda: self.store, actor=self.actor)

    @_once
    def backups(self) -> Backups:
        """Backups of this HOME: made, proved, restored elsewhere, and pruned."""
        from voxledger import __version__
        from voxledger.catalog.backup import Backups, Source

        source = Source(self.recorder, lambda: self.keeper, __version__)
        return Backups(self.home, self.settings, lambda: self.store, source=source)

    @_once
    def search(self) -> SearchIndex:
        """Finds words in texts, names and tags."""
        from voxledger.catalog.search import SearchIndex

        return SearchIndex(self.keeper)

    @_once
    def studio(self) -> Studio:
        """Makes clips. Raises VoxledgerError when the extra `synth` is not installed."""
        try:
            from voxledger.synth.studio import Studio
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] == "voxledger":
                raise
            raise VoxledgerError(
                f"making audio needs the package {error.name!r}: pip install 'voxledger[synth]'"
            ) from error
        return Studio(
            self.home,
            self.settings,
            self.recorder,
            self.catalog,
            actor=self.actor,
            channel=self.channel,
            voices=lambda: self.voices,
            ensure_model=lambda reference: self.models.ensure(reference),
            on_recorded=self._recorded,
            on_step=self.steps.tell,
        )

    @_once
    def voices(self) -> Voices:
        """Registered voices, and who consents to their use. Raises VoxledgerError without the extra `synth`."""
        try:
            from voxledger.synth.voices import Voices
        except ModuleNotFoundError as error:
            if error.name and error.name.partition(".")[0] == "voxledger":
                raise
            raise VoxledgerError(f"voices need the package {error.name!r}: pip install 'voxledger[synth]'") from error
        return Voices(
            self.home,
            self.settings,
            self.recorder,
            lambda: self.keeper,
            lambda: self.store,
            actor=self.actor,
            on_recorded=self._recorded,
        )

    @_once
    def retention(self) -> Retention:
        """Says which audio may go, why, and lets it go."""
        from voxledger.catalog.retention import Retention

        return Retention(
            self.home, self.settings, self.recorder, self.keeper, lambda: self.store, actor=self.actor,
            backups=lambda: self.backups,
        )  # fmt: skip

    @_once
    def reports(self) -> Reports:
        """Weekly reports."""
        from voxledger.analytics.reports import Reports

        return Reports(self.home, self.settings, self.recorder, self.keeper, lambda: self.store, actor=self.actor)

    @_once
    def erasure(self) -> Erasure:
        """Forgets people and voices, everywhere."""
        from voxledger.catalog.erasure import Erasure

        return Erasure(
            self.home,
            self.settings,
            self.recorder,
            self.keeper,
            store=lambda: self.store,
            backups=lambda: self.backups,
            search=lambda: self.search,
            targets=self._targets,
        )

    def _targets(self) -> Sequence[Target]:
        """What floors above the catalog hold about people."""
        from voxledger.analytics.mixpanel.deletions import Deletions
        from voxledger.analytics.mixpanel.told_names import ToldNames
        from voxledger.analytics.reports import Reports
        from voxledger.analytics.stored import StoredReports
        from voxledger.catalog.recorder import SYSTEM
        from voxledger.dashboards.jobs.erasing import HandedIn

        reports = Reports(self.home, self.settings, self.recorder, self.keeper, lambda: self.store, actor=SYSTEM)
        return (
            StoredReports(self.home, self.settings, self.keeper, lambda: self.store, lambda: reports),
            Deletions(self.settings.mixpanel, self.recorder, ToldNames(self.home.path)),
            HandedIn(self.home),
        )

    @_once
    def exporter(self) -> Exporter:
        """Writes everything that is held about a person."""
        from voxledger.analytics.mixpanel.sent import sent
        from voxledger.catalog.erasure import Exporter

        return Exporter(
            self.home,
            self.recorder,
            self.keeper,
            lambda: self.store,
            lambda actor: sent(self.keeper, self.settings.mixpanel, actor),
        )

    @_once
    def mixpanel(self) -> Mixpanel:
        """Delivery of events to Mixpanel."""
        from voxledger.analytics.mixpanel import Mixpanel
        from voxledger.catalog.subscriptions import Subscription

        cursor = Subscription("mixpanel", self.keeper)
        return Mixpanel(self.settings.mixpanel, cursor, self.recorder, on_step=self.steps.tell)

    def status(self) -> Status:
        """What is there, what waits, and why."""
        from voxledger.catalog.feed import PREFIX
        from voxledger.catalog.status import Behind, status

        notes = {cursor.name: cursor.note for cursor in self.journal.cursors()}
        off = "mixpanel.token is not set, so nothing is sent"
        reason = notes.get("mixpanel") if self.settings.mixpanel.token else off
        subscriptions = [
            Behind(name="mixpanel", waiting=self.journal.head() - self.journal.cursor("mixpanel"), note=reason),
            Behind(name="search", waiting=self.search.waiting(), note="the next search catches up"),
        ]
        subscriptions += [
            Behind(
                name=cursor.name, waiting=self.journal.head() - cursor.position, note=f"`events stream --name {name}`"
            )
            for cursor in self.journal.cursors()
            if (name := cursor.name.removeprefix(PREFIX)) != cursor.name
        ]
        return status(
            self.home, self.journal, self.catalog, self.settings, subscriptions=subscriptions,
            quarantined=self.mixpanel.quarantine.count(), reports=self._due_reports(), retention=lambda: self.retention.status(),
        )  # fmt: skip

    def _due_reports(self) -> list[DueReport]:
        """The weekly reports that are due now; none where `report.at` is wrong, which `voxledger serve` says."""
        from voxledger.catalog.events import now
        from voxledger.catalog.status import DueReport

        try:
            due = self.reports.due(now())
        except SettingsError:
            return []
        return [DueReport(week=str(each.week), since=each.since.timestamp(), reason=each.reason) for each in due]

    def _recorded(self) -> None:
        """After each clip: wake the uploader, and drain when much has gathered and nobody reads."""
        self._undrained += 1
        if self._closed:  # and whoever closes waits for this clip, with the lock that the first upload needs
            return
        self.uploader.notify()
        if self._undrained % 5000 == 0:
            threading.Thread(target=self._drain_quietly, name="voxledger-drain", daemon=True).start()

    def _drain_quietly(self) -> None:
        try:
            self.keeper.drain(patience=1.0)
        except VoxledgerError as error:
            _log.warning("the log could not be brought up to date: %s", error)

    def _logged(self) -> int:
        """The last position of a log whose journal is gone; where its file is gone too, what segments say."""
        from voxledger.catalog.duckdb_files import attached
        from voxledger.catalog.log.segments import Segments

        sealed = max((segment.last for segment in Segments(self.home.segments).all()), default=0)
        if not self.home.log.exists():
            return sealed
        with attached({"log": self.home.log}, patience=30.0, read_only=True) as connection:
            rows = connection.execute("SELECT max(position) FROM log.events").fetchall()
        return max(sealed, int(rows[0][0] or 0))


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}" if hasattr(os, "getuid") else "unknown"


def _checked(actor: str) -> str:
    """The name of who speaks, as it is recorded in every event."""
    if not actor.isprintable():
        raise SettingsError(f"general.actor = {actor!r} holds characters that cannot be written", name="general.actor")
    return actor
