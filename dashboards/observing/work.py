"""Work: batches, operations and the SQL service, as metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, get_args

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voxledger.dashboards.jobs.job import OPEN, State

if TYPE_CHECKING:
    from voxledger.dashboards.jobs import Jobs
    from voxledger.dashboards.operations import Operations
    from voxledger.dashboards.sql.service import Service

Tell = Callable[[], Iterable[Metric]]


class WorkCollector(Collector):
    """Gives Prometheus what a room of the node tells of its work, at each scrape."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def collect(self) -> Iterable[Metric]:
        """Of `Collector`: all of it."""
        return self._tell()

    def describe(self) -> Iterable[Metric]:
        """Of `Collector`: nothing, so that registering it looks at nothing."""
        return ()


def of_jobs(jobs: Jobs) -> Iterator[Metric]:
    """Batches by state, and the lines of those that go on."""
    found = jobs.every()
    states = Counter(job.state for job in found)
    batches = GaugeMetricFamily("voxledger_batches", "Batches that were handed in, by state.", labels=["state"])
    for state in get_args(State):
        batches.add_metric([state], states[state])
    yield batches
    left = sum(job.lines - job.progress.done for job in found if job.state in OPEN)
    yield GaugeMetricFamily("voxledger_batch_lines_waiting", "Lines of batches that are not spoken yet.", left)


def of_operations(operations: Operations) -> Iterator[Metric]:
    """Operations that run: of retention, of reports."""
    running = sum(operation.state == "running" for operation in operations.all())
    yield GaugeMetricFamily("voxledger_operations_running", "Operations of retention and reports under way.", running)


def of_sql(service: Service) -> Iterator[Metric]:
    """How old the snapshot is that SQL would be answered from; no number before the first one."""
    found = service.latest() if service.off is None else None
    what = "Seconds ago that nothing was missing in the snapshot that SQL is answered from."
    yield GaugeMetricFamily("voxledger_sql_snapshot_age_seconds", what, None if found is None else found.age)
