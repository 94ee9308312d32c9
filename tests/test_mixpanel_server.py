"""The stand-in for Mixpanel keeps the documented contract."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.mixpanel_server import Fault, MixpanelServer, invalid, invalid_lexicon

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


def _update(server: MixpanelServer, path: str, updates: Any, **changes: Any) -> Any:
    options: dict[str, Any] = {"params": {"strict": "1", "verbose": "1"}, "json": updates, "timeout": 10}
    return requests.post(f"{server.url}{path}", **(options | changes)).json()


def test_a_profile_is_set_and_set_again(server: MixpanelServer) -> None:
    ann = {"$token": "token", "$distinct_id": "ann"}
    assert _update(server, "/engage", [ann | {"$set": {"clips": 1, "last": "a"}}]) == {"status": 1, "error": None}
    _update(server, "/engage", [ann | {"$set": {"clips": 2}}])
    assert server.profiles == {"ann": {"clips": 2, "last": "a"}}
    _update(server, "/groups", [{"$token": "token", "$group_key": "node", "$group_id": "n1", "$set": {"clips": 3}}])
    assert server.groups == {("node", "n1"): {"clips": 3}}


def test_updates_that_are_not_valid_are_listed_and_the_others_are_taken(server: MixpanelServer) -> None:
    good = {"$token": "token", "$distinct_id": "ann", "$set": {"a": 1}}
    answer = _update(server, "/engage", [good | {"$set": 7}, good, good | {"$distinct_id": ""}])
    assert [row["index"] for row in answer["failed_records"]] == [0, 2]
    assert set(server.profiles) == {"ann"}
    assert _update(server, "/groups", [good])["status"] == 0


def test_profiles_travel_uncompressed_and_by_two_thousand(server: MixpanelServer) -> None:
    good = {"$token": "token", "$distinct_id": "ann", "$set": {"a": 1}}
    body, headers = gzip.compress(json.dumps([good]).encode()), {"Content-Encoding": "gzip"}
    assert _update(server, "/engage", None, json=None, data=body, headers=headers)["status"] == 0
    assert _update(server, "/engage", [good] * 2001)["status"] == 0
    assert _update(server, "/engage", [good | {"$set": {"fat": "x" * 1_000_000}}])["status"] == 0
    assert server.profiles == {}


def test_a_token_that_is_nobodys_is_not_told(server: MixpanelServer) -> None:
    assert _update(server, "/engage", [{"$token": "wrong", "$distinct_id": "ann", "$set": {"a": 1}}])["status"] == 1
    assert server.profiles == {}


def test_the_raw_export_has_whole_days_and_repeats(server: MixpanelServer) -> None:
    post(server, [event(), event(), event({"time": 1_700_100_000, "$insert_id": "later"})])
    found = requests.get(
        f"{server.url}/api/2.0/export", params={"from_date": "2023-11-14", "to_date": "2023-11-14"}, timeout=10
    )
    lines = [json.loads(line) for line in found.text.splitlines()]
    assert [line["properties"]["$insert_id"] for line in lines] == [IDENTITY, IDENTITY], "nothing is deduplicated"
    assert (lines[0]["event"], lines[0]["properties"]["time"]) == ("Audio Generated", 1_700_000_000)
    assert requests.get(f"{server.url}/api/2.0/export", timeout=10).status_code == 400


def test_a_lexicon_is_checked_as_it_would_be_on_upload() -> None:
    schema: dict[str, Any] = {"description": "d", "properties": {"bytes": {"type": "integer"}}, "metadata": {}}
    good = {"entityType": "event", "name": "Audio Generated", "schemaJson": schema}
    assert invalid_lexicon({"entries": [good], "truncate": False}) == ""
    assert invalid_lexicon([good])
    assert invalid_lexicon({"entries": [good | {"entityType": "group"}]})
    assert invalid_lexicon({"entries": [good | {"entityType": "profile"}]})
    assert invalid_lexicon({"entries": [good | {"schemaJson": schema | {"properties": {"bytes": {"type": "int"}}}}]})
    assert invalid_lexicon({"entries": [good | {"schemaJson": schema | {"title": "no"}}]})
