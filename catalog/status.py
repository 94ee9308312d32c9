"""What a HOME is doing: one record for `voxledger status`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.cache import Size, size_on_record
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.erasure.requests import unfinished
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal, OpenTask
from voxledger.catalog.log import link
from voxledger.catalog.objects.elsewhere import Elsewhere, noted
from voxledger.catalog.objects.uploads import Working, working
from voxledger.catalog.settings import Settings

if TYPE_CHECKING:
    from voxledger.catalog.retention.nights import Standing


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks of one kind in one state: how many, since when (s since the epoch), and when the next one is due."""

    kind: str
    state: str
    count: int
    oldest: float
    next_due: float
    error: str | None


class Behind(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription and how many events wait for it; `note` says why, if it knows."""

    name: str
    waiting: int
    note: str | None


class DueReport(msgspec.Struct, frozen=True, kw_only=True):
    """A weekly report that nobody has made yet: of which week, since when it is due (s since the epoch), and why."""

    week: str
    since: float
    reason: str


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The process that serves a HOME, and where it speaks HTTP; "" = it does not."""

    pid: int
    url: str


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a HOME at one moment."""

    home: Path
    node: str
    serving: Serving | None
    """Whether `voxledger serve` runs on this HOME."""
    head: int
    clips: int
    duration_us: int
    bytes: int
    stored: int
    missing: int
    """Clips whose object the store was seen to lack, or to have changed."""
    pinned: int
    marked: int
    purged: int
    unstored_bytes: int
    """Bytes of clips that the store does not have yet."""
    uploading: tuple[Working, ...]
    """The uploaders of this HOME that are at work, or in trouble, in whatever process."""
    cache: Size | None
    """The local copies, when they were last counted; None when nobody has."""
    cache_limit: int
    """In bytes; 0 = none."""
    erasures: int
    """Erasures that wait for something; `voxledger erasures` says for what."""
    tasks: tuple[Waiting, ...]
    parked: tuple[OpenTask, ...]
    subscriptions: tuple[Behind, ...]
    quarantined: int
    """Events that Mixpanel refused for good; `voxledger mixpanel quarantine list` says why."""
    reports: tuple[DueReport, ...]
    """Weekly reports that are due, the oldest week first; `voxledger serve` makes them."""
    free_disk: int
    min_free_disk: int
    retention: Standing | None
    """How retention stands; None where its settings are wrong, which `voxledger retention check` says."""
    elsewhere: Elsewhere | None
    """Another HOME that goes on as this node, as `voxledger serve` or `doctor` saw it when they last looked."""


def status(
    home: Home,
    journal: Journal,
    catalog: Catalog,
    settings: Settings,
    *,
    subscriptions: Sequence[Behind],
    quarantined: int,
    reports: Sequence[DueReport],
    retention: Callable[[], Standing],
) -> Status:
    """Look at a HOME. `subscriptions`: those that should exist, each with its lag, and a reason if it stands still. `quarantined` and
    `reports` are what the floor above knows of.
    """
    totals = catalog.totals()
    journal.take_back()
    head = journal.head()
    try:
        standing = retention()
    except PolicyError:
        standing = None
    oldest: dict[tuple[str, str], str | None] = {}
    for kind in {found.kind for found in journal.counts()}:
        for task in journal.tasks(kind, limit=200):
            oldest.setdefault((kind, task.state), task.error)
    parked = tuple(
        task for kind in {key[0] for key in oldest} for task in journal.tasks(kind, limit=200) if task.state == "parked"
    )
    notes = {cursor.name: cursor.note for cursor in journal.cursors()}
    return Status(
        home=home.path,
        node=journal.node,
        serving=_serving(home),
        head=head,
        **totals,
        uploading=tuple(working(home.uploads)),
        cache=size_on_record(home),
        cache_limit=settings.cache.max_bytes,
        erasures=unfinished(home),
        tasks=tuple(
            Waiting(
                kind=found.kind, state=found.state, count=found.count, oldest=found.oldest, next_due=found.next_due,
                error=oldest.get((found.kind, found.state)),
            )
            for found in journal.counts()
        ),
        parked=parked[:20],
        subscriptions=tuple(
            msgspec.structs.replace(behind, note=behind.note or notes.get(behind.name)) for behind in subscriptions
        ),
        quarantined=quarantined,
        reports=tuple(reports),
        free_disk=platform.free_disk(home.path),
        min_free_disk=settings.general.min_free_disk,
        retention=standing,
        elsewhere=noted(home),
    )  # fmt: skip


def _serving(home: Home) -> Serving | None:
    found = link.found(home)
    return None if found is None else Serving(pid=found.pid, url=found.url)
