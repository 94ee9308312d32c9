"""State: what `voxledger status` says, as metrics.

A scrape never asks a large question: it reads what is remembered, which is looked at again beside it when it has grown old. What costs
nothing, such as the length of a queue, is read at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.schedule import noted

if TYPE_CHECKING:
    from voxledger.catalog.status import Status
    from voxledger.dashboards.door import Door
    from voxledger.dashboards.observing.remembered import Remembered
    from voxledger.dashboards.server.slots import Slots

_KNOWN = ("mixpanel", "search")
"""Subscriptions that every node has. Others have names that somebody gave them."""


class StateCollector(Collector):
    """Gives Prometheus the state at each scrape."""

    def __init__(self, door: Door, slots: Slots, remembered: Remembered) -> None:
        self._door = door
        self._slots = slots
        self._remembered = remembered

    def collect(self) -> Iterator[Metric]:
        """Of `Collector`: all of it."""
        yield from self._live()
        yield from self._under_way()
        yield from self._jobs()
        status = self._remembered.now()
        yield from self._about_the_look()
        if status is not None:
            yield from _clips(status)
            yield from _waiting(status)
            yield from _disk(status)
            yield from _trouble(status)

    def describe(self) -> Iterable[Metric]:
        """Of `Collector`: nothing, so that registering it looks at nothing."""
        return ()

    def _live(self) -> Iterator[Metric]:
        journal = self._door.journal
        yield CounterMetricFamily("voxledger_events", "Events acknowledged in the life of this HOME.", journal.head())
        waiting = GaugeMetricFamily("voxledger_queue_waiting", "Requests that wait for an engine.", labels=["engine"])
        free = GaugeMetricFamily(
            "voxledger_engine_turns_free", "Turns of an engine that nobody has.", labels=["engine"]
        )
        try:
            turns = self._door.studio.turns()
        except VoxledgerError:  # the extra `synth` is not installed: there are no engines
            turns = {}
        for name, each in turns.items():
            waiting.add_metric([name], each.waiting)
            free.add_metric([name], each.free)
        yield waiting
        yield free
        done = self._door.uploader.progress
        yield _gauge("voxledger_uploads_running", "Uploads under way in this process.", done.running)
        yield _gauge("voxledger_upload_rate_bytes", "Bytes a second that go to the store.", done.rate)
        yield _gauge("voxledger_store_trouble", "1 while the store does not answer as it should.", bool(done.trouble))

    def _under_way(self) -> Iterator[Metric]:
        slots = self._slots
        yield _gauge("voxledger_http_slots_taken", "Requests under way, of those that count.", slots.taken)
        yield _gauge("voxledger_http_slots", "How many may be under way at a time.", slots.most)
        yield _gauge("voxledger_http_connections", "Open connections.", slots.connections)
        yield _gauge("voxledger_http_body_bytes", "Bytes of bodies that are held.", slots.bytes)
        refused = CounterMetricFamily(
            "voxledger_http_refused", "Requests refused before they came to a route.", labels=["reason"]
        )
        for reason, count in dict(slots.refused).items():
            refused.add_metric([reason], count)
        yield refused

    def _jobs(self) -> Iterator[Metric]:
        found = noted(self._door.home)
        runs = found.runs if found else {}
        count = CounterMetricFamily("voxledger_job_runs", "Runs of a job of the node.", labels=["job"])
        last = GaugeMetricFamily(
            "voxledger_job_last_run_timestamp_seconds",
            "When a job ran last, written down twice a minute.",
            labels=["job"],
        )
        took = GaugeMetricFamily("voxledger_job_seconds", "How long its last run took.", labels=["job"])
        well = GaugeMetricFamily("voxledger_job_ended_well", "1 if its last run ended well.", labels=["job"])
        for name, run in runs.items():
            count.add_metric([name], run.number)
            last.add_metric([name], run.at.timestamp())
            took.add_metric([name], run.took_s)
            well.add_metric([name], run.ended == "well")
        yield from (count, last, took, well)

    def _about_the_look(self) -> Iterator[Metric]:
        look = self._remembered
        if look.at:
            yield _gauge(
                "voxledger_status_age_seconds", "Age of what is said about clips and tasks.", time.time() - look.at
            )
        yield _gauge("voxledger_status_seconds", "How long the last look at the state took.", look.took)
        yield CounterMetricFamily("voxledger_status_failures", "Looks at the state that failed.", look.failures)


def _gauge(name: str, help: str, value: float | None) -> Metric:
    """One number; None where nobody knows it."""
    return GaugeMetricFamily(name, help, value)


def _clips(status: Status) -> Iterator[Metric]:
    yield _gauge("voxledger_clips", "Clips whose audio is there.", status.clips)
    yield _gauge("voxledger_clips_audio_seconds", "Their length.", status.duration_us / 1e6)
    yield _gauge("voxledger_clips_bytes", "Their size.", status.bytes)
    yield _gauge("voxledger_clips_unstored_bytes", "Bytes that the store does not have yet.", status.unstored_bytes)
    yield _gauge("voxledger_clips_stored", "Clips that the store has.", status.stored)
    yield _gauge("voxledger_clips_missing", "Clips that the store was seen to lack.", status.missing)
    yield _gauge("voxledger_clips_pinned", "Clips that are pinned.", status.pinned)
    yield _gauge("voxledger_clips_marked", "Clips that retention has marked.", status.marked)
    yield _gauge("voxledger_clips_purged", "Clips whose audio was purged.", status.purged)


def _waiting(status: Status) -> Iterator[Metric]:
    present = time.time()
    tasks = GaugeMetricFamily("voxledger_tasks", "Tasks: waiting, leased, parked.", labels=["kind", "state"])
    oldest = GaugeMetricFamily("voxledger_tasks_oldest_seconds", "Age of the oldest.", labels=["kind", "state"])
    for task in status.tasks:
        tasks.add_metric([task.kind, task.state], task.count)
        oldest.add_metric([task.kind, task.state], max(0.0, present - task.oldest))
    behind = GaugeMetricFamily(
        "voxledger_subscription_waiting_events",
        "Events that wait for a subscription; `feed` is the one of `events stream --name` that is furthest behind.",
        labels=["subscription"],
    )
    feeds = [each.waiting for each in status.subscriptions if each.name not in _KNOWN]
    for each in status.subscriptions:
        if each.name in _KNOWN:
            behind.add_metric([each.name], each.waiting)
    if feeds:
        behind.add_metric(["feed"], max(feeds))
    yield from (tasks, oldest, behind)
    since = min((report.since for report in status.reports), default=present)
    yield _gauge("voxledger_quarantined_events", "Events that Mixpanel refused for good.", status.quarantined)
    yield _gauge("voxledger_reports_due", "Weekly reports that nobody has made yet.", len(status.reports))
    yield _gauge(
        "voxledger_reports_due_seconds", "How long the oldest of them has been due.", max(0.0, present - since)
    )
    yield _gauge("voxledger_erasures_waiting", "Erasures that wait for something.", status.erasures)


def _disk(status: Status) -> Iterator[Metric]:
    yield _gauge("voxledger_disk_free_bytes", "Free on the disk of HOME.", status.free_disk)
    yield _gauge("voxledger_disk_min_free_bytes", "Below this nothing is generated.", status.min_free_disk)
    cache = status.cache  # nobody has counted it where it has no limit
    yield _gauge("voxledger_cache_bytes", "Local copies of clips.", None if cache is None else cache.bytes)
    yield _gauge("voxledger_cache_files", "How many they are.", None if cache is None else cache.files)
    yield _gauge("voxledger_cache_limit_bytes", "What they may weigh; 0 = no limit.", status.cache_limit)


def _trouble(status: Status) -> Iterator[Metric]:
    elsewhere, standing = status.elsewhere, status.retention
    recent = elsewhere is not None and elsewhere.is_recent
    yield _gauge("voxledger_another_home", "1 while another HOME goes on as this node.", recent)
    yield _gauge("voxledger_retention_valid", "1 if the settings of retention can be understood.", standing is not None)
    if standing is None:
        return
    yield _gauge(
        "voxledger_retention_stopped", "1 while something stops the nightly run.", standing.stopped is not None
    )
    waiting = standing.waiting.clips if standing.waiting else 0
    yield _gauge("voxledger_retention_waiting_purges", "Purges that wait for the purge window.", waiting)
    yield _gauge("voxledger_retention_overdue_holds", "Legal holds to be looked at again.", standing.overdue_holds)
