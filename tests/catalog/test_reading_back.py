"""Reading back: a clip's audio from the cache, from the store, by a link, and what is said when it is not there."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

import voxledger
from tests.building import NOBODY
from tests.s3 import S3Server
from voxledger.catalog import ClipNotFound, StoreError
from voxledger.catalog import accesses as gathering
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import ClipPurged, PurgeStarted, now
from voxledger.catalog.retention import Retention
from voxledger.catalog.settings import ExpireRule
from voxledger.cli import main
from voxledger.ledger import Ledger


@pytest.fixture
def stored(tmp_path: Path, s3: S3Server, bucket: str) -> Iterator[Ledger]:
    """A ledger on a real store, whose one clip is uploaded."""
    with voxledger.open(
        tmp_path / "home", general_actor="ann", store_endpoint=s3.url, store_access_key=s3.access_key, store_secret_key=s3.secret_key,
        store_audio=bucket,
    ) as vox:  # fmt: skip
        clip = vox.speak("The tide is turning.", emotion="calm=0.4", name="tide")
        assert vox.uploader.flush([clip.id], timeout=30) == 0
        yield vox


def only(vox: Ledger) -> Clip:
    return vox.catalog.clips()[0]


def events(vox: Ledger, kind: str) -> list[dict[str, object]]:
    rows = vox.catalog.sql(f"SELECT data FROM events WHERE type = '{kind}' ORDER BY position").rows()
    return [json.loads(row["data"]) for row in rows]


def uses(vox: Ledger) -> list[str]:
    return [row["purpose"] for row in vox.catalog.sql("SELECT purpose FROM plays ORDER BY position").rows()]


def remove_local(clip: Clip) -> bytes:
    assert clip.path is not None
    content = clip.path.read_bytes()
    clip.path.unlink()
    return content


def test_an_id_an_ending_and_a_clip_all_fetch(stored: Ledger) -> None:
    clip = only(stored)
    content = remove_local(clip)
    for reference in (clip.id, clip.short, clip):
        path = stored.catalog.fetch(reference)
        assert path == clip.path
        assert path.read_bytes() == content
    assert uses(stored) == ["fetch"] * 3
    with pytest.raises(ClipNotFound):
        stored.catalog.fetch("0000")


def test_a_fetch_from_the_cache_asks_neither_store_nor_log(stored: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = only(stored)  # shown is enough
    monkeypatch.setattr(stored.catalog, "keeper", None)
    stored.store.close()
    assert stored.catalog.fetch(clip.id) == clip.path


def test_a_clip_out_of_the_blue_is_fetched_without_reading_the_news(
    stored: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = only(stored)
    with voxledger.open(stored.home.path, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as other:
        news = other.speak("Another one.", reuse=False)
        # What has not been read yet is found all the same.
        assert stored.catalog.fetch(news.id) == news.path
        assert stored.journal.answer_with(news.id) is None
    with voxledger.open(stored.home.path, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as third:
        monkeypatch.setattr(third.keeper, "drain", lambda **_: pytest.fail("the news were read"))
        assert third.catalog.fetch(news.id) == news.path
        assert third.catalog.fetch(clip.id) == clip.path


def test_a_clip_that_answers_requests_is_fetched_without_opening_the_catalog(
    stored: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = only(stored)
    with voxledger.open(stored.home.path, store_endpoint=NOBODY, general_actor="bob", store_close_wait=0) as other:
        monkeypatch.setattr(other.catalog, "keeper", None)
        assert other.catalog.fetch(clip.id) == clip.path
        assert other.catalog.fetch(clip.id) == clip.path
    assert uses(stored) == ["fetch"] * 2
    # As a purge does it: forgotten first, then the file goes.
    actor = stored.vault.actor("ann")
    purges = PurgeStarted(plan="p", rule="r", bucket=clip.bucket)
    with stored.journal.transaction() as write:
        write.append([stored.recorder.draft(purges, subject=clip.id, actor=actor)])
        write.forget(clip.id)
    remove_local(clip)
    with voxledger.open(stored.home.path, store_endpoint=NOBODY, general_actor="bob", store_close_wait=0) as other:
        other.keeper.drain()
        with pytest.raises(StoreError, match="was purged"):
            other.catalog.fetch(clip.id)


def test_a_local_file_of_another_size_is_not_believed(stored: Ledger) -> None:
    clip = only(stored)
    assert clip.path is not None
    content = clip.path.read_bytes()
    stored.catalog.fetch(clip.id)
    clip.path.write_bytes(content[:-10])
    assert stored.catalog.fetch(clip.id).read_bytes() == content


def test_an_object_that_is_gone_is_recorded_once_and_found_again(stored: Ledger) -> None:
    clip = only(stored)
    content = remove_local(clip)
    assert clip.key is not None
    stored.store.delete(clip.bucket, clip.key)
    for _ in range(2):
        with pytest.raises(StoreError, match="not in the store any more") as raised:
            stored.catalog.fetch(clip.id)
        assert raised.value.code == "NoSuchKey"
    assert [event["state"] for event in events(stored, "ObjectMissing")] == ["absent"]
    assert only(stored).state == "missing"
    with pytest.raises(StoreError, match="has lost clip"):
        stored.catalog.url(clip.id)
    stored.store.put(clip.bucket, clip.key, content)
    assert stored.catalog.fetch(clip.id).read_bytes() == content
    assert [event["method"] for event in events(stored, "ObjectVerified")] == ["content"]
    assert only(stored).state == "stored"


@pytest.mark.parametrize("other", [b"RIFF, but another one", None])
def test_other_bytes_in_its_place_are_recorded_and_never_kept(stored: Ledger, other: bytes | None) -> None:
    clip = only(stored)
    content = remove_local(clip)
    assert clip.key is not None
    foreign = other or bytes(len(content))
    etag = stored.store.put(clip.bucket, clip.key, foreign)
    with pytest.raises(StoreError, match="was replaced in the store"):
        stored.catalog.fetch(clip.id)
    assert events(stored, "ObjectMissing") == [
        {"bucket": clip.bucket, "state": "changed", "bytes": len(content), "found_bytes": len(foreign), "found_etag": etag}
    ]  # fmt: skip
    assert clip.path is not None
    assert list(clip.path.parent.iterdir()) == []
    assert uses(stored) == []


def test_a_clip_that_was_purged_meanwhile_says_so_and_is_not_missed(stored: Ledger) -> None:
    clip = only(stored)
    remove_local(clip)
    assert clip.key is not None
    actor = stored.vault.actor("ann")
    stored.store.delete(clip.bucket, clip.key)
    for fact in (
        PurgeStarted(plan="p", rule="r", bucket=clip.bucket),
        ClipPurged(plan="p", rule="r", bucket=clip.bucket, bytes=1),
    ):
        stored.recorder.emit(fact, subject=clip.id, actor=actor)
    with pytest.raises(StoreError, match="was purged"):
        clip.fetch()
    assert events(stored, "ObjectMissing") == []


def test_what_was_never_uploaded_is_not_missing(tmp_path: Path) -> None:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        clip = vox.speak("Gone before it was sent.")
        assert clip.path is not None
        clip.path.unlink()
        with pytest.raises(StoreError, match="never uploaded"):
            vox.catalog.fetch(clip.id)
        assert events(vox, "ObjectMissing") == []
        with pytest.raises(StoreError, match="not in the store yet"):
            vox.catalog.url(clip.id)


def test_a_link_is_a_use_on_disk_before_it_is_given(stored: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "LONGEST", 1000.0)
    clip = only(stored)
    before = stored.journal.head()
    link = stored.catalog.url(clip.short, expires=60)
    assert stored.journal.head() == before + 1
    with urllib.request.urlopen(link) as answer:
        assert answer.read() == clip.local().read_bytes()
    assert uses(stored) == ["link"]


def test_no_clip_goes_while_a_link_to_it_works(stored: Ledger) -> None:
    rules = (ExpireRule(name="short", keep_for=3600.0, match="all"),)
    section = msgspec.structs.replace(stored.settings.retention, rules=rules, minimum_age=0.0, max_percent=100.0)
    settings = msgspec.structs.replace(stored.settings, retention=section)
    retention = Retention(stored.home, settings, stored.recorder, stored.keeper, lambda: stored.store)
    clip = only(stored)
    assert retention.plan(now() + timedelta(hours=2)).ids("mark") == [clip.id]
    stored.catalog.url(clip, expires=5 * 3600)
    stored.catalog.url(clip, expires=60)
    assert retention.plan(now() + timedelta(hours=4)).ids("mark") == []
    assert "a link to it works" in " ".join(retention.explain(clip.id, now() + timedelta(hours=4)))
    assert retention.plan(now() + timedelta(hours=6)).ids("mark") == [clip.id]


def test_a_link_ends(stored: Ledger) -> None:
    link = stored.catalog.url(only(stored), expires=1)
    deadline = time.monotonic() + 20
    with pytest.raises(urllib.error.HTTPError, match=r"40[03]"):
        while time.monotonic() < deadline:
            urllib.request.urlopen(link).close()
    for expires in (0, -1, 7 * 86400 + 1):
        with pytest.raises(StoreError, match="between 1 second and 7 days"):
            stored.catalog.url(only(stored), expires=expires)


def test_a_key_that_leads_out_of_the_cache_is_never_followed(stored: Ledger) -> None:
    clip = only(stored)
    for key in ("../../escaped.wav", "/etc/escaped.wav", "a//b.wav", "a/./b.wav"):
        strange = msgspec.structs.replace(clip, key=key, path=None).bound(stored.catalog.audio)
        with pytest.raises(StoreError, match="no path of a file"):
            strange.local()


def test_fetch_and_url_on_the_command_line(stored: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = only(stored)
    content = remove_local(clip)
    home, settings = str(tmp_path / "home"), stored.settings.store
    monkey = {
        "VOXLEDGER_STORE_ENDPOINT": settings.endpoint, "VOXLEDGER_STORE_ACCESS_KEY": settings.access_key,
        "VOXLEDGER_STORE_SECRET_KEY": settings.secret_key, "VOXLEDGER_STORE_AUDIO": settings.audio,
    }  # fmt: skip

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            for name, value in monkey.items():
                patch.setenv(name, value)
            main(["--home", home, *arguments])
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    code, out, err = run("fetch", clip.short, "--json")
    assert (code, json.loads(out)["downloaded"], json.loads(out)["path"]) == (0, True, str(clip.path))
    code, out, err = run("fetch", clip.short, "ffff", "--out", str(tmp_path / "new" / "folder"))
    assert code == 1
    assert "there is no clip 'ffff'" in err
    copied = Path(out.strip())
    assert copied.parent == tmp_path / "new" / "folder"
    assert copied.read_bytes() == content
    assert [path.name for path in copied.parent.iterdir()] == [copied.name]
    code, out, err = run("url", clip.short, "--expires", "2min")
    assert code == 0
    with urllib.request.urlopen(out.strip()) as answer:
        assert answer.read() == content
    code, out, err = run("url", clip.short, "--expires", "soon")
    assert code == 1
    assert "no time span" in err
    assert uses(stored) == ["fetch", "fetch", "link"]
