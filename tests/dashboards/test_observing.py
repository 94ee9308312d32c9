"""Observing: what the node counts, writes into its log and sends to a collector of traces, seen from outside."""

from __future__ import annotations

import itertools
import json
import re
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.node import PATIENCE, RunningNode, running_node
from tests.otlp_collector import Collector

_PARENT = "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as made:
        yield made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("observing") / "home"
    with running_node(home, serve_log="json", serve_traces=collector.url, serve_at_once=4) as running:
        yield running


def _spoken(node: RunningNode, text: str, **headers: str) -> dict[str, Any]:
    with node.client() as client:
        answer = client.post("/api/clips", json={"text": text, "engine": "espeak"}, headers=headers)
    assert answer.status_code in (200, 201), answer.text
    clip: dict[str, Any] = answer.json()["clip"]
    return clip


def _told(client: httpx.Client) -> str:
    answer = client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return answer.text


def _samples(node: RunningNode) -> dict[str, float]:
    """Each series with its labels, such as `voxledger_tasks{kind="upload",state="leased"}`."""
    with node.client() as client:
        return _parsed(_told(client))


def _parsed(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def _eventually(node: RunningNode, holds: Callable[[dict[str, float]], bool]) -> dict[str, float]:
    """The samples as Prometheus understands them, once they hold; until then they are read row by row, which costs much less."""
    deadline = time.monotonic() + PATIENCE
    with node.client() as client:
        while True:
            text = _told(client)
            rows = (row.rpartition(" ") for row in text.splitlines() if not row.startswith("#"))
            if holds(found := {name: float(value) for name, _, value in rows}):
                return _parsed(text)
            assert time.monotonic() < deadline, found
            time.sleep(0.1)


def _lines(node: RunningNode) -> list[dict[str, Any]]:
    return [json.loads(line) for line in node.said().splitlines()]


def test_a_clip_counts_from_its_turn_to_the_store(node: RunningNode) -> None:
    _spoken(node, "a clip that is counted")
    _spoken(node, "a clip that is counted")
    found = _eventually(node, lambda samples: samples.get("voxledger_uploaded_bytes_total", 0) > 1000)
    assert found['voxledger_uploads_total{outcome="stored"}'] >= 1
    assert found['voxledger_generations_total{engine="espeak",format="wav",outcome="completed"}'] >= 1
    assert found['voxledger_generations_total{engine="espeak",format="wav",outcome="reused"}'] >= 1
    assert found['voxledger_generated_audio_seconds_total{engine="espeak",outcome="completed"}'] > 0.2
    assert found['voxledger_queue_seconds_count{engine="espeak"}'] >= 1
    assert found['voxledger_synthesis_seconds_sum{engine="espeak"}'] > 0
    assert found['voxledger_audio_seconds_count{format="wav"}'] >= 1
    assert found['voxledger_encode_seconds_count{format="wav"}'] >= 1
    assert found["voxledger_upload_seconds_count"] >= 1
    assert found["voxledger_upload_wait_seconds_count"] >= 1
    assert found['voxledger_engine_turns_free{engine="espeak"}'] >= 1
    found = _eventually(node, lambda samples: samples["voxledger_clips_stored"] >= 1)
    assert found["voxledger_drained_events_total"] >= 3
    assert found["voxledger_events_total"] >= 3
    assert found["voxledger_clips"] >= 1


def test_a_failure_counts_by_its_cause(node: RunningNode) -> None:
    with node.client() as client:
        assert (
            client.post("/api/clips", json={"text": "x", "engine": "espeak", "language": "zz-nope"}).status_code == 400
        )
    found = _samples(node)
    assert found['voxledger_generation_failures_total{engine="espeak",failure="unsupported_language"}'] >= 1


def test_requests_count_by_route_template_and_never_by_path(node: RunningNode) -> None:
    clip = _spoken(node, "a clip that is asked for")
    with node.client() as client:
        assert client.get(f"/api/clips/{clip['id']}").status_code == 200
        assert client.get("/api/clips/no-such-clip").status_code == 404
        assert client.get("/somebody/wrote/this").status_code == 404
        assert client.request("PROPFIND", "/somebody/wrote/this").status_code in (404, 405)
    with node.client("") as stranger:
        assert stranger.get("/api/clips").status_code == 401
    found = _samples(node)
    requests = {name: value for name, value in found.items() if name.startswith("voxledger_http_requests_total")}
    assert requests['voxledger_http_requests_total{method="GET",route="/api/clips/{clip}",status="200"}'] >= 1
    assert requests['voxledger_http_requests_total{method="GET",route="/api/clips/{clip}",status="404"}'] >= 1
    assert requests['voxledger_http_requests_total{method="GET",route="/api/clips",status="401"}'] >= 1
    assert requests['voxledger_http_requests_total{method="GET",route="(none)",status="404"}'] >= 1
    assert not [name for name in found if "somebody" in name or clip["id"] in name or "PROPFIND" in name]


def test_names_follow_the_conventions_of_prometheus(node: RunningNode) -> None:
    with node.client() as client:
        text = client.get("/metrics").text
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith("voxledger_")]
    assert len(families) > 50
    for family in families:
        assert family.documentation.endswith("."), family.name
        assert re.fullmatch(r"voxledger_[a-z][a-z0-9_]*[a-z0-9]", family.name), family.name
        assert not re.search(r"_(ms|us|kb|mb|milliseconds|microseconds)(_|$)", family.name), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds"), family.name
        if family.type == "counter":
            assert all(sample.name.endswith("_total") for sample in family.samples), family.name


def test_prometheus_may_ask_for_openmetrics(node: RunningNode) -> None:
    with node.client() as client:
        answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_metrics_want_a_token_that_may_see_usage(node: RunningNode) -> None:
    with node.client("") as stranger:
        answer = stranger.get("/metrics")
    assert answer.status_code == 401
    assert "voxledger_" not in answer.text


def test_each_request_is_one_line_of_json(node: RunningNode) -> None:
    clip = _spoken(node, "a clip that is logged", **{"X-Request-Id": "request-one-of-a-kind"})
    with node.client() as client:
        size = len(
            client.get(f"/api/clips/{clip['id']}?words=unheard-of", headers={"X-Request-Id": "request-two"}).content
        )
    lines = {line["request"]: line for line in _lines(node) if line["logger"] == "voxledger.access"}
    one, two = lines["request-one-of-a-kind"], lines["request-two"]
    assert (one["method"], one["route"], one["status"], one["principal"]) == ("POST", "/api/clips", 201, "local")
    assert (two["route"], two["clip"], two["bytes"]) == ("/api/clips/{clip}", clip["id"], size)
    assert 0 < two["ms"] < 60_000
    assert "unheard-of" not in node.said()
    assert "a clip that is logged" not in node.said()
    assert not [line for line in _lines(node) if line.get("route") in ("/healthz", "/metrics")]


@pytest.mark.parametrize("route", ["/api/clips", "/v1/audio/speech"])
def test_a_request_is_a_span_in_the_callers_trace_with_its_steps(
    node: RunningNode, collector: Collector, route: str
) -> None:
    trace, words = secrets.token_hex(16), f"a clip that is traced by {route}"
    field, engine = ("text", "engine") if route == "/api/clips" else ("input", "model")
    with node.client() as client:
        asked = {field: words, engine: "espeak"}
        answer = client.post(route, json=asked, headers={"traceparent": f"00-{trace}-{_PARENT}-01"})
    assert answer.is_success, answer.text
    clip = answer.headers.get("X-Voxledger-Clip") or answer.json()["clip"]["id"]
    steps = ("queue", "synthesis", "audio", "encode", "generation", "upload")
    spans = {span.name: span for span in collector.wait(f"POST {route}", *steps, trace=trace)}
    request = spans[f"POST {route}"]
    assert request.parent == _PARENT
    assert request.kind == 2  # server
    assert request.attributes["http.route"] == route
    assert request.attributes["http.response.status_code"] == answer.status_code
    assert {spans[name].parent for name in steps} == {request.id}
    assert spans["upload"].attributes["voxledger.clip"] == clip
    in_order = [spans[name] for name in ("queue", "synthesis", "audio", "encode")]
    for earlier, later in itertools.pairwise(in_order):
        assert earlier.ended <= later.began + 0.02, (earlier, later)
    assert all(request.began - 0.02 <= span.began <= span.ended <= request.ended + 0.02 for span in in_order)
    assert collector.resources[0]["service.name"] == "voxledger"
    assert not [body for body in collector.bodies if b"that is traced" in body]


def test_a_trace_of_nonsense_begins_a_new_one(node: RunningNode, collector: Collector) -> None:
    with node.client() as client:
        assert client.get("/api/clips?limit=3", headers={"traceparent": "00-zz-zz-01"}).status_code == 200
    spans = [span for span in collector.wait("GET /api/clips") if span.name == "GET /api/clips"]
    assert spans[-1].parent == ""


def test_a_collector_that_hangs_or_refuses_keeps_nobody_waiting(tmp_path: Path) -> None:
    with Collector() as slow, running_node(tmp_path / "home", serve_traces=slow.url, store_close_wait=0) as node:
        slow.status = 503
        with node.client() as client:
            while not slow.asked:
                began = time.monotonic()
                assert client.get("/api/clips").status_code == 200
                assert time.monotonic() - began < 5
                time.sleep(0.05)
        found = _eventually(node, lambda samples: samples.get('voxledger_spans_total{outcome="failed"}', 0) > 0)
        assert found['voxledger_log_records_total{level="warning"}'] >= 1
        assert node.said().count("the collector does not take them") == 1

        slow.hold = threading.Event()
        asked = slow.asked
        with node.client() as client:
            while slow.asked == asked:
                assert client.get("/api/clips").status_code == 200
                time.sleep(0.05)
        began = time.monotonic()
        assert node.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 20


def test_an_endpoint_that_is_none_is_one_clear_error(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"serve\.traces must be the address of a collector") as caught,
        running_node(tmp_path / "home", serve_traces="4318"),
    ):
        pass
    assert "Traceback" not in str(caught.value)


def test_text_lines_name_the_request(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", serve_log_level="debug", serve_metrics="open", store_close_wait=0) as node:
        with node.client("") as stranger:
            assert stranger.get("/metrics").status_code == 200
            assert stranger.get("/api/clips", headers={"X-Request-Id": "request-three"}).status_code == 401
        wanted = r"^\S+Z debug +access \[request-three\]: GET /api/clips 401 method=GET"
        deadline = time.monotonic() + PATIENCE
        while not re.search(wanted, node.said(), re.MULTILINE):  # it is written when the answer has been sent
            assert time.monotonic() < deadline, node.said()
            time.sleep(0.05)
