"""Audio over HTTP: whole, in ranges, under conditions; and what is drawn of it."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path

import httpx
import pytest

import voxledger
from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE, running_node
from voxledger.dashboards.api.heard import Heard


@pytest.fixture(scope="module")
def whole(catalog_node: CatalogNode) -> bytes:
    """The audio of ann's first clip."""
    return _get(catalog_node).content


def _get(catalog_node: CatalogNode, clip: int = 0, method: str = "GET", **headers: str) -> httpx.Response:
    with catalog_node.client() as client:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.request(method, f"/api/clips/{catalog_node.ann[clip]}/audio", headers=sent)


def _plays(catalog_node: CatalogNode, clip: str) -> int:
    with catalog_node.client() as client:
        found = client.get(f"/api/clips/{clip}/history").json()["happenings"]
    return sum(each["type"] == "AudioAccessed" for each in found)


@pytest.mark.parametrize(("clip", "kind"), [(0, "audio/wav"), (1, "audio/flac"), (2, "audio/ogg"), (3, "audio/mpeg")])
def test_the_whole_is_the_file_on_record(catalog_node: CatalogNode, clip: int, kind: str) -> None:
    answer = _get(catalog_node, clip)
    assert answer.headers["content-type"] == kind
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, None),
        ("bytes=-50", -50, None),
        ("bytes=-999999999", 0, None),
        ("bytes=10-999999999", 10, None),
        ("BYTES = 5-6", 5, 7),
    ],
)
def test_a_range_is_that_part_of_it(
    catalog_node: CatalogNode, whole: bytes, asked: str, start: int, end: int | None
) -> None:
    answer = _get(catalog_node, range=asked)
    first, last, _ = slice(start, end).indices(len(whole))
    assert (answer.status_code, answer.content) == (206, whole[start:end])
    assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"


@pytest.mark.parametrize(
    "asked",
    [
        "bytes=0-1,4-5",
        "bytes=5-4",
        "bytes=-",
        "bytes=a-b",
        "seconds=0-1",
        "bytes",
        "",
        "bytes=0-" + "9" * 400,
        "bytes=١-٢",
    ],
)
def test_what_is_no_single_range_is_answered_with_the_whole(
    catalog_node: CatalogNode, whole: bytes, asked: str
) -> None:
    with catalog_node.client() as client:
        headers = {b"range": asked.encode()}
        answer = client.get(f"/api/clips/{catalog_node.ann[0]}/audio", headers=headers)
    assert (answer.status_code, answer.content) == (200, whole)


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0", "bytes=9999999999999999999-"])
def test_a_range_outside_of_it_is_refused(catalog_node: CatalogNode, whole: bytes, asked: str) -> None:
    answer = _get(catalog_node, range=asked)
    assert (answer.status_code, answer.json()["error"]["code"]) == (416, "range")
    assert answer.headers["content-range"] == f"bytes */{len(whole)}"


def test_conditions_are_heeded(catalog_node: CatalogNode, whole: bytes) -> None:
    etag = f'"{hashlib.sha256(whole).hexdigest()}"'
    assert _get(catalog_node, if_none_match=f'"other", W/{etag}').status_code == 304
    assert _get(catalog_node, if_none_match='"other"').status_code == 200
    assert _get(catalog_node, if_match='"other"').status_code == 412
    assert _get(catalog_node, if_match=etag).status_code == 200
    assert _get(catalog_node, range="bytes=0-1", if_range=etag).status_code == 206
    assert _get(catalog_node, range="bytes=0-1", if_range='"other"').status_code == 200
    assert _get(catalog_node, range="bytes=0-1", if_range="Mon, 02 Mar 2026 09:30:00 GMT").status_code == 200


def test_head_tells_without_sending(catalog_node: CatalogNode, whole: bytes) -> None:
    answer = _get(catalog_node, method="HEAD", range="bytes=0-1")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", str(len(whole)))


def test_a_download_has_a_name(catalog_node: CatalogNode) -> None:
    clip = catalog_node.ann[1]
    with catalog_node.client() as client:
        answer = client.get(f"/api/clips/{clip}/audio", params={"download": True})
    assert answer.headers["content-disposition"] == f'attachment; filename="{clip[-8:]}.flac"'


def test_whoever_hears_any_part_of_a_clip_uses_it_once(catalog_node: CatalogNode) -> None:
    clip = catalog_node.ann[2]
    path = f"/api/clips/{clip}/audio"
    before = _plays(catalog_node, clip)
    with catalog_node.client("viewer:vera") as client:
        client.head(path)
        client.get(f"/api/clips/{clip}/waveform")
        assert _plays(catalog_node, clip) == before
        client.get(path, headers={"Range": "bytes=1-"})
        assert _plays(catalog_node, clip) == before + 1
        for asked in ("bytes=0-9", "bytes=-1", "bytes=0-1,3-4"):
            client.get(path, headers={"Range": asked})
        client.get(path)
        assert _plays(catalog_node, clip) == before + 1
        hidden = client.get(path, params={"use": "none"})
    with catalog_node.client("viewer:walt") as client:
        client.get(path, headers={"Range": "bytes=5-"})
    assert _plays(catalog_node, clip) == before + 2
    assert (hidden.status_code, hidden.json()["error"]["code"]) == (403, "use")


def test_a_use_ends_after_a_while_and_few_are_remembered() -> None:
    now = 0.0
    heard = Heard(window=10, most=2, clock=lambda: now)
    assert [heard.begins("ann", clip) for clip in ("a", "a", "b")] == [True, False, True]
    now = 10.0
    assert [heard.begins("ann", clip) for clip in ("a", "a")] == [True, False]
    assert [heard.begins("bob", "a"), heard.begins("ann", "a"), heard.begins("ann", "b")] == [True, False, True]
    assert heard.begins("ann", "a")
    heard.forget("ann", "a")
    assert heard.begins("ann", "a")


def test_whoever_made_a_clip_may_hear_it_without_a_trace(catalog_node: CatalogNode) -> None:
    clip = catalog_node.ann[0]
    before = _plays(catalog_node, clip)
    with catalog_node.client("creator:ann") as client:
        assert client.get(f"/api/clips/{clip}/audio", params={"use": "none"}).status_code == 200
    assert _plays(catalog_node, clip) == before


@pytest.mark.parametrize("clip", range(4))
def test_every_format_has_an_outline(catalog_node: CatalogNode, clip: int) -> None:
    with catalog_node.client() as client:
        answer = client.get(f"/api/clips/{catalog_node.ann[clip]}/waveform", params={"points": 100})
        known = {"If-None-Match": answer.headers["etag"]}
        again = client.get(f"/api/clips/{catalog_node.ann[clip]}/waveform", params={"points": 100}, headers=known)
    peaks = answer.json()["peaks"]
    assert len(peaks) == 100
    assert all(-127 <= low <= high <= 127 for low, high in peaks)
    assert max(high for _, high in peaks) > 20
    assert again.status_code == 304


def test_outlines_of_several_clips_come_together_but_for_those_that_are_not_theirs(catalog_node: CatalogNode) -> None:
    nothing = "01890000-0000-7000-8000-000000000000"
    asked = [catalog_node.ann[2], catalog_node.bob[0], nothing, catalog_node.ann[0]]
    with catalog_node.client("creator:ann") as client:
        found = client.get("/api/waveforms", params={"clip": asked, "points": 100}).json()["waveforms"]
        alone = [
            client.get(f"/api/clips/{clip}/waveform", params={"points": 100}).json()
            for clip in (catalog_node.ann[2], catalog_node.ann[0])
        ]
        assert client.get("/api/waveforms", params={"clip": asked * 13}).status_code == 422
        assert client.get("/api/waveforms").status_code == 422
    assert found == alone
    with catalog_node.client() as client:
        everybodys = client.get("/api/waveforms", params={"clip": asked}).json()["waveforms"]
    assert [each["clip"] for each in everybodys] == [asked[0], asked[1], asked[3]]


def test_outlines_of_one_clip_are_of_one_kind(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        path = f"/api/clips/{catalog_node.ann[0]}/waveform"
        found = {points: client.get(path, params={"points": points}).json()["peaks"] for points in (1, 7, 1000, 4000)}
    fine = found[4000]
    assert [len(peaks) for peaks in found.values()] == [1, 7, 1000, 4000]
    assert found[1] == [[min(low for low, _ in fine), max(high for _, high in fine)]]
    assert found[1000] == [
        [min(low for low, _ in part), max(high for _, high in part)] for part in zip(*[iter(fine)] * 4, strict=True)
    ]


@pytest.mark.parametrize("kind", ["aac", "pcm"])
def test_so_have_formats_that_say_little_about_themselves(catalog_node: CatalogNode, kind: str) -> None:
    with catalog_node.client() as client:
        made = client.post(
            "/api/clips", json={"text": f"As {kind}.", "engine": "espeak", "format": kind, "session": "formats"}
        )
        path = f"/api/clips/{made.json()['clip']['id']}"
        assert len(client.get(f"{path}/waveform", params={"points": 20}).json()["peaks"]) == 20
        assert client.get(f"{path}/spectrogram.png").content.startswith(b"\x89PNG")
        assert client.get(f"{path}/audio").headers["content-type"] == f"audio/{kind}"


@pytest.mark.parametrize("points", [0, 4001, "many"])
def test_an_outline_has_a_bounded_number_of_points(catalog_node: CatalogNode, points: int | str) -> None:
    with catalog_node.client() as client:
        answer = client.get(f"/api/clips/{catalog_node.ann[0]}/waveform", params={"points": points})
    assert answer.status_code == 422


def test_a_spectrogram_is_a_picture(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        answer = client.get(f"/api/clips/{catalog_node.ann[0]}/spectrogram.png")
        known = {"If-None-Match": answer.headers["etag"]}
        again = client.get(f"/api/clips/{catalog_node.ann[0]}/spectrogram.png", headers=known)
    assert answer.content.startswith(b"\x89PNG")
    assert again.status_code == 304


def test_audio_that_the_cache_lacks_comes_from_the_store(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with voxledger.open(home) as vox:
        clip = vox.speak("It lies in the store only.", engine="espeak")
        assert not vox.uploader.flush(timeout=PATIENCE)
        before = clip.fetch().read_bytes()
        clip.fetch().unlink()
    with running_node(home, store_close_wait=0) as node, node.client() as client:
        head = client.head(f"/api/clips/{clip.id}/audio")
        assert head.headers["content-length"] == str(len(before))
        assert client.get(f"/api/clips/{clip.id}/audio").content == before
        # What is read stays there to its end, even where the cache lets it go.
        with client.stream("GET", f"/api/clips/{clip.id}/audio") as answer:
            next(iter(home.joinpath("cache").rglob("*.wav"))).unlink()
            assert answer.read() == before
        node.process.send_signal(signal.SIGTERM)
        assert node.process.wait(PATIENCE) == os.EX_OK


def test_a_stretch_is_drawn_as_fine_as_it_is_asked_for(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        path = f"/api/clips/{catalog_node.ann[0]}"
        whole = client.get(f"{path}/waveform", params={"points": 4000}).json()
        assert (whole["start"], whole["end"]) == (0, whole["duration"])
        asked = {"start": 0.25, "end": 0.5, "points": 1000}
        part = client.get(f"{path}/waveform", params=asked).json()
        assert (part["start"], part["end"], len(part["peaks"])) == (0.25, 0.5, 1000)
        loudest = max(max(-low, high) for low, high in part["peaks"])
        each = whole["duration"] / len(whole["peaks"])
        inside = whole["peaks"][round(0.25 / each) : round(0.5 / each)]
        assert abs(loudest - max(max(-low, high) for low, high in inside)) <= 1
        picture = client.get(f"{path}/spectrogram.png", params={"axes": False, "start": 0.25, "end": 0.5})
        assert int.from_bytes(picture.content[16:20]) in (25, 26)  # a column every 10 ms
        assert int.from_bytes(picture.content[20:24]) == 128
        plain = client.get(f"{path}/spectrogram.png", params={"axes": False})
        assert plain.headers["etag"] != picture.headers["etag"]
        for wrong in ({"start": 0.5, "end": 0.25}, {"start": 900.0}):
            assert client.get(f"{path}/waveform", params=wrong).status_code == 400
        assert client.get(f"{path}/spectrogram.png", params={"start": 0.25}).status_code == 400


def test_a_clip_is_rendered_again_and_compared(catalog_node: CatalogNode) -> None:
    with catalog_node.client() as client:
        done = client.post(f"/api/clips/{catalog_node.ann[0]}/rerender", params={"wait": 60}).json()
        assert (done["kind"], done["state"]) == ("rerender", "done"), done
        assert done["result"]["equal"] is True
        assert done["done"] == done["total"] >= 1
