"""The stand-in for Mixpanel keeps the documented contract."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.mixpanel_server import Fault, MixpanelServer, invalid

IDENTITY = "01a20533-d2e5-73ad-b78e-d4c77bb9b23e"


def event(properties: dict[str, Any] | None = None, name: str = "Audio Generated") -> dict[str, Any]:
    required = {"time": 1_700_000_000_000, "distinct_id": "ann-1", "$insert_id": IDENTITY}
    return {"event": name, "properties": {**required, **(properties or {})}}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[MixpanelServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with MixpanelServer(accounts={"robot": ("secret", "42")}) as running:
        yield running


def post(server: MixpanelServer, events: list[Any], **changes: Any) -> requests.Response:
    options: dict[str, Any] = {
        "params": {"strict": "1"},
        "data": json.dumps(events),
        "headers": {"Content-Type": "application/json"},
        "auth": (server.token, ""),
        "timeout": 10,
    }
    return requests.post(f"{server.url}/import", **(options | changes))


def test_good_events_are_taken_as_array_and_as_lines(server: MixpanelServer) -> None:
    assert post(server, [event()]).json() == {"code": 200, "num_records_imported": 1, "status": "OK"}
    lines = gzip.compress(b"\n".join(json.dumps(event({"$insert_id": f"b-{n}"})).encode() for n in range(3)))
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    assert post(server, [], data=lines, headers=headers).json()["num_records_imported"] == 3
    assert len(server.events) == 4


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"time": None}, "properties.time"),
        ({"time": True}, "properties.time"),
        ({"time": "2026-01-01"}, "properties.time"),
        ({"time": 1000}, "properties.time"),
        ({"time": int(time.time()) + 7200}, "properties.time"),
        ({"distinct_id": None}, "properties.distinct_id"),
        ({"distinct_id": "anonymous"}, "properties.distinct_id"),
        ({"distinct_id": "00000000-0000-0000-0000-000000000000"}, "properties.distinct_id"),
        ({"$insert_id": None}, "properties.$insert_id"),
        ({"$insert_id": "x" * 37}, "properties.$insert_id"),
        ({"$insert_id": "with space"}, "properties.$insert_id"),
        ({"deep": {"a": {"b": {"c": {}}}}}, "properties"),
        ({f"p{n}": n for n in range(252)}, "properties"),
        ({"long": "x" * 1_000_000}, "event"),
    ],
)
def test_strict_validation_names_the_field(change: dict[str, Any], field: str) -> None:
    found = invalid(event(change))
    assert found is not None
    assert found[0] == field


def test_what_is_just_allowed_passes() -> None:
    good: dict[str, Any] = {"time": int(time.time()) + 3000, "distinct_id": "", "deep": {"a": {"b": {}}}}
    good |= {f"p{n}": n for n in range(250)}
    assert invalid(event(good)) is None
    assert invalid({"event": "", "properties": {}}) is not None
    assert invalid("no object") is not None


def test_a_strict_400_is_a_partial_success(server: MixpanelServer) -> None:
    answer = post(server, [event(), event({"$insert_id": "other", "time": None}), event({"$insert_id": "third"})])
    assert answer.status_code == 400
    content = answer.json()
    assert content["num_records_imported"] == 2
    assert [(row["index"], row["$insert_id"], row["field"]) for row in content["failed_records"]] == [
        (1, "other", "properties.time")
    ]
    assert len(server.events) == 2


def test_a_repeat_counts_once_only_when_all_four_are_equal(server: MixpanelServer) -> None:
    post(
        server,
        [
            event(),
            event({"extra": 1}),
            event({"time": 1_700_000_000_001}),
            event({}, "Other"),
            event({"distinct_id": "b"}),
        ],
    )
    assert (server.received, len(server.events)) == (5, 4)


def test_limits_of_a_request(server: MixpanelServer) -> None:
    many = [event({"$insert_id": str(n)}) for n in range(1, 2002)]
    assert post(server, many).status_code == 413
    assert post(server, many[:2000]).status_code == 200
    fat = [event({"$insert_id": str(n), "fat": "x" * 900_000}) for n in range(1, 4)]
    assert post(server, fat).json()["error"] == "request exceeds max limit of 2097152 bytes"


@pytest.mark.parametrize(
    ("auth", "project", "status"),
    [
        (("token", ""), "", 200),
        (("wrong", ""), "", 401),
        (("token", "password"), "", 401),
        (("robot", "secret"), "42", 200),
        (("robot", "secret"), "", 401),
        (("robot", "wrong"), "42", 401),
    ],
)
def test_credentials(server: MixpanelServer, auth: tuple[str, str], project: str, status: int) -> None:
    assert post(server, [event()], auth=auth, params={"strict": "1", "project_id": project}).status_code == status


def test_malformed_bodies_are_refused_whole(server: MixpanelServer) -> None:
    for data in ("", "[", "[]", '[{"event": NaN}]'):
        answer = post(server, [], data=data)
        assert answer.status_code == 400
        assert "failed_records" not in answer.json()


def test_faults_replace_an_answer_once_and_may_take_the_events_in(server: MixpanelServer) -> None:
    server.faults += [Fault(status=429, headers={"Retry-After": "7"}), Fault(cut=True, ingest=True), Fault(cut=True)]
    answer = post(server, [event()])
    assert (answer.status_code, answer.headers["Retry-After"], server.received) == (429, "7", 0)
    for received in (1, 1):
        with pytest.raises(requests.RequestException):
            post(server, [event()])
        assert server.received == received
    assert post(server, [event()]).status_code == 200
    assert [request.status for request in server.requests] == [429, 0, 0, 200]
