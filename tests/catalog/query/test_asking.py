"""Questions to the catalog: now and in the past, with the files open here or in a running node."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.building import Parts
from tests.catalog.query.test_pages import catalog_of, walk
from voxledger.catalog import LogCorrupt, QueryError
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.events import ClipTagged, now


@pytest.fixture(params=["alone", "through a node"])
def asked(parts: Parts, request: pytest.FixtureRequest) -> Iterator[Catalog]:
    """The catalog of a HOME whose files nobody keeps open, or another process's worth of keeper."""
    if request.param == "alone":
        yield catalog_of(parts)
        return
    node = Parts(parts.home.path)
    with node.keeper.serving():
        yield catalog_of(parts)
    node.close()


def _later(parts: Parts) -> datetime:
    """A moment after everything that is recorded, and before everything that is recorded next."""
    moment = now()
    while now() <= moment:
        time.sleep(0)
    return moment


def test_every_kind_of_question_is_answered(parts: Parts, asked: Catalog, tmp_path: Path) -> None:
    clips = [parts.clip(name=name) for name in "abcde"]
    parts.record(ClipTagged(tag="x"), clips[1])
    assert [clip.id for clip in walk(asked, 2, order="name")] == clips
    assert [clip.id for clip in asked.clips(where="name > 'c'", order="-name")] == [clips[4], clips[3]]
    assert asked.clip(clips[2][-8:]).id == asked.clip(clips[2][-6:]).id == clips[2]
    assert asked.sql("SELECT count(*) AS n FROM clips").rows() == [{"n": 5}]
    assert [happening.type for happening in asked.history(clips[1])] == ["GenerationCompleted", "ClipTagged"]
    assert asked.export(tmp_path / "copy.duckdb").rows["clips"] == 5


def test_the_past_is_asked_like_the_present(parts: Parts, asked: Catalog, tmp_path: Path) -> None:
    clips = [parts.clip(name=name) for name in "abc"]
    then = _later(parts)
    parts.record(ClipTagged(tag="x"), clips[0])
    parts.clip(name="d")
    query = "SELECT name, len(tags) AS tags FROM clips ORDER BY name"
    assert asked.sql(query, as_of=then).rows() == [{"name": name, "tags": 0} for name in "abc"]
    assert [row["tags"] for row in asked.sql(query).rows()] == [1, 0, 0, 0]
    assert [clip.id for clip in walk(asked, 1, order="name", as_of=then)] == clips
    assert asked.clips(tag="x", as_of=then) == []
    assert asked.clips(as_of=then - timedelta(days=1)) == []
    made = asked.export(tmp_path / "copy.duckdb", as_of=then)
    assert (made.rows["clips"], made.rows["events"]) == (3, 3)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT nothing FROM clips", 'column "nothing" not found'),
        ("SELECT * FROM clps", "Did you mean"),
        ("SELECT 'x'::INT", "Could not convert"),
        ("SELECT $1", "refused the query"),
        ("FROM folded.clips", "is refused"),
        ("SELECT error('checksum of a corrupt file: Serialization Error')", "checksum"),
    ],
)
def test_what_duckdb_refuses_is_one_line(parts: Parts, asked: Catalog, query: str, message: str) -> None:
    clip = parts.clip()
    with pytest.raises(QueryError, match=message) as caught:
        asked.sql(query)
    assert "LINE 1" not in str(caught.value)
    assert asked.clip(clip).id == clip
    assert list(parts.home.path.glob("*.damaged-*")) == []


def test_a_condition_that_cannot_be_is_explained(parts: Parts, asked: Catalog) -> None:
    parts.clip()
    for where, message in (
        ("emotio = 'sad'", "clips have no column emotio; did you mean emotion or"),
        ("clips.nope = 1", "clips have no column nope"),
        ('emotion = "sad"', "text stands between single quotes: 'sad'"),
        ("created > 5", "refused the condition: .*Cannot compare"),
        ("sum(plays) > 1", "cannot contain aggregates"),
    ):
        with pytest.raises(QueryError, match=message):
            asked.clips(where=where)


def test_a_moment_without_a_zone_is_refused(asked: Catalog) -> None:
    with pytest.raises(QueryError, match="has no time zone"):
        asked.sql("SELECT 1", as_of=datetime(2026, 3, 1))  # noqa: DTZ001  # that is the mistake
    assert asked.sql("SELECT count(*) AS n FROM clips", as_of=datetime.now(UTC) + timedelta(days=1)).rows() == [
        {"n": 0}
    ]


def test_damage_that_a_question_finds_is_mended(parts: Parts) -> None:
    for _ in range(50):
        parts.clip()
    parts.keeper.drain()
    content = bytearray(parts.home.catalog.read_bytes())
    for place in range(4096 * 3, len(content), 64):
        content[place] ^= 0xFF
    parts.home.catalog.write_bytes(content)
    fresh = Parts(parts.home.path)
    catalog = catalog_of(fresh)
    query = "SELECT count(*) AS n, max(text) AS text FROM clips"
    try:
        rows = catalog.sql(query).rows()
    except LogCorrupt:  # damage that only reading finds is told once
        rows = catalog.sql(query).rows()
    fresh.close()
    assert rows == [{"n": 50, "text": "The tide is turning."}]
