"""The index as a file: how it follows the log, and what becomes of it when something goes wrong."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from tests import forking
from tests.building import Parts
from tests.catalog.search.conftest import destroy_key, documents, erase, every_word, ids
from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, SearchError, VoxledgerError
from voxledger.catalog.events import ClipTagged, ClipUntagged
from voxledger.catalog.search import SearchIndex, feed
from voxledger.catalog.search import database as search_database

_ROOT = Path(__file__).resolve().parents[3]


def _refilled(parts: Parts, path: Path) -> SearchIndex:
    """The same index, filled from the beginning in another file."""
    path.unlink(missing_ok=True)
    index = SearchIndex(parts.keeper, path=path)
    index.advance()
    return index


def _advance_elsewhere(parts: Parts, statements: int) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).with_name("killed_advance.py")
    return forking.run([script, parts.home.path, str(statements)])


def test_waiting_counts_without_opening_the_log(parts: Parts, index: SearchIndex) -> None:
    assert index.waiting() == 0
    parts.clip()
    parts.clip()
    assert index.waiting() == 2
    assert not parts.home.log.exists()
    assert index.advance() == 2
    assert index.waiting() == 0


def test_an_empty_home_has_nothing_to_find(index: SearchIndex) -> None:
    assert index.advance() == 0
    assert index.search("tide").matches == 0


def test_only_the_owner_may_read_the_file(parts: Parts, index: SearchIndex) -> None:
    parts.clip()
    index.advance()
    assert stat.S_IMODE(index.path.stat().st_mode) == 0o600


@pytest.mark.parametrize("seed", range(20 if os.environ.get("VOXLEDGER_SOAK") else 3))
def test_after_any_sequence_of_events_the_index_is_what_the_catalog_says(
    parts: Parts, index: SearchIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    clips: dict[str, str] = {}
    erased: set[str] = set()
    for _ in range(40):
        monkeypatch.setattr(feed, "CLIPS", chance.choice([1, 3, 20_000]))
        monkeypatch.setattr(feed, "_EVENTS", chance.choice([2, 5, 100_000]))
        step = chance.randrange(10)
        if step < 4 or not clips:
            actor = chance.choice("abc")
            clips[parts.clip(actor=actor, text=chance.choice(["tide", "纪念品", "calm sea"]), tags=("x",))] = actor
        elif step < 6:
            parts.record(ClipTagged(tag=chance.choice("xyz")), chance.choice(list(clips)), actor=chance.choice("abc"))
        elif step < 8:
            parts.record(ClipUntagged(tag=chance.choice("xyz")), chance.choice(list(clips)), actor=chance.choice("abc"))
        elif step == 8 and chance.random() < 0.3:
            actor = chance.choice("abc")
            erase(parts, destroy_key(parts, actor))
            erased |= {clip for clip, owner in clips.items() if owner == actor}
        else:
            index.advance()
    index.advance()
    query = "SELECT id, position, name, tags, text FROM clips"
    assert documents(index.path) == {
        str(row["id"]).replace("-", ""): (row["position"], row["name"], row["tags"], row["text"])
        for row in parts.rows(query)
        if str(row["id"]) not in erased
    }
    assert every_word(index.path) == every_word(_refilled(parts, tmp_path / "again.sqlite").path)


def test_pieces_are_reported_and_may_be_stopped(
    parts: Parts, index: SearchIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "CLIPS", 2)
    for _ in range(5):
        parts.clip()
    stop = threading.Event()
    seen: list[tuple[int, int]] = []

    def stop_after_two(position: int, end: int) -> None:
        seen.append((position, end))
        if len(seen) == 2:
            stop.set()

    assert index.advance(progress=stop_after_two, stop=stop) == 4
    assert seen == [(2, 5), (4, 5)]
    assert index.search("tide", fresh=False).waiting == 1
    assert index.advance() == 5


def test_an_interrupt_leaves_whole_pieces(parts: Parts, index: SearchIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "CLIPS", 2)
    for _ in range(5):
        parts.clip()

    def interrupt(position: int, end: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.advance(progress=interrupt)
    assert index.place().position == 2
    assert index.search("tide").matches == 5


def test_killed_anywhere_nothing_is_doubled_and_nothing_missing(parts: Parts, tmp_path: Path) -> None:
    clips = [parts.clip(text=f"tide {number} 纪念") for number in range(12)]
    for clip in clips[:4]:
        parts.record(ClipTagged(tag="late"), clip)
    erase(parts, "ab" * 32, "voice")
    parts.keeper.drain()
    chance = random.Random(5)
    killed = 0
    rounds = 40 if os.environ.get("VOXLEDGER_SOAK") else 5
    for _ in range(rounds):
        ended = _advance_elsewhere(parts, chance.randrange(5, 150))
        killed += ended.returncode == -signal.SIGKILL
        assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    assert killed
    assert _advance_elsewhere(parts, 0).stdout.strip() == str(parts.journal.head())
    index = SearchIndex(parts.keeper)
    assert index.search("tide").matches == len(clips)
    assert every_word(index.path) == every_word(_refilled(parts, tmp_path / "again.sqlite").path)


@pytest.mark.parametrize(
    "damage", ["missing", "empty", "not a database", "cut", "flipped", "newer", "older", "another"]
)
def test_an_index_that_cannot_be_used_is_filled_anew_and_that_is_said(
    parts: Parts, index: SearchIndex, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    clips = {parts.clip(text=f"tide {'calm sea ' * 200}") for _ in range(20)}
    index.advance()
    content = index.path.read_bytes()
    for extra in index.path.parent.glob("search.sqlite-*"):
        extra.unlink()
    if damage == "missing":
        index.path.unlink()
    elif damage == "empty":
        index.path.write_bytes(b"")
    elif damage == "not a database":
        index.path.write_bytes(b"These are no pages of a database. " * 500)
    elif damage == "cut":
        index.path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        index.path.write_bytes(content[:4096] + bytes(each ^ 0xFF for each in content[4096:]))
    else:
        connection = sqlite3.connect(index.path)
        if damage == "another":
            connection.execute("DROP TABLE documents")
        else:
            connection.execute(f"PRAGMA user_version = {99 if damage == 'newer' else 0}")
        connection.commit()
        connection.close()
    with caplog.at_level(logging.WARNING):
        assert set(ids(index.search("tide"))) == clips
    assert ("filled anew" in caplog.text) == (damage not in ("missing", "empty"))
    assert set(ids(index.search("tide", fresh=False))) == clips


def test_a_damaged_index_heals_even_when_the_log_is_not_looked_at(parts: Parts, index: SearchIndex) -> None:
    parts.clip()
    index.advance()
    index.path.write_bytes(b"no database at all" * 1000)
    assert index.search("tide", fresh=False).waiting == 1
    assert index.search("tide").matches == 1


def test_an_index_of_another_log_is_filled_anew(parts: Parts, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    other = Parts(tmp_path / "other")
    for _ in range(3):
        other.clip(text="foreign")
    SearchIndex(other.keeper).advance()
    other.close()
    for count in (2, 3):  # shorter than the foreign log, and as long
        while parts.journal.head() < count:
            parts.clip()
        index = SearchIndex(parts.keeper, path=tmp_path / f"index-{count}.sqlite")
        index.path.write_bytes((other.home.path / "search.sqlite").read_bytes())
        caplog.clear()
        assert index.search("foreign").matches == 0
        assert index.search("tide").matches == count
        assert "filled anew" in caplog.text


def test_many_threads_and_processes_fill_and_search_together(parts: Parts, tmp_path: Path) -> None:
    for _ in range(30):
        parts.clip()
    errors: list[BaseException] = []

    def fill_and_search() -> None:
        try:
            index = SearchIndex(parts.keeper)
            for _ in range(5):
                index.search("tide")
        except VoxledgerError as error:
            errors.append(error)

    threads = [threading.Thread(target=fill_and_search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        parts.clip()
    assert _advance_elsewhere(parts, 0).returncode == 0
    for thread in threads:
        thread.join()
    assert errors == []
    index = SearchIndex(parts.keeper)
    assert index.search("tide").matches == 35
    assert every_word(index.path) == every_word(_refilled(parts, tmp_path / "again.sqlite").path)


def test_while_another_fills_what_is_there_is_searched(parts: Parts, index: SearchIndex) -> None:
    parts.clip(text="first")
    index.advance()
    parts.clip(text="second")
    with platform.locked(parts.home.path / "subscription-search.lock"):
        found = index.search("first", patience=0.05)
        assert (found.matches, found.waiting) == (1, 1)
        assert index.search("second", patience=0.05).matches == 0
    assert index.search("second").matches == 1


def test_a_full_disk_is_one_clear_error_and_what_is_there_can_be_searched(
    parts: Parts, index: SearchIndex, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    parts.clip(text="first")
    index.advance()
    parts.clip(text="second " + "calm sea " * 3000)
    connect = search_database._connect

    def small(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute("PRAGMA max_page_count = 1")
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(search_database, "_connect", small)
        with pytest.raises(DiskFull, match="the disk is full"):
            index.advance()
        found = index.search("first")
        assert (found.matches, found.waiting) == (1, 1)
        assert "the disk is full" in caplog.text
    assert index.search("second").matches == 1


def test_a_file_that_may_not_be_opened_says_so(parts: Parts, index: SearchIndex) -> None:
    parts.clip()
    index.path.mkdir()
    with pytest.raises(SearchError, match=r"search\.sqlite"):
        index.search("tide")
    assert index.path.is_dir()
