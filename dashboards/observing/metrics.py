"""Metrics: what happens in this process, counted for Prometheus.

Names follow https://prometheus.io/docs/practices/naming/. Labels take few values: a route by its template, an engine by its name, a
format, an outcome. Nothing that somebody wrote becomes a label.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from voxledger.catalog.steps import Step

NOWHERE = "(none)"
"""The route of a request that none serves."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_MOST = 64
"""Values that a label takes; whatever comes later counts as `other`."""
_BRIEF = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0)
_LAG = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 4 * 3600.0, 86400.0, 7 * 86400.0)


_M = TypeVar("_M", Counter, Histogram)


class _Values:
    """The values of a label, as many as there may be."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def kept(self, value: str) -> str:
        if value in self._seen:
            return value
        with self._lock:
            if len(self._seen) >= _MOST:
                return "other"
            self._seen.add(value)
        return value


class _Labelled(Generic[_M]):
    """The series of one metric by their labels: the library's own look-up takes longer than counting."""

    def __init__(self, metric: _M) -> None:
        self._metric: _M = metric
        self._series: dict[tuple[str | int, ...], _M] = {}

    def __call__(self, *labels: str | int) -> _M:
        found = self._series.get(labels)
        if found is None:
            found = self._series[labels] = self._metric.labels(*labels)
        return found


class Metrics:
    """The counters and histograms of one node, in a registry of their own. Safe from many threads."""

    def __init__(self, version: str) -> None:
        # When each counter was made is a series more for each; Prometheus sees restarts without it.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it takes and gives nothing
        self.registry = CollectorRegistry()
        self._engines, self._reasons = _Values(), _Values()
        ProcessCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        Info("voxledger_build", "Which version runs.", registry=self.registry).info({"version": version})
        self._steps()
        self._http()
        self.records = self._counter("voxledger_log_records", "Lines of the log from warnings on, by level.", "level")
        self.spans = self._counter("voxledger_spans", "Spans for the collector of traces: sent, failed.", "outcome")

    def _steps(self) -> None:
        histogram, counter = self._histogram, self._counter
        histograms, counters = self._histograms, self._counters
        self._queue = histograms("voxledger_queue_seconds", "Wait for a turn at an engine.", _LONG, "engine")
        self._synthesis = histograms(
            "voxledger_synthesis_seconds", "An engine's work in one turn: a short text, or a sentence.", _LONG, "engine"
        )
        self._audio = histograms(
            "voxledger_audio_seconds", "The audio chain: trim, loudness, peak, rate.", _BRIEF, "format"
        )
        self._encode = histograms("voxledger_encode_seconds", "The encoder.", _BRIEF, "format")
        self._generation = histograms(
            "voxledger_generation_seconds", "A generation from the request to its end.", _LONG, "engine", "outcome"
        )
        self._generations = counters(
            "voxledger_generations", "Generations: completed, reused, failed, cancelled.", "engine", "format", "outcome"
        )
        self._sound = counters(
            "voxledger_generated_audio_seconds", "Sound of the clips that were given.", "engine", "outcome"
        )
        self._failures = counter(
            "voxledger_generation_failures", "Generations that failed, by cause.", "engine", "failure"
        )
        self._upload = histogram("voxledger_upload_seconds", "A transfer to the store that arrived.", _LONG)
        self._upload_wait = histogram(
            "voxledger_upload_wait_seconds", "From the acknowledgement of a clip until its transfer began.", _LAG
        )
        self._uploads = counter("voxledger_uploads", "Attempts at uploads: stored, retried, parked.", "outcome")
        self._uploaded = counter("voxledger_uploaded_bytes", "Bytes that the store has taken.")
        self._lag = histogram(
            "voxledger_delivery_lag_seconds", "From the oldest event of a request to Mixpanel until it was taken.", _LAG
        )
        self._delivered = counter("voxledger_delivered_events", "Events that Mixpanel has taken.")
        self._drain = histogram("voxledger_drain_seconds", "A batch of events into the log and its tables.", _BRIEF)
        self._drained = counter("voxledger_drained_events", "Events that came into the log.")

    def _http(self) -> None:
        self._requests = self._counters(
            "voxledger_http_requests", "Requests that were answered.", "route", "method", "status"
        )
        self._request = self._histograms(
            "voxledger_http_request_seconds", "A request until the last byte of its answer.", _LONG, "route", "method"
        )
        self._sent = self._counters("voxledger_http_response_bytes", "Bytes of the answers' bodies.", "route")
        self.in_progress = Gauge(
            "voxledger_http_requests_in_progress", "Requests that are being answered.", registry=self.registry
        )

    def _histogram(self, name: str, help: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(name, help, labels, buckets=buckets, registry=self.registry)

    def _counter(self, name: str, help: str, *labels: str) -> Counter:
        return Counter(name, help, labels, registry=self.registry)

    def _histograms(self, name: str, help: str, buckets: Sequence[float], *labels: str) -> _Labelled[Histogram]:
        return _Labelled(self._histogram(name, help, buckets, *labels))

    def _counters(self, name: str, help: str, *labels: str) -> _Labelled[Counter]:
        return _Labelled(self._counter(name, help, *labels))

    def heard(self, step: Step) -> None:
        """A step has ended."""
        engine = self._engines.kept(step.engine)
        if step.name == "queue":
            self._queue(engine).observe(step.seconds)
        elif step.name == "synthesis":
            self._synthesis(engine).observe(step.seconds)
        elif step.name == "audio":
            self._audio(step.format).observe(step.seconds)
        elif step.name == "encode":
            self._encode(step.format).observe(step.seconds)
        elif step.name == "generation":
            self._generated(step, engine)
        elif step.name == "upload":
            self._came(step)
        elif step.name == "delivery":
            self._lag.observe(step.seconds)
            self._delivered.inc(step.amount)
        else:
            self._drain.observe(step.seconds)
            self._drained.inc(step.amount)

    def _generated(self, step: Step, engine: str) -> None:
        self._generation(engine, step.outcome).observe(step.seconds)
        self._generations(engine, step.format, step.outcome).inc()
        if step.amount:
            self._sound(engine, step.outcome).inc(step.amount / 1e6)
        if step.reason:
            self._failures.labels(engine, self._reasons.kept(step.reason)).inc()

    def _came(self, step: Step) -> None:
        self._uploads.labels(step.outcome).inc()
        if step.outcome == "stored":
            self._upload.observe(step.seconds)
            self._uploaded.inc(step.amount)
            if step.waited is not None:
                self._upload_wait.observe(step.waited)

    def answered(self, route: str, method: str, status: int, seconds: float, sent: int) -> None:
        """A request was answered with so many bytes; `route` is its template."""
        known = method if method in _METHODS else "other"
        self._requests(route, known, status).inc()
        self._request(route, known).observe(seconds)
        self._sent(route).inc(sent)

    def counting(self) -> logging.Handler:
        """A handler that counts log lines from warnings on."""
        return _Counting(self.records)


class _Counting(logging.Handler):
    def __init__(self, records: Counter) -> None:
        super().__init__(logging.WARNING)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.labels("error" if record.levelno >= logging.ERROR else "warning").inc()
