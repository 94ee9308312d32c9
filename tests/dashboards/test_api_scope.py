"""Row scope: whoever sees only the own clips never learns of those of others, by no way that there is."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE

_OTHERS = ("bob", "zeppelin", "airship", "hangar", "40000")


def _tells_nothing(answer: httpx.Response, catalog_node: CatalogNode, *asked: str) -> None:
    """No word of bob's clips, besides those that were asked for."""
    said = answer.text + str(dict(answer.headers))
    for word in (*_OTHERS, *catalog_node.bob, *(clip[-8:] for clip in catalog_node.bob)):
        if not any(word in each for each in asked):
            assert word not in said, word


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("GET", "/history", None),
        ("GET", "/record", None),
        ("GET", "/audio", None),
        ("HEAD", "/audio", None),
        ("GET", "/waveform", None),
        ("GET", "/spectrogram.png", None),
        ("GET", "/segments", None),
        ("GET", "/subtitles", None),
        ("POST", "/url", {}),
        ("POST", "/tags", {"tags": ["mine"]}),
        ("DELETE", "/tags?tag=air", None),
        ("PUT", "/rating", {"rating": 1}),
        ("PUT", "/pin", {}),
        ("DELETE", "/pin", None),
    ],
)
def test_another_ones_clip_is_as_if_it_were_not_there(
    catalog_node: CatalogNode, method: str, path: str, body: dict[str, Any] | None
) -> None:
    theirs, nothing = catalog_node.bob[0], "01890000-0000-7000-8000-000000000000"
    with catalog_node.client("creator:ann") as client:
        hidden = client.request(method, f"/api/clips/{theirs}{path}", json=body)
        absent = client.request(method, f"/api/clips/{nothing}{path}", json=body)
        by_end = client.request(method, f"/api/clips/{theirs[-8:]}{path}", json=body)
    assert hidden.status_code == absent.status_code == by_end.status_code == 404
    assert hidden.text.replace(theirs, nothing) == absent.text
    _tells_nothing(hidden, catalog_node, theirs)


def test_an_ending_that_several_clips_have_tells_nothing(catalog_node: CatalogNode) -> None:
    """Whoever tries all endings of four digits learns nothing of what there is besides the own clips."""
    own = {clip[-4:] for clip in catalog_node.ann}
    with catalog_node.client("creator:ann") as client:
        for clip in catalog_node.bob:
            if clip[-4:] not in own:
                assert client.get(f"/api/clips/{clip[-4:]}").json()["error"]["code"] == "clip_not_found"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": "number"},
        {"q": "zeppelin"},
        {"q": "number", "order": "-created"},
        {"where": "true"},
        {"where": "actor = 'bob' OR true"},
        {"where": "contains(text, 'zeppelin') OR 1 = 1"},
        {"session": "airship"},
        {"tag": "air"},
        {"language": "en"},
        {"order": "bytes", "limit": 500},
        {"as_of": "0s"},
        {"fresh": False},
    ],
)
def test_no_page_holds_them(catalog_node: CatalogNode, query: dict[str, Any]) -> None:
    with catalog_node.client("creator:ann") as client:
        answer = client.get("/api/clips", params=query)
    assert answer.status_code == 200, answer.text
    assert all(clip["actor"] == "ann" for clip in answer.json()["clips"])
    assert answer.json()["position"] is None
    assert "x-voxledger-position" not in answer.headers
    _tells_nothing(answer, catalog_node)


def test_no_error_tells_what_stands_in_them(catalog_node: CatalogNode) -> None:
    """DuckDB's errors hold the value it stumbled over; the condition never looks at clips of others."""
    with catalog_node.client() as owner:
        all_of_them = owner.get(
            "/api/clips", params={"where": "CASE WHEN session = 'airship' THEN name::INTEGER = 3 END"}
        )
    assert "hangar" in all_of_them.json()["error"]["message"]
    with catalog_node.client("creator:ann") as client:
        for where in (
            "name::INTEGER = 3",
            "CASE WHEN session = 'airship' THEN name::INTEGER = 3 END",
            "text::DATE < today()",
        ):
            answer = client.get("/api/clips", params={"where": where})
            _tells_nothing(answer, catalog_node, where)


@pytest.mark.parametrize("path", ["/api/clips", "/api/generations", "/api/facets"])
def test_asking_for_anothers_is_refused(catalog_node: CatalogNode, path: str) -> None:
    with catalog_node.client("creator:ann") as client:
        answer = client.get(path, params={"actor": "bob"})
        assert client.get(path, params={"actor": "ann"}).status_code == 200
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope")


def test_counts_and_attempts_are_of_the_own_clips(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:ann") as client:
        facets = client.get("/api/facets", params={"field": ["actor", "session", "tag", "language"]})
        attempts = client.get("/api/generations")
    assert [each["value"] for each in facets.json()["facets"]["actor"]] == ["ann"]
    assert {each["actor"] for each in attempts.json()["generations"]} == {"ann"}
    _tells_nothing(facets, catalog_node)
    _tells_nothing(attempts, catalog_node)


def test_no_place_in_the_log_is_told(catalog_node: CatalogNode) -> None:
    """It would say how much others do."""
    with catalog_node.client("creator:ann") as client, catalog_node.client() as owner:
        known = {
            each["position"] for each in owner.get("/api/generations", params={"limit": 500}).json()["generations"]
        }
        clips: list[str] = []
        cursor, pages = None, 0
        while cursor is not None or not pages:
            asked = {"limit": "2", "outcome": "completed", **({"cursor": cursor} if cursor else {})}
            answer = client.get("/api/generations", params=asked)
            page = answer.json()
            assert answer.status_code == 200, answer.text
            assert page["position"] is None
            assert {each["position"] for each in page["generations"]} == {None}
            clips += [each["clip"] for each in page["generations"]]
            cursor, pages = page["next"], pages + 1
            if cursor is not None:
                assert not cursor.isdigit()
                assert client.get("/api/generations", params=asked).json()["next"] == cursor, "pages keep their ETag"
        assert pages > 1
        assert set(catalog_node.ann) <= set(clips)
        assert len(set(clips)) == len(clips)
        history = client.get(f"/api/clips/{catalog_node.ann[0]}/history").json()["happenings"]
        assert {each["position"] for each in history} == {None}
        theirs = owner.get(f"/api/clips/{catalog_node.ann[0]}/history").json()["happenings"]
        assert None not in {each["position"] for each in theirs}
        given = client.get("/api/generations", params={"limit": 1}).json()["next"]
        for wrong in (str(max(known)), "x", "", "AAAA", given[:-4]):
            for whose in (client, *([owner] if not wrong.isdigit() else [])):
                answer = whose.get("/api/generations", params={"cursor": wrong})
                assert (answer.status_code, answer.json()["error"]["code"]) == (400, "cursor"), wrong
    with catalog_node.client("creator:bob") as other:
        assert other.get("/api/generations", params={"cursor": given}).status_code == 400


@pytest.mark.parametrize(("who", "longest"), [("viewer:vera", 3600), ("analyst:adam", 3600), ("creator:ann", 604_800)])
def test_a_link_of_who_only_reads_ends_within_an_hour(catalog_node: CatalogNode, who: str, longest: int) -> None:
    path = f"/api/clips/{catalog_node.ann[0]}/url"
    with catalog_node.client(who) as client:
        deadline = time.monotonic() + PATIENCE
        while (allowed := client.post(path, json={"expires": longest})).status_code == 409:  # until it is stored
            assert time.monotonic() < deadline
            time.sleep(0.05)
        refused = client.post(path, json={"expires": longest + 1})
    assert (allowed.status_code, allowed.json()["expires"]) == (200, longest)
    assert (refused.status_code, refused.json()["error"]["code"]) == (
        (403, "role") if longest == 3600 else (422, "invalid")
    )


def test_an_etag_of_somebody_else_opens_nothing(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as owner, catalog_node.client("creator:ann") as client:
        seen = owner.get("/api/clips", params={"tag": "air"})
        answer = client.get("/api/clips", params={"tag": "air"}, headers={"If-None-Match": seen.headers["etag"]})
        audio = owner.get(f"/api/clips/{catalog_node.bob[0]}/audio")
        theirs = client.get(f"/api/clips/{catalog_node.bob[0]}/audio", headers={"If-None-Match": audio.headers["etag"]})
    assert (answer.status_code, answer.json()["clips"]) == (200, [])
    assert theirs.status_code == 404


def test_many_clips_at_once_leave_theirs_alone(catalog_node: CatalogNode) -> None:
    with catalog_node.client("creator:ann") as client:
        done = client.post("/api/clips/bulk", json={"clips": catalog_node.bob, "tag": ["mine"]}).json()
    assert done == {"changed": [], "unchanged": [], "missing": catalog_node.bob, "purged": []}
    with catalog_node.client() as owner:
        assert owner.get("/api/clips", params={"tag": "mine"}).json()["clips"] == []


def test_the_same_words_do_not_give_their_clip(catalog_node: CatalogNode) -> None:
    text = "Both of us say this, word by word."
    with catalog_node.client("creator:bob") as theirs:
        made = theirs.post("/api/clips", json={"text": text, "engine": "espeak"}).json()["clip"]["id"]
    with catalog_node.client("creator:ann") as client:
        assert client.post("/api/clips", json={"text": text, "engine": "espeak"}).json()["clip"]["id"] != made
        attempts = client.get("/api/generations").text
    assert made not in attempts


@pytest.mark.parametrize("token", ["", "wrong", "vox_000000000000_" + "A" * 43])
def test_nobody_known_learns_nothing(catalog_node: CatalogNode, token: str) -> None:
    with catalog_node.node.client(token) as client:
        for path in (
            "/api/clips",
            f"/api/clips/{catalog_node.ann[0]}/audio",
            "/api/generations",
            "/api/voices",
            "/api/engines",
        ):
            answer = client.get(path)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            _tells_nothing(answer, catalog_node)
