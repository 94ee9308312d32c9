"""Voices over HTTP: registered with a recording that is sent, shown, and withdrawn."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

import voxledger
from tests.dashboards.conftest import CatalogNode


@pytest.fixture(scope="module")
def recording(catalog_node: CatalogNode) -> bytes:
    """Some seconds of speech."""
    text = "This is my own voice, and I say so in a number of words, so that nobody has to wonder about it at all."
    with catalog_node.client() as client:
        made = client.post("/api/clips", json={"text": text, "engine": "espeak", "session": "recordings"}).json()[
            "clip"
        ]["id"]
        return client.get(f"/api/clips/{made}/audio").content


def _add(client: httpx.Client, recording: bytes, **fields: Any) -> httpx.Response:
    files = {"recording": ("my voice.wav", recording, "audio/wav")}
    if "consent" in fields:
        files["consent"] = ("release.txt", fields.pop("consent"), "text/plain")
    return client.post("/api/voices", data=fields, files=files)


def test_a_voice_is_registered_shown_and_withdrawn(catalog_node: CatalogNode, recording: bytes) -> None:
    with catalog_node.client("curator:cleo") as client:
        made = _add(
            client,
            recording,
            name="narrator",
            consent=b"I agree. Signed: N.",
            scope="trailers",
            expires="2090-01-01T00:00:00Z",
        )
        assert made.status_code == 201, made.text
        voice = made.json()
        shown = client.get("/api/voices/narrator").json()
        by_hash = client.get(f"/api/voices/{voice['sha256'][:12]}").json()
        listed = client.get("/api/voices").json()["voices"]
        gone = client.delete("/api/voices/narrator", params={"reason": "asked to"})
        again = client.delete(f"/api/voices/{voice['short']}")
    assert (voice["actor"], voice["consent"], voice["scope"], voice["state"]) == (
        "cleo",
        "document",
        "trailers",
        "registered",
    )
    assert shown["use"] == {"clips": 0, "duration_us": 0}
    assert shown["voice"]["sha256"] == by_hash["voice"]["sha256"]
    assert voice["sha256"] in {each["sha256"] for each in listed}
    assert gone.json()["voice"]["state"] == "withdrawn"
    assert (again.status_code, again.json()["error"]["code"]) == (403, "voice_withdrawn")
    assert "path" not in voice


def test_a_voice_whose_name_has_a_slash_is_found_and_withdrawn(catalog_node: CatalogNode, recording: bytes) -> None:
    path = "/api/voices/the%2Fchoir%2F"
    with catalog_node.client() as client:
        assert _add(client, recording + b"\0" * 4, name="the/choir/", own=True).status_code == 201
        assert client.get(path).json()["voice"]["name"] == "the/choir/"
        assert client.delete(path).json()["voice"]["state"] == "withdrawn"
    with voxledger.connect(catalog_node.node.url, catalog_node.node.secret) as vox:
        assert vox.voices.show("the/choir/").name == "the/choir/"


@pytest.mark.parametrize(
    ("fields", "sound", "status"),
    [
        ({"name": "nobody"}, None, 400),  # whose consent?
        ({"name": "short", "own": True}, b"RIFF", 400),
        ({"name": "two\nlines", "own": True}, None, 400),
        ({"name": "late", "own": True, "expires": "2001-01-01T00:00:00Z"}, None, 400),
        ({"own": True}, None, 422),
        ({"name": "x" * 300, "own": True}, None, 422),
    ],
)
def test_what_cannot_be_registered_is_one_clear_error(
    catalog_node: CatalogNode, recording: bytes, fields: dict[str, Any], sound: bytes | None, status: int
) -> None:
    with catalog_node.client() as client:
        answer = _add(client, sound or recording, **fields)
    assert answer.status_code == status, answer.text
    assert "voxledger-voice-" not in answer.text  # where it lay on the node


@pytest.mark.parametrize("name", ["/etc/passwd", "..%2f..%2fvault.sqlite", "nobody", "ann.wav"])
def test_a_name_never_leads_to_a_file_of_the_node(catalog_node: CatalogNode, name: str) -> None:
    with catalog_node.client() as client:
        for method in ("GET", "DELETE"):
            assert client.request(method, f"/api/voices/{name}").status_code == 404


def test_who_sees_the_own_clips_learns_no_counts(catalog_node: CatalogNode, recording: bytes) -> None:
    with catalog_node.client() as owner:
        assert _add(owner, recording + b"\0\0", name="counted", own=True).status_code == 201
    with catalog_node.client("creator:ann") as client:
        assert client.get("/api/voices/counted").json()["use"] is None
        assert _add(client, recording, name="mine", own=True).status_code == 403


def test_who_sees_the_own_clips_changes_the_own_voices_only(catalog_node: CatalogNode, recording: bytes) -> None:
    with catalog_node.client() as owner:
        token = owner.post("/api/tokens", json={"role": "curator", "name": "olga", "scope": "own"}).json()["token"]
        text = "And this is the voice of another one, who speaks in a number of words as well, for as long as it takes."
        made = owner.post("/api/clips", json={"text": text, "engine": "espeak", "session": "recordings"}).json()[
            "clip"
        ]["id"]
        sound = owner.get(f"/api/clips/{made}/audio").content
    with catalog_node.client("curator:cleo") as others, catalog_node.node.client(token) as client:
        theirs = _add(others, recording, name="soprano", own=True).json()
        assert theirs["actor"] == "cleo"
        for refused in (
            client.delete("/api/voices/soprano"),
            client.delete(f"/api/voices/{theirs['short']}"),
            _add(client, sound, name="soprano", own=True),
            _add(client, sound, name="SOPRANO", own=True),
            _add(client, recording, name="mine", own=True),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "scope"), refused.text
            assert "cleo" not in refused.text
        shown = client.get("/api/voices/soprano").json()["voice"]
        assert (shown["state"], shown["actor"], shown["sha256"]) == ("registered", None, theirs["sha256"])
        own = _add(client, sound, name="alto", own=True)
        assert (own.status_code, own.json()["actor"]) == (201, "olga")
        assert _add(client, sound, name="alto", own=True).status_code == 201
        actors = {each["sha256"]: each["actor"] for each in client.get("/api/voices").json()["voices"]}
        assert (actors[theirs["sha256"]], actors[own.json()["sha256"]]) == (None, "olga")
        gone = client.delete("/api/voices/alto")
        assert (gone.status_code, gone.json()["use"]) == (200, None)
        assert others.delete("/api/voices/soprano").status_code == 200
        revived = _add(client, recording, name="mine", own=True)
        assert (revived.status_code, revived.json()["error"]["code"]) == (403, "scope"), "a withdrawal stands"
