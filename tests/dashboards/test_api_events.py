"""Events over HTTP: pages in the order of the log, and a stream that goes on where it was cut off."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE, running_node
from voxledger.dashboards.api.events import EACH


def _events(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/events", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


class _Stream:
    """What a stream has sent so far."""

    def __init__(self, answer: httpx.Response) -> None:
        self._lines = answer.iter_lines()

    def next(self) -> dict[str, Any]:
        """The next event, with the `id` and the name that it was sent under."""
        fields: dict[str, str] = {}
        for line in self._lines:
            if not line and "data" in fields:
                return {**json.loads(fields["data"]), "sent_id": fields["id"], "sent_name": fields["event"]}
            name, _, value = line.partition(": ")
            fields[name] = value
        raise AssertionError("the stream has ended")


@contextmanager
def _following(client: httpx.Client, last: int | None = None, **query: Any) -> Iterator[_Stream]:
    headers = {"Last-Event-ID": str(last)} if last is not None else {}
    with client.stream("GET", "/api/events", params={"follow": True, **query}, headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield _Stream(answer)


def test_pages_hold_every_event_once_and_in_order(catalog_node: CatalogNode) -> None:
    with catalog_node.client("analyst:alan") as client:
        position, found = 0, []
        while True:
            page = _events(client, after=position, limit=4)
            found += [int(event["position"]) for event in page["events"]]
            position = page["next"]
            if not page["more"]:
                break
    assert found == list(range(1, position + 1))


def test_a_page_holds_only_the_types_that_are_asked_for(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        page = _events(client, type=["GenerationCompleted", "TokenIssued"], since="1d", limit=1000)
        unknown = client.get("/api/events", params={"type": "GenerationComplete"})
    made = [event["subject"] for event in page["events"] if event["type"] == "GenerationCompleted"]
    assert [clip for clip in made if clip in (*catalog_node.ann, *catalog_node.bob)] == [
        *catalog_node.ann,
        *catalog_node.bob,
    ]
    assert {event["type"] for event in page["events"]} <= {"GenerationCompleted", "TokenIssued"}
    assert unknown.status_code == 400
    assert "did you mean GenerationCompleted?" in unknown.json()["error"]["message"]


def test_what_is_personal_stays_sealed(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        said = client.get("/api/events", params={"limit": 1000}).text
    assert "GenerationCompleted" in said
    assert "zeppelin" not in said
    assert "hangar" not in said


def test_one_event_by_position_or_id(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        first = client.get("/api/events/1").json()
        assert client.get(f"/api/events/{first['id']}").json() == first
        assert client.get("/api/events/nothing").json()["error"]["code"] == "event_not_found"
        known = client.get("/api/events/types").json()["types"]
    assert next(one for one in known if one["type"] == "GenerationCompleted")["events"] >= 7


def test_a_stream_tells_each_new_event_and_goes_on_where_it_was_cut_off(catalog_node: CatalogNode) -> None:
    clip = catalog_node.ann[0]
    with catalog_node.client() as client:
        head = _events(client, limit=1)["position"]
        with _following(client, type="ClipRated") as stream:
            assert client.put(f"/api/clips/{clip}/rating", json={"rating": 4}).is_success
            first = stream.next()
        assert client.put(f"/api/clips/{clip}/rating", json={"rating": 5}).is_success
        with _following(client, last=int(first["sent_id"]), type="ClipRated") as stream:
            second = stream.next()
        with _following(client, after=head, type="ClipRated") as stream:
            assert stream.next()["id"] == first["id"]
    assert (first["sent_name"], first["subject"], first["data"]["rating"]) == ("ClipRated", clip, 4)
    assert first["sent_id"] == first["position"]
    assert second["data"]["rating"] == 5


def test_streams_of_one_token_are_limited(catalog_node: CatalogNode) -> None:
    with catalog_node.client("analyst:many") as client:
        streams = [client.stream("GET", "/api/events", params={"follow": True}) for _ in range(EACH)]
        try:
            assert all(stream.__enter__().status_code == 200 for stream in streams)
            refused = client.get("/api/events", params={"follow": True})
        finally:
            for stream in streams:
                stream.__exit__(None, None, None)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_streams")
        assert refused.headers["retry-after"]
        for _ in range(int(PATIENCE / 0.1)):  # those that were closed are noticed one after the other
            with client.stream("GET", "/api/events", params={"follow": True}) as again:
                if again.status_code == 200:
                    break
            threading.Event().wait(0.1)
        assert again.status_code == 200


@pytest.mark.parametrize("query", [{"after": 10**9}, {"after": -1}, {"since": "9000-01-01"}, {"limit": 5000}])
def test_a_place_that_is_none_is_one_clear_error(catalog_node: CatalogNode, query: dict[str, Any]) -> None:
    with catalog_node.client() as client:
        for follow in (False, True):
            answer = client.get("/api/events", params={**query, "follow": follow})
            assert answer.status_code in (400, 422), answer.text


def test_whoever_makes_clips_only_follows_nothing(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:ann") as client:
        assert client.get("/api/events").status_code == 403
        assert client.get("/api/events", params={"follow": True}).status_code == 403


def test_a_stream_ends_when_its_token_is_revoked_and_when_the_node_stops(tmp_path: Path) -> None:
    with running_node(tmp_path / "home", store_close_wait=0) as node, node.client() as owner:
        made = owner.post("/api/tokens", json={"role": "analyst", "name": "alan"}).json()
        with node.client(made["token"]) as client, _following(client, after=0) as stream:
            stream.next()
            assert owner.delete(f"/api/tokens/{made['id']}").is_success
            with pytest.raises((AssertionError, KeyError, json.JSONDecodeError)):
                while stream.next():
                    pass
        with _following(owner, after=0) as stream:
            stream.next()
            assert node.stop() == 0
            with pytest.raises(AssertionError, match="ended"):
                while stream.next():
                    pass
