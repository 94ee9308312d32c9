"""The catalog: finding clips, reaching their audio, and changing what is known of them."""

from __future__ import annotations

import urllib.request
import wave
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import voxledger
from tests.building import NOBODY, Parts, completed
from tests.s3 import S3Server
from voxledger.catalog import ClipNotFound, LogCorrupt, QueryError, StoreError, StoreUnavailable, VoxledgerError
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import AudioStored, ClipPurged, ObjectMissing, new_id
from voxledger.ledger import Ledger


@pytest.fixture
def catalog(parts: Parts) -> Catalog:
    def nobody() -> object:
        raise StoreUnavailable("nobody answers")

    return Catalog(parts.home, parts.recorder, parts.keeper, nobody, actor="ann", channel="python")  # type: ignore[arg-type]


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


def _only(vox: Ledger) -> Clip:
    return vox.catalog.clips()[0]


def test_a_clip_is_found_by_its_id_or_its_ending(parts: Parts, catalog: Catalog) -> None:
    clip = parts.clip(name="tide")
    for reference in (clip, clip.upper(), clip[-8:], clip[-4:], clip.replace("-", "")[-12:]):
        assert catalog.clip(reference).id == clip
    for reference in ("", "xyz", "abc", "../../x", "0" * 33):
        with pytest.raises(ClipNotFound, match="no clip id"):
            catalog.clip(reference)
    with pytest.raises(ClipNotFound, match="there is no clip"):
        catalog.clip(new_id())


def test_an_ambiguous_ending_is_an_error(parts: Parts, catalog: Catalog) -> None:
    for start in ("01900000-0000-7000-8000-0000", "01900001-0000-7000-8000-0000"):
        parts.record(completed(), start + "deadbeef")
    with pytest.raises(ClipNotFound, match="more than one"):
        catalog.clip("deadbeef")


def test_clips_are_listed_newest_first_and_filtered(parts: Parts, catalog: Catalog) -> None:
    first = parts.clip(actor="ann", emotion="sad", language="en-GB", session="a", tags=("x",))
    second = parts.clip(actor="bob", emotion="happy", language="en", session="b")
    third = parts.clip(actor="ann", emotion="happy", language="zh", session="a")
    assert [clip.id for clip in catalog.clips()] == [third, second, first]
    assert [clip.id for clip in catalog.clips(limit=1)] == [third]
    for conditions, expected in (
        ({"actor": "ann"}, [third, first]),
        ({"emotion": "happy", "actor": "bob"}, [second]),
        ({"language": "en"}, [second, first]),
        ({"tag": "x"}, [first]),
        ({"session": "a", "state": "local"}, [third, first]),
        ({"actor": "' OR 1=1 --"}, []),
    ):
        assert [clip.id for clip in catalog.clips(**conditions)] == expected  # type: ignore[arg-type]


def test_reads_see_what_was_just_written(parts: Parts, catalog: Catalog) -> None:
    clip = parts.clip()
    assert catalog.tag(clip, "b", "a").tags == ("a", "b")
    assert catalog.untag(clip, "b").tags == ("a",)
    assert catalog.pin(clip, reason="why").pinned
    assert not catalog.unpin(clip).pinned
    until = datetime.now(UTC) + timedelta(days=1)
    pinned = catalog.pin(clip, until=until)
    assert (pinned.pinned, pinned.pinned_until) == (True, until)
    assert pinned.as_dict()["pinned_until"] == until.isoformat()
    assert catalog.pin(clip).pinned_until is None
    assert catalog.pin(clip, until=until).pinned
    with pytest.raises(QueryError, match="is over already"):
        catalog.pin(clip, until=datetime.now(UTC))
    with pytest.raises(QueryError, match="has no time zone"):
        catalog.pin(clip, until=datetime.now() + timedelta(days=1))  # noqa: DTZ005


def test_what_changes_nothing_is_not_recorded(parts: Parts, catalog: Catalog) -> None:
    clip = parts.clip(tags=("a",))
    head = parts.journal.head()
    catalog.tag(clip, "a")
    catalog.unpin(clip)
    assert parts.journal.head() == head


@pytest.mark.parametrize("tag", ["", "   ", "a\nb", "x" * 200, "\x1b[31m"])
def test_a_tag_that_cannot_be_is_refused(parts: Parts, catalog: Catalog, tag: str) -> None:
    clip = parts.clip()
    with pytest.raises(QueryError, match="cannot be a tag"):
        catalog.tag(clip, tag)


def test_a_purged_clip_takes_no_tags_and_gives_no_audio(parts: Parts, catalog: Catalog) -> None:
    clip = parts.clip()
    parts.record(ClipPurged(plan="p", rule="r", bucket="b", bytes=1), clip)
    with pytest.raises(ClipNotFound, match="was purged"):
        catalog.tag(clip, "late")
    with pytest.raises(StoreError, match="was purged"):
        catalog.clip(clip).fetch()
    with pytest.raises(StoreError, match="was purged"):
        catalog.clip(clip).url()


def test_totals_count_what_is_there_and_name_what_is_gone(parts: Parts, catalog: Catalog) -> None:
    kept, gone = parts.clip(bytes=10), parts.clip(bytes=30)
    parts.record(ClipPurged(plan="p", rule="r", bucket="b", bytes=30), gone)
    totals = catalog.totals()
    assert (totals["clips"], totals["bytes"], totals["duration_us"], totals["purged"]) == (1, 10, 1_500_000, 1)
    assert catalog.clip(kept).state == "local"
    parts.record(AudioStored(bucket="b", bytes=10, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"), kept)
    assert (catalog.totals()["stored"], catalog.totals()["missing"]) == (1, 0)
    parts.record(ObjectMissing(bucket="b", state="absent", bytes=10, found_bytes=None, found_etag=None, key="k"), kept)
    assert (catalog.totals()["stored"], catalog.totals()["missing"]) == (0, 1)


def test_sql_gives_frames_and_tables(parts: Parts, catalog: Catalog) -> None:
    parts.clip()
    result = catalog.sql("SELECT emotion, duration_s FROM clips")
    assert (
        result.pl().to_dicts()
        == result.rows()
        == result.arrow().to_pylist()
        == [{"emotion": "happy", "duration_s": 1.5}]
    )
    assert len(result) == 1
    assert "happy" in repr(result)
    assert "<table" in result._repr_html_()


@pytest.mark.parametrize(
    "query",
    [
        "", ";", "SELECT 1; SELECT 2", "DELETE FROM clips", "COPY (SELECT 1) TO '/tmp/stolen.csv'", "ATTACH '/tmp/other.duckdb'",
        "SET threads = 1", "PRAGMA database_list", "INSTALL httpfs", "CREATE TABLE x (a INT)", "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM '/etc/passwd'", "SELECT * FROM read_blob('log.duckdb')",
        "EXPORT DATABASE '/tmp/x'",
        "WITH gone AS (DELETE FROM clips RETURNING *) SELECT * FROM gone", "UPDATE clips SET name = 'x'", "CHECKPOINT",
        "SELECT 1/0 FROM nothing",
    ],
)  # fmt: skip
def test_sql_that_is_not_one_harmless_select_is_refused(parts: Parts, catalog: Catalog, query: str) -> None:
    parts.clip()
    before = catalog.sql("SELECT count(*) AS n, min(name) AS name FROM clips").rows()
    with pytest.raises(QueryError):
        catalog.sql(query)
    assert catalog.sql("SELECT count(*) AS n, min(name) AS name FROM clips").rows() == before


def test_a_damaged_block_is_no_mistake_of_who_asks_and_is_mended(parts: Parts, catalog: Catalog) -> None:
    clips = {parts.clip() for _ in range(300)}
    assert len(catalog.sql("SELECT id FROM clips")) == 300
    with parts.home.catalog.open("r+b") as file:  # the first blocks hold the tables' data, the headers before them stay
        for at in range(12_288 + 262_144 + 100, parts.home.catalog.stat().st_size - 262_144, 4096):
            file.seek(at)
            file.write(b"\xff" * 64)
    found: set[str] = set()
    for _ in range(3):
        try:
            found = {str(row["id"]) for row in catalog.sql("SELECT * FROM clips").rows()}
            break
        except LogCorrupt as error:
            assert "moved aside" in str(error)  # noqa: PT017  # told once, then it is mended
    assert found == clips
    assert list(parts.home.path.glob("catalog.duckdb.damaged-*"))


def test_audio_comes_back_from_the_store_when_the_cache_lost_it(stored: Ledger) -> None:
    clip = _only(stored)
    assert clip.state == "stored"
    assert clip.path is not None
    content = clip.path.read_bytes()
    clip.path.unlink()
    assert clip.fetch().read_bytes() == content
    uses = stored.catalog.sql("SELECT purpose, channel FROM plays").rows()
    assert uses == [{"purpose": "fetch", "channel": "python"}]


def test_audio_that_was_altered_in_the_store_is_refused(stored: Ledger) -> None:
    clip = _only(stored)
    assert clip.path is not None
    assert clip.key is not None
    clip.path.unlink()
    stored.store.put(clip.bucket, clip.key, b"RIFF, but another one", content_type="audio/wav", metadata={}, tags={})
    with pytest.raises(StoreError):
        clip.fetch()
    assert not clip.path.exists()


def test_a_link_works_for_anyone_and_counts_as_use(stored: Ledger) -> None:
    clip = _only(stored)
    with urllib.request.urlopen(clip.url(expires=60)) as answer:
        assert answer.read() == clip.local().read_bytes()
    assert stored.catalog.sql("SELECT purpose FROM plays").rows() == [{"purpose": "link"}]
    for expires in (0, 8 * 86400):
        with pytest.raises(StoreError, match="between 1 second and 7 days"):
            clip.url(expires=expires)


def test_a_notebook_shows_a_player_and_escapes_names(tmp_path: Path) -> None:
    with voxledger.open(tmp_path, store_endpoint=NOBODY, store_close_wait=0) as vox:
        clip = vox.speak("Listen.", name="<script>alert(1)</script>")
        shown = clip._repr_html_()
    assert "<audio controls" in shown
    assert "data:audio/wav;base64,UklGR" in shown
    assert "<script>" not in shown


def test_playing_needs_a_player_and_counts_as_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    players = tmp_path / "bin"
    players.mkdir()
    heard = tmp_path / "heard"
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        clip = vox.speak("Listen.")
        monkeypatch.setenv("PATH", str(players))
        with pytest.raises(VoxledgerError, match="no audio player"):
            clip.play()
        # Whoever is told the path opens it: the file must not be gone tomorrow.
        assert vox.catalog.sql("SELECT purpose FROM plays").rows() == [{"purpose": "fetch"}]
        player = players / "ffplay"
        player.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$last" > {heard}\n')
        player.chmod(0o755)
        clip.play()
        assert heard.read_text().strip() == str(clip.path)
        assert [row["purpose"] for row in vox.catalog.sql("SELECT purpose FROM plays").rows()] == ["fetch", "play"]


def test_raw_pcm_is_played_and_shown_as_what_knows_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    players, heard = tmp_path / "bin", tmp_path / "heard.wav"
    players.mkdir()
    player = players / "ffplay"
    player.write_text(f'#!/bin/sh\nfor last; do :; done\n/bin/cp "$last" {heard}\n')
    player.chmod(0o755)
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, store_close_wait=0) as vox:
        clip = vox.speak("Listen.", format="pcm")
        monkeypatch.setenv("PATH", str(players))
        clip.play()
        assert "data:audio/wav;base64,UklGR" in clip._repr_html_()
        samples = clip.local().read_bytes()
    assert clip.content_type == "audio/pcm"
    with wave.open(str(heard)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (clip.sample_rate, 1, 2)
        assert file.readframes(file.getnframes()) == samples


def test_a_clip_without_a_catalog_says_so(parts: Parts, catalog: Catalog) -> None:
    clip = catalog.clip(parts.clip())
    loose = Clip(**{name: getattr(clip, name) for name in clip.__struct_fields__})
    with pytest.raises(VoxledgerError, match="was not taken from a catalog"):
        loose.fetch()
