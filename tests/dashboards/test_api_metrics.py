"""Metrics, status and search over HTTP: they tell what the command line tells, to those who may know."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.dashboards.conftest import CatalogNode
from voxledger.analytics.metrics import METRICS


def _told(client: httpx.Client, path: str, **query: Any) -> dict[str, Any]:
    answer = client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_all_metrics_are_listed_with_what_they_can_be_told_by(catalog_node: CatalogNode) -> None:
    with catalog_node.client("viewer:vera") as client:
        listed = _told(client, "/api/metrics")["metrics"]
    assert [one["name"] for one in listed] == list(METRICS)
    assert "emotion" in next(one for one in listed if one["name"] == "clips")["by"]


def test_a_metric_is_told_whole_by_group_and_in_time(catalog_node: CatalogNode) -> None:
    period = {"since": "1d"}
    with catalog_node.client("viewer:vera") as client:
        whole = _told(client, "/api/metrics/audio_us", **period)
        groups = _told(client, "/api/metrics/clips", by=["actor", "language"], **period)
        days = _told(client, "/api/metrics/clips", every="day", **period)
    assert whole["unit"] == "us"
    assert whole["value"] > 0 == whole["before"]
    found = {(row["actor"], row["language"]): row["clips"] for row in groups["rows"]}
    assert found[("bob", "en-GB")] == 3
    assert sum(row["clips"] for row in days["rows"]) >= 7


def test_the_query_that_is_shown_tells_the_same(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        told = _told(client, "/api/metrics/clips", week="2026-W01", by="actor")
    assert told["rows"] == []
    assert "GROUP BY" in told["sql"]


@pytest.mark.parametrize(
    ("path", "query", "status", "code"),
    [
        ("/api/metrics/clip", {}, 404, "metric_not_found"),
        ("/api/metrics/clips", {"by": "colour"}, 400, "analytics"),
        ("/api/metrics/clips", {"week": "2026-W99"}, 400, "analytics"),
        ("/api/metrics/clips", {"week": "2026-W01", "since": "7d"}, 400, "analytics"),
        ("/api/metrics/clips", {"until": "7d"}, 400, "analytics"),
        ("/api/metrics/clips", {"since": "0001-01-01"}, 400, "analytics"),
        ("/api/metrics/clips", {"since": "yesterday"}, 400, "query"),
        ("/api/metrics/clips", {"limit": 0}, 422, "invalid"),
    ],
)
def test_what_cannot_be_told_is_one_clear_error(
    catalog_node: CatalogNode, path: str, query: dict[str, Any], status: int, code: str
) -> None:
    with catalog_node.client() as client:
        answer = client.get(path, params=query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert answer.json()["error"]["remedy"]


def test_status_and_schedule_are_for_those_who_may_see_use(catalog_node: CatalogNode) -> None:
    with catalog_node.client("viewer:vera") as client:
        status = _told(client, "/api/status")
        jobs = _told(client, "/api/schedule")["jobs"]
    assert status["clips"] >= 7
    assert {job["name"] for job in jobs} >= {"drain", "search", "retention"}
    with catalog_node.client("creator:ann") as client:
        for path in (
            "/api/status",
            "/api/schedule",
            "/api/metrics",
            "/api/reports",
            "/api/retention/plan",
            "/api/holds",
        ):
            assert client.get(path).status_code == 403, path


def test_words_are_found_with_the_places_where_they_stand(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        first = _told(client, "/api/search", q="tide turning", limit=3)
        second = _told(client, "/api/search", q="tide turning", limit=3, cursor=first["next"])
    assert first["matches"] == 4
    assert {hit["clip"] for hit in (*first["hits"], *second["hits"])} == set(catalog_node.ann)
    snippet = next(part for part in first["hits"][0]["snippets"] if part["field"] == "text")
    start, end = snippet["ranges"][0]
    assert snippet["text"][start:end] == "tide"


def test_who_sees_the_own_clips_finds_no_others(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:ann") as client:
        assert _told(client, "/api/search", q="zeppelin")["matches"] == 0
        assert _told(client, "/api/search", q="tide")["matches"] == 4
    with catalog_node.client("creator:nobody") as client:
        assert _told(client, "/api/search", q="tide")["hits"] == []
