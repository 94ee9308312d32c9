"""Clips over HTTP: pages, filters, words, one clip with its history, and what people change about it."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE, PLAIN


def _page(client: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = client.get("/api/clips", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def _ids(page: dict[str, Any]) -> list[str]:
    return [clip["id"] for clip in page["clips"]]


def _code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"]["code"])


def _made(client: httpx.Client, **wanted: Any) -> str:
    answer = client.post(
        "/api/clips", json={"text": f"Something new, {uuid.uuid4().hex}.", "engine": "espeak", **wanted}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["clip"]["id"])


def _settled(client: httpx.Client, clip: str) -> None:
    """Wait for the upload, which changes a clip by itself."""
    deadline = time.monotonic() + PATIENCE
    while client.get(f"/api/clips/{clip}").json()["state"] != "stored":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_pages_go_on_where_the_last_one_ended(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        first = _page(client, session="sea", limit=3)
        second = _page(client, session="sea", limit=3, cursor=first["next"])
    assert _ids(first) + _ids(second) == list(reversed(catalog_node.ann))
    assert second["next"] is None


def test_a_page_says_where_in_the_log_it_is_from(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        answer = client.get("/api/clips", params={"limit": 1})
    assert answer.headers["x-voxledger-position"] == str(answer.json()["position"])


@pytest.mark.parametrize(
    ("query", "whose"),
    [
        ({"actor": "ann", "session": "sea"}, "ann"),
        ({"tag": "air"}, "bob"),
        ({"language": "en", "session": "airship"}, "bob"),
        ({"where": "session = 'sea' AND duration_s > 0.1"}, "ann"),
        ({"where": "contains(lower(text), 'zeppelin')"}, "bob"),
        (
            {
                "where": "list_has_any(tags, ['air', 'land']) AND created > now() - INTERVAL 1 DAY AND text LIKE '%zeppelin%'"
            },
            "bob",
        ),
        ({"where": "session IN ('sea', 'lake') AND engine = 'espeak' AND rating IS NULL AND bytes / 2 > 1"}, "ann"),
        ({"q": "zeppelin"}, "bob"),
        ({"q": "tide", "session": "sea", "tag": "water"}, "ann"),
        ({"q": "number", "where": "session = 'airship'"}, "bob"),
        ({"session": "sea", "order": "bytes"}, "ann"),
    ],
)
def test_filters_find_what_fits(catalog_node: CatalogNode, query: dict[str, str], whose: str) -> None:
    wanted = catalog_node.ann if whose == "ann" else catalog_node.bob
    with catalog_node.client() as client:
        assert sorted(_ids(_page(client, **query))) == sorted(wanted)


def test_words_are_paged_too(catalog_node: CatalogNode) -> None:
    found, cursor = [], None
    with catalog_node.client() as client:
        for _ in range(3):
            page = _page(client, q="zeppelin", limit=1, **({"cursor": cursor} if cursor else {}))
            found += _ids(page)
            cursor = page["next"]
    assert sorted(found) == sorted(catalog_node.bob)
    assert cursor is None


def test_the_past_is_as_it_was(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        assert _page(client, as_of="2020-01-01")["clips"] == []
        assert _ids(_page(client, as_of=datetime.now(UTC).isoformat(), session="airship"))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"order": "beauty"}, "query"),
        ({"cursor": "p123"}, "query"),
        ({"as_of": "yesterday"}, "query"),
        ({"q": "…"}, "search"),
        ({"q": "tide", "order": "bytes"}, "query"),
        ({"where": "text"}, "query"),
        ({"where": "1) OR (1 = 1"}, "query"),
        ({"where": "nothing_like_it = 1"}, "query"),
        ({"where": "(SELECT true)"}, "query"),
        ({"where": "length(repeat(text, 1000000000)) > 1"}, "query"),
        ({"where": "len(range(100000000000)) > 1"}, "query"),
        ({"where": "regexp_matches(text, '(a*)*b')"}, "query"),
        ({"where": "text LIKE '%a%a%a%a%a%b'"}, "query"),
        ({"where": "text LIKE name"}, "query"),
        ({"where": "getenv('HOME') = 'x'"}, "query"),
        ({"where": "text::BIT = 1"}, "query"),
        ({"where": "text || text = 'x'"}, "query"),
        ({"where": "len([text, text]) > 1"}, "query"),
        ({"where": " AND ".join(["lower(text) = 'x'"] * 41)}, "query"),
        ({"where": "list_filter(tags, x -> true) = tags"}, "query"),
        ({"where": "text::INTEGER = 3"}, "query"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_error(catalog_node: CatalogNode, query: dict[str, str], code: str) -> None:
    with catalog_node.client() as client:
        assert _code(client.get("/api/clips", params=query), 400) == code


@pytest.mark.parametrize(
    "query", [{"limit": 0}, {"limit": 501}, {"colour": "red"}, {"state": "lost"}, {"fresh": "maybe"}]
)
def test_what_has_not_the_shape_is_refused(catalog_node: CatalogNode, query: dict[str, Any]) -> None:
    with catalog_node.client() as client:
        assert _code(client.get("/api/clips", params=query), 422) == "invalid"


def test_a_page_that_is_known_is_not_sent_again(catalog_node: CatalogNode) -> None:
    asked = {"session": "seen before"}
    with catalog_node.client() as client:
        _settled(client, _made(client, **asked))
        first = client.get("/api/clips", params=asked)
        known = {"If-None-Match": first.headers["etag"]}
        again = client.get("/api/clips", params=asked, headers=known)
        other = client.get("/api/clips", params={"session": "sea"}, headers=known)
        changed = _made(client, **asked)
        after = client.get("/api/clips", params=asked, headers=known)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert other.status_code == 200
    assert after.status_code == 200
    assert after.json()["clips"][0]["id"] == changed


def test_an_end_that_the_clock_brings_is_seen(catalog_node: CatalogNode) -> None:
    """A pin ends without an event: a page that showed it is not taken for unchanged."""
    with catalog_node.client() as client:
        clip = _made(client, session="pinned for a moment")
        until = datetime.now(UTC) + timedelta(seconds=2)
        pinned = client.put(f"/api/clips/{clip}/pin", json={"until": until.isoformat()})
        assert pinned.json()["pinned"] is True
        page = client.get("/api/clips", params={"session": "pinned for a moment"})
        known = {"If-None-Match": page.headers["etag"]}
        while datetime.now(UTC) < until:
            assert client.get("/api/clips", params={"session": "pinned for a moment"}, headers=known).status_code in (
                200,
                304,
            )
        after = client.get("/api/clips", params={"session": "pinned for a moment"}, headers=known)
    assert after.json()["clips"][0]["pinned"] is False


def test_a_clip_is_named_by_its_id_or_its_last_digits(catalog_node: CatalogNode) -> None:
    whole = catalog_node.ann[0]
    with catalog_node.client() as client:
        assert client.get(f"/api/clips/{whole}").json() == client.get(f"/api/clips/{whole[-8:]}").json()
        clip = client.get(f"/api/clips/{whole}").json()
    assert (clip["text"], clip["actor"], clip["content_type"]) == (
        "The tide number 0 is turning. And it turns again.", "ann", "audio/wav",
    )  # fmt: skip
    assert "path" not in clip


@pytest.mark.parametrize("reference", [str(uuid.UUID(int=1)), "0000", "zzzz", "' OR 1=1 --"])
def test_a_clip_that_is_not_there_is_not_found(catalog_node: CatalogNode, reference: str) -> None:
    with catalog_node.client() as client:
        for path in ("", "/history", "/record", "/audio", "/waveform", "/segments"):
            assert _code(client.get(f"/api/clips/{reference}{path}"), 404) == "clip_not_found"


def test_history_record_segments_and_subtitles(catalog_node: CatalogNode) -> None:
    clip = catalog_node.ann[0]
    with catalog_node.client() as client:
        history = client.get(f"/api/clips/{clip}/history").json()
        record = client.get(f"/api/clips/{clip}/record").json()["record"]
        segments = client.get(f"/api/clips/{clip}/segments").json()["segments"]
        vtt = client.get(f"/api/clips/{clip}/subtitles")
        srt = client.get(f"/api/clips/{clip}/subtitles", params={"format": "srt"})
    assert history["happenings"][0]["type"] == "GenerationCompleted"
    assert record["engine"] == "espeak"
    assert "".join(part["text"] for part in segments).startswith("The tide number 0")
    assert vtt.headers["content-type"].startswith("text/vtt")
    assert vtt.text.startswith("WEBVTT")
    assert "-->" in srt.text


def test_tags_ratings_and_pins_are_recorded_in_the_callers_name(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as owner:
        clip = _made(owner)
    with catalog_node.client("curator:cleo") as client:
        path = f"/api/clips/{clip}"
        assert client.post(f"{path}/tags", json={"tags": ["one", "two/three"]}).json()["tags"] == ["one", "two/three"]
        assert client.delete(f"{path}/tags", params={"tag": "two/three"}).json()["tags"] == ["one"]
        assert _code(client.delete(f"{path}/tags", params={"tag": "two/three"}), 400) == "query"
        assert client.put(f"{path}/rating", json={"rating": 4}).status_code == 200
        assert client.put(f"{path}/pin", json={"reason": "trailer"}).json()["pinned"] is True
        assert client.delete(f"{path}/pin").json()["pinned"] is False
        happened = client.get(f"{path}/history").json()["happenings"]
    by = {(each["type"], each["actor"]) for each in happened}
    assert {("ClipTagged", "cleo"), ("ClipRated", "cleo"), ("ClipPinned", "cleo"), ("ClipUnpinned", "cleo")} <= by


def test_many_clips_are_changed_together(catalog_node: CatalogNode) -> None:
    nobody = str(uuid.UUID(int=7))
    with catalog_node.client() as client:
        one, two = _made(client, tags=["old"]), _made(client, tags=["new"])
        asked = {"clips": [one, two, nobody, one], "tag": ["new"], "untag": ["old"]}
        done = client.post("/api/clips/bulk", json=asked)
        tags = [client.get(f"/api/clips/{clip}").json()["tags"] for clip in (one, two)]
    assert done.json() == {"changed": [one], "unchanged": [two], "missing": [nobody], "purged": []}
    assert tags == [["new"], ["new"]]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, 400),
        ({"until": "2090-01-01T00:00:00"}, 422),
        ({"until": "9999-12-31T23:59:59-12:00"}, 422),
        ({"why": "because"}, 422),
    ],
)
def test_a_pin_ends_later_or_never(catalog_node: CatalogNode, body: dict[str, str], status: int) -> None:
    with catalog_node.client() as client:
        assert client.put(f"/api/clips/{catalog_node.ann[0]}/pin", json=body).status_code == status


def test_a_link_leads_to_the_audio_without_a_token(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        _settled(client, catalog_node.ann[0])
        linked = client.post(f"/api/clips/{catalog_node.ann[0]}/url", json={"expires": 60})
        assert _code(client.post(f"/api/clips/{catalog_node.ann[0]}/url", json={"expires": 0}), 422) == "invalid"
    assert httpx.get(linked.json()["url"], trust_env=False, verify=PLAIN).content.startswith(b"RIFF")


def test_a_viewer_reads_and_changes_nothing(catalog_node: CatalogNode) -> None:
    with catalog_node.client("viewer:vera") as client:
        assert _page(client, limit=1)["clips"]
        assert _code(client.post(f"/api/clips/{catalog_node.ann[0]}/tags", json={"tags": ["x"]}), 403) == "role"
        assert _code(client.post("/api/clips/bulk", json={"clips": [catalog_node.ann[0]], "tag": ["x"]}), 403) == "role"


def test_attempts_are_listed_with_how_they_ended(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        first = client.get("/api/generations", params={"limit": 2, "outcome": "completed", "actor": "ann"}).json()
        second = client.get(
            "/api/generations", params={"limit": 2, "outcome": "completed", "actor": "ann", "cursor": first["next"]}
        ).json()
        none = client.get("/api/generations", params={"until": "2020-01-01"}).json()
    assert [each["clip"] for each in first["generations"] + second["generations"]] == list(reversed(catalog_node.ann))
    assert none["generations"] == []


def test_facets_count_what_fits(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        found = client.get("/api/facets", params={"field": ["format", "tag"], "session": "sea"}).json()
    assert found["clips"] == 4
    assert {each["value"]: each["count"] for each in found["facets"]["format"]} == {
        "wav": 1,
        "flac": 1,
        "opus": 1,
        "mp3": 1,
    }
    assert found["facets"]["tag"] == [{"value": "water", "count": 4}]


def test_engines_models_and_presets_are_told(catalog_node: CatalogNode) -> None:
    with catalog_node.client("viewer:vera") as client:
        engines = client.get("/api/engines").json()["engines"]
        assert {"name": "espeak", "available": True}.items() <= next(
            e for e in engines if e["name"] == "espeak"
        ).items()
        assert client.get("/api/models").json() == {"models": []}
        assert client.get("/api/presets").json()["presets"]
