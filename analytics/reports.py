"""Reports: built from the log, written to a folder, recorded as published, and taken to their channels."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.analytics.publishing import (
    Bucket,
    Channel,
    Claims,
    Due,
    Listed,
    Mail,
    NotPublished,
    Outdated,
    Parcel,
    Published,
    Publisher,
    Revisions,
    Sender,
    Sent,
    Standing,
    Webhook,
)
from voxledger.analytics.publishing import bucket as in_bucket
from voxledger.analytics.publishing.publisher import SQL
from voxledger.analytics.publishing.standing import listed, standing
from voxledger.analytics.report import Week, WeeklyReport, build, links, load_audio, write
from voxledger.catalog.events import ReportChannel, now
from voxledger.catalog.home import Home
from voxledger.catalog.lazy import lazy
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.objects import Store

_SET_UP = {"bucket": "set report.bucket", "mail": "set mail.to and mail.host", "webhook": "set webhook.url"}


class Reports:
    """The weekly reports of a HOME."""

    def __init__(
        self,
        home: Home,
        settings: Settings,
        recorder: Recorder,
        keeper: Keeper,
        store: Callable[[], Store],
        *,
        actor: str,
    ) -> None:
        self._home = home
        self._settings = settings
        self._recorder = recorder
        self._keeper = keeper
        self._store = store
        self._actor = actor

    def weekly(
        self, week: str | Week | None = None, *, at: datetime | None = None, as_of: datetime | None = None
    ) -> WeeklyReport:
        """The report of a week such as `2026-W47`; without one, of the running week, marked as not closed.

        `as_of` gives the report as it would have been made at that moment, from what had been recorded by then.
        """
        return build(self._keeper, self._settings, week=self._week(week), now=as_of or at or now(), as_of=as_of)

    def publish(
        self, folder: Path | None = None, *, week: str | Week | None = None, as_of: datetime | None = None
    ) -> Sequence[Path]:
        """Write the report as HTML, Markdown and JSON and record it. The HTML file comes first.

        `folder` defaults to `report.folder`, or HOME/reports. It goes to no channel, and the schedule still makes the week's own.
        A report `as_of` an earlier moment is written and not recorded: it was not published then.
        """
        if as_of is None:
            wanted = self._week(week)
            return self._publisher.publish(wanted, now(), by="hand", folder=folder, actor=self._actor).files
        report = self.weekly(week, as_of=as_of)
        return write(report, folder or self._publisher.folder, load_audio(report), self._links(report))

    def publish_anew(self, week: str, folder: Path) -> Published:
        """Publish a week again without what was forgotten, and put it into the bucket."""
        return self._publisher.publish(
            self._week(week), now(), by="erasure", channels=["bucket"] if "bucket" in self._channels else [],
            folder=folder, actor=self._actor,
        )  # fmt: skip

    @property
    def keeper(self) -> Keeper:
        """What reports are read from."""
        return self._keeper

    def due(self, moment: datetime) -> Sequence[Due]:
        """Which reports are due, the oldest week first: the log decides. Raises SettingsError for a wrong `report.at`."""
        return self._publisher.due(moment)

    def publish_due(self, moment: datetime) -> Sequence[Published]:
        """Publish them. Each once, whoever else wakes; raises PublishingStopped while the clock cannot be believed."""
        return self._publisher.publish_due(moment, tuple(self._channels))

    def deliver(self, *, stop: threading.Event | None = None) -> Sequence[Sent]:
        """Take what waits, and is due, to its channels."""
        return self._sender.send(stop=stop)

    def send(self, week: str, channels: Sequence[ReportChannel] = (), *, everyone: bool = False) -> Sequence[Sent]:
        """Send the newest report of a week, on purpose: also where it was sent before, or may have been.

        It goes as it was made: events that arrived since wait for the next revision (`outdated`). A week without a report gets one
        now. Without `channels`, to all that are set up. A letter that reached some and not others goes to the others, unless
        `everyone` is to get it again. Raises NotPublished, InvalidWeek.
        """
        wanted = tuple(dict.fromkeys(channels)) or tuple(self._channels)
        for name in wanted:
            if name not in self._channels:
                raise NotPublished(f"{name} is not set up: {_SET_UP[name]}")
        if not wanted:
            raise NotPublished(f"no channel is set up: {', or '.join(_SET_UP.values())}")
        found = str(Week.parse(week, self._settings.general.time_zone))
        with self._keeper.reading() as reading:
            before = reading.tuples(SQL["of_week"], {"week": found})
        if before and before[0][1]:
            revision = int(before[0][0])
            self._sender.put_up(found, revision, wanted, everyone=everyone)
        else:
            # The message links to the page in the bucket, so that must be there.
            needed = {*wanted, "bucket"} if "webhook" in wanted and self._is_linked else set(wanted)
            to = tuple(name for name in self._channels if name in needed)
            made = self._publisher.publish(self._week(found), now(), by="send", channels=to, actor=self._actor)
            revision = made.revision
        self._sender.drop_older(found, revision, wanted)
        return [sent for sent in self._sender.send(wait=True) if sent.week == found]

    def outdated(self, week: str) -> Outdated | None:
        """That the newest report of a week lacks events that arrived after it was made; None where it lacks none."""
        return self._publisher.outdated(Week.parse(week, self._settings.general.time_zone), now())

    def published(self, week: str, revision: int) -> WeeklyReport:
        """A revision as it was published, or made again from what is known of that moment. Raises InvalidWeek, NotPublished."""
        return self._published(str(Week.parse(week, self._settings.general.time_zone)), revision)

    def quiet(self) -> AbstractContextManager[None]:
        """Within the block nothing is being sent, in any process."""
        return self._sender.quiet()

    def listed(self, *, limit: int = 20) -> Sequence[Listed]:
        """The reports that were published, and how each went at each channel, the newest week first."""
        return listed(self._keeper, limit=limit)

    def standing(self, moment: datetime) -> Standing:
        """How the schedule of reports stands, without trying anything."""
        targets = {name: channel.target for name, channel in self._channels.items()}
        claims = self._claims.missing if len(self._channels) > 1 else ""
        return standing(self._keeper, self._publisher.weekly, moment, self.due(moment), targets, claims)

    @lazy
    def revisions(self) -> Revisions:
        """What was published."""
        return Revisions(self._home, self._recorder.journal.node, self._store, self._settings.report.bucket)

    @lazy
    def _publisher(self) -> Publisher:
        return Publisher(
            self._home,
            self._settings,
            self._recorder,
            self._keeper,
            revisions=self.revisions,
            skew=self._store_skew,
            links=self._links,
        )

    @lazy
    def _claims(self) -> Claims:
        return Claims(self._home, self._store, self._settings.report.bucket)

    @lazy
    def _sender(self) -> Sender:
        return Sender(self._home, self._recorder, self._channels, self._claims, self._published)

    @lazy
    def _channels(self) -> dict[ReportChannel, Channel]:
        """Those that are set up, in the order in which a report goes to them: the message may link to what lies in the bucket."""
        settings = self._settings
        found: list[Channel] = []
        if settings.report.bucket:
            found.append(Bucket(self._store, settings.report.bucket, self._links))
        if settings.mail.to:
            found.append(Mail(settings.mail))
        if settings.webhook.url:
            found.append(Webhook(settings.webhook, self._link))
        return {channel.name: channel for channel in found}

    def _links(self, report: WeeklyReport) -> Mapping[str, str]:
        seconds = int(self._settings.report.link)
        return links(report, self._store(), seconds) if seconds and report.retention.expiring else {}

    @property
    def _is_linked(self) -> bool:
        """Whether messages link to the page in the bucket."""
        settings = self._settings
        return bool(int(settings.webhook.link) and settings.report.bucket and not self._store().is_embedded)

    def _link(self, parcel: Parcel) -> str | None:
        if not self._is_linked:
            return None
        seconds, bucket = int(self._settings.webhook.link), self._settings.report.bucket
        return self._store().presign(bucket, in_bucket.key(parcel.node, parcel.week, parcel.revision, "html"), seconds)

    def _published(self, week: str, revision: int) -> WeeklyReport:
        """A revision as it was published; where nobody has it any more, made again from what is known of that moment."""
        found = self.revisions.load(week, revision)
        if found is not None:
            return found
        with self._keeper.reading() as reading:
            rows = reading.tuples(SQL["when"], {"week": week, "revision": revision})
        if not rows:
            raise NotPublished(f"the log knows no revision {revision} of {week}")
        return msgspec.structs.replace(self.weekly(week, as_of=rows[0][0].astimezone(UTC)), revision=revision)

    def _store_skew(self) -> float | None:
        """How far the store's clock is ahead of ours in s; the embedded store has ours."""
        from voxledger.catalog.objects.probing.probe import greeting

        store = self._store()
        return None if store.is_embedded else greeting(store)[1]

    def _week(self, week: str | Week | None) -> Week | None:
        return Week.parse(week, self._settings.general.time_zone) if isinstance(week, str) else week
