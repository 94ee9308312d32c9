"""Traces: spans of requests and of the steps done for them, for a collector that speaks OTLP over HTTP.

They are sent in batches by a thread of their own, from a queue that holds so many and then lets the oldest go: a collector that is slow,
away or broken costs spans, and no request anything.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from voxledger.catalog.errors import SettingsError, VoxledgerError
from voxledger.dashboards.observing.at_hand import AtHand, at_hand

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span
    from prometheus_client import Counter

    from voxledger.catalog.steps import Step

_PATH = "/v1/traces"
_BY_ENVIRONMENT = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_TIMEOUT = 5.0
"""Seconds that a batch may take."""
_FAREWELL = 3.0
"""Seconds for what is left when the node stops."""
_QUEUE, _BATCH, _EVERY = 4096, 512, 2000.0
_MOST_SPANS = 256
"""Spans of one request: those of further sentences of a book are left out."""
_REMEMBERED = 10_000
"""Clips whose trace is known until they are uploaded."""
_log = logging.getLogger(__name__)


def wanted(endpoint: str) -> bool:
    """Whether traces are to be kept: `serve.traces` or OpenTelemetry's own variables name a collector."""
    return bool(endpoint or any(os.environ.get(name) for name in _BY_ENVIRONMENT))


class Traces:
    """Spans of this process. Safe from many threads; nothing here raises or waits once it is made."""

    def __init__(self, endpoint: str, *, version: str, node: str, counted: Counter) -> None:
        """Raises VoxledgerError without the extra `traces`, SettingsError for an endpoint that is none."""
        address = _address(endpoint)
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ModuleNotFoundError as error:
            raise VoxledgerError(
                f"traces need the package {error.name!r}: pip install 'voxledger[traces]', or empty serve.traces and"
                " OTEL_EXPORTER_OTLP_ENDPOINT"
            ) from error
        # What goes wrong is said once, by us.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._exporter = _exporter(OTLPSpanExporter(endpoint=address, timeout=_TIMEOUT), counted)
        resource = Resource.create(
            {"service.name": "voxledger", "service.version": version, "service.instance.id": node}
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(
            BatchSpanProcessor(
                self._exporter, max_queue_size=_QUEUE, max_export_batch_size=_BATCH, schedule_delay_millis=_EVERY
            )
        )
        self._tracer = self._provider.get_tracer("voxledger", version)
        self._propagator = TraceContextTextMapPropagator()
        self._lock = threading.Lock()
        self._clips: OrderedDict[str, Span] = OrderedDict()

    def begun(self, current: AtHand, method: str, headers: Mapping[str, str]) -> None:
        """A request begins; `headers` may name the trace that it belongs to (https://www.w3.org/TR/trace-context/)."""
        from opentelemetry.trace import SpanKind

        context = self._propagator.extract(
            {name: headers[name] for name in ("traceparent", "tracestate") if name in headers}
        )
        current.span = self._tracer.start_span(method, context=context, kind=SpanKind.SERVER)

    def ended(self, current: AtHand, method: str, route: str, status: int, **known: Any) -> None:
        """The request was answered. `known` are ids and numbers, nothing that somebody wrote."""
        from opentelemetry.trace import StatusCode

        span = current.span
        if span is None:
            return
        span.update_name(f"{method} {route}")
        span.set_attributes(
            {
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": status,
                "voxledger.request": current.id,
            }
        )
        span.set_attributes({f"voxledger.{name}": value for name, value in known.items() if value})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    def heard(self, step: Step) -> None:
        """A step has ended: a span under the request that it was for, or, for an upload, that made the clip."""
        current = at_hand.get()
        parent: Span | None = None
        if current is not None and current.span is not None:
            if current.spans >= _MOST_SPANS:
                return
            current.spans += 1
            parent = current.span
            if step.name == "encode":  # the last one before it is acknowledged, and may be uploaded
                self._remember(step.clip, parent)
        else:
            parent = self._made(step) if step.name == "upload" and step.clip else None
        if parent is not None:
            self._record(step, parent)

    def _record(self, step: Step, parent: Span) -> None:
        from opentelemetry.trace import StatusCode, set_span_in_context

        end = time.time() - step.ago
        span = self._tracer.start_span(
            step.name, context=set_span_in_context(parent), start_time=_nanoseconds(end - step.seconds),
            attributes={f"voxledger.{name}": value for name in _TOLD if (value := getattr(step, name))},
        )  # fmt: skip
        if step.outcome == "failed":
            span.set_status(StatusCode.ERROR, step.reason)
        span.end(_nanoseconds(end))

    def _remember(self, clip: str, span: Span) -> None:
        with self._lock:
            self._clips[clip] = span
            if len(self._clips) > _REMEMBERED:
                self._clips.popitem(last=False)

    def _made(self, step: Step) -> Span | None:
        with self._lock:
            return self._clips.pop(step.clip, None)

    def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        self._exporter.hurry(_FAREWELL)
        closing = threading.Thread(target=self._provider.shutdown, name="voxledger-traces", daemon=True)
        closing.start()
        closing.join(_FAREWELL + 1.0)


_TOLD = ("clip", "engine", "format", "outcome", "reason", "amount")


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def _address(endpoint: str) -> str | None:
    """Where spans go; None leaves it to OpenTelemetry's own variables."""
    if not endpoint:
        return None
    try:
        parts = urlsplit(endpoint)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        sound = False
    if not sound:
        raise SettingsError(
            "serve.traces must be the address of a collector that speaks OTLP over HTTP, such as http://127.0.0.1:4318",
            name="serve.traces",
        )
    return endpoint if parts.path.rstrip("/").endswith(_PATH) else endpoint.rstrip("/") + _PATH


def _exporter(inner: SpanExporter, counted: Counter) -> Any:
    """The exporter `inner`, counted, and its troubles said once."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Exporter(SpanExporter):
        def __init__(self) -> None:
            self._failing = False
            self._until = float("inf")

        def hurry(self, seconds: float) -> None:
            """From here on what does not go within so many seconds is let go."""
            self._until = time.monotonic() + seconds

        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            try:
                sent = time.monotonic() < self._until and inner.export(spans) is SpanExportResult.SUCCESS
            except Exception:  # noqa: BLE001  # a library's defect must not end the thread that sends
                sent = False
            counted.labels("sent" if sent else "failed").inc(len(spans))
            if sent == self._failing:
                self._failing = not sent
                _log.warning("traces: %s", "the collector takes them again" if sent else _AWAY)
            return SpanExportResult.SUCCESS if sent else SpanExportResult.FAILURE

        def shutdown(self) -> None:
            inner.shutdown()

    return Exporter()


_AWAY = "the collector does not take them; what is not sent soon is let go"
