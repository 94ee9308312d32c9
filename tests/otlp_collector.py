"""A stand-in for a collector of traces, on loopback: OTLP over HTTP in protobuf, as strict as documented.

Rules are those of https://opentelemetry.io/docs/specs/otlp/#otlphttp: POST to `/v1/traces`, `application/x-protobuf`, plain or under
gzip; a success is 200 with an `ExportTraceServiceResponse`.
"""

from __future__ import annotations

import gzip
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

_NO_PARENT = ""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A span as it came in; ids are hex, times in seconds since the epoch, `parent` is empty at the root."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    failed: bool
    began: float
    ended: float
    attributes: dict[str, Any]


class Collector:
    """Takes spans in a thread until the `with` ends. `url` is what `serve.traces` takes."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        """Each request's body, uncompressed."""
        self.resources: list[dict[str, Any]] = []
        self.status = 200
        """What is answered."""
        self.hold: threading.Event | None = None
        """Answer only when this event is set."""
        self.asked = 0
        """Requests that came, whatever became of them."""
        self._changed = threading.Condition()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                status, body = collector._take(
                    self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"]))
                )
                self.send_response(status)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Collector:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.hold is not None:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def wait(self, *names: str, trace: str = "", patience: float = 60.0) -> list[Span]:
        """The spans of a trace, or all, once one with each of these names is among them."""
        deadline = time.monotonic() + patience
        with self._changed:
            while True:
                found = [span for span in self.spans if not trace or span.trace == trace]
                if {span.name for span in found}.issuperset(names):
                    return found
                if not self._changed.wait(max(0.0, deadline - time.monotonic())):
                    raise AssertionError(f"spans {names} did not come; there are {[span.name for span in found]}")

    def _take(self, path: str, headers: Any, body: bytes) -> tuple[int, bytes]:
        with self._changed:
            self.asked += 1
        if self.hold is not None:
            self.hold.wait(60)
        if path != "/v1/traces":
            return 404, b""
        if headers["Content-Type"] != "application/x-protobuf":
            return 415, b""
        if self.status != 200:
            return self.status, b""
        if headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        with self._changed:
            self.bodies.append(body)
            for each in request.resource_spans:
                self.resources.append(_values(each.resource.attributes))
                for scope in each.scope_spans:
                    self.spans.extend(map(_span, scope.spans))
            self._changed.notify_all()
        return 200, ExportTraceServiceResponse().SerializeToString()


def _span(span: Any) -> Span:
    return Span(
        name=span.name, trace=span.trace_id.hex(), id=span.span_id.hex(), parent=span.parent_span_id.hex() or _NO_PARENT,
        kind=span.kind, failed=span.status.code == 2, began=span.start_time_unix_nano / 1e9,
        ended=span.end_time_unix_nano / 1e9, attributes=_values(span.attributes),
    )  # fmt: skip


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}
