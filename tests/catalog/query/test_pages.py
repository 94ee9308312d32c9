"""Pages of clips: each list is walked whole, in order, without overlap, whatever arrives meanwhile."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.building import Parts
from tests.soak import examples
from voxledger.catalog import QueryError, StoreUnavailable
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.clip import Clip
from voxledger.catalog.events import AudioAccessed, AudioStored
from voxledger.catalog.query import ORDERS, Page
from voxledger.catalog.query.place import Place

_COLUMNS = {"duration": "duration_us", "loudness": "loudness_lufs"}


@dataclasses.dataclass
class Shelf:
    """A HOME with many clips, and its rows as SQL sees them."""

    parts: Parts
    catalog: Catalog
    rows: list[dict[str, Any]]

    def listed(self, order: str, **conditions: Any) -> list[str]:
        """The ids as they should be listed, worked out here in Python."""
        column = _COLUMNS.get(order.removeprefix("-"), order.removeprefix("-"))
        rows = [row for row in self.rows if all(row[name] == value for name, value in conditions.items())]
        rows.sort(key=lambda row: str(row["id"]), reverse=order.startswith("-"))
        valued = [row for row in rows if row[column] is not None]
        valued.sort(key=lambda row: row[column], reverse=order.startswith("-"))
        # sorted() keeps ties in the order they had, also when reversed: they are in the order of their ids already.
        return [str(row["id"]) for row in valued + [row for row in rows if row[column] is None]]


def catalog_of(parts: Parts) -> Catalog:
    def nobody() -> Any:
        raise StoreUnavailable("nobody answers")

    return Catalog(parts.home, parts.recorder, parts.keeper, nobody, actor="ann", channel="python")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """120 clips with few different values, so that there are ties everywhere, and missing ones."""
    parts = Parts(tmp_path_factory.mktemp("shelf") / "home")
    draw = random.Random(7)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(120):
        actor = draw.choice(["ann", "bob", "Zoë"])
        clip = parts.clip(
            actor=actor,
            time=start + timedelta(seconds=draw.randrange(20)),
            emotion=draw.choice(["happy", "sad"]),
            language=draw.choice(["en", "en-GB", "zh"]),
            name=draw.choice(["tide", "Ébb", "潮", "", "'; --"]),
            session=draw.choice(["a", "b"]),
            duration_us=draw.choice([1, 2, 3]),
            bytes=draw.randrange(5),
            text_length=draw.randrange(3),
            loudness_lufs=draw.choice([None, -14.1, -0.0, 0.0, 1e-30]),
            voice_name=draw.choice([None, "v"]),
            tags=draw.choice([(), ("x",)]),
        )
        for _ in range(draw.randrange(3)):
            parts.record(AudioAccessed(channel="cli", purpose="play"), clip)
        if draw.random() < 0.5:
            stored = AudioStored(bucket="b", bytes=1, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")
            parts.record(stored, clip, time=start + timedelta(hours=draw.randrange(3)))
    yield Shelf(parts, catalog_of(parts), parts.rows("SELECT * FROM clips"))
    parts.close()


def walk(catalog: Catalog, limit: int, **conditions: Any) -> list[Clip]:
    found: list[Clip] = []
    page = catalog.clips(limit=limit, **conditions)
    while True:
        assert isinstance(page, Page)
        assert len(page) == limit or page.next is None
        found += page
        if page.next is None:
            return found
        page = catalog.clips(limit=limit, after=page.next, **conditions)


@pytest.mark.parametrize("order", [sign + name for name in ORDERS for sign in ("", "-")])
def test_walking_all_pages_gives_the_whole_list_in_order(shelf: Shelf, order: str) -> None:
    assert [clip.id for clip in walk(shelf.catalog, 17, order=order)] == shelf.listed(order)


@settings(max_examples=examples(30), deadline=None)
@given(
    order=st.sampled_from([sign + name for name in ORDERS for sign in ("", "-")]),
    limit=st.sampled_from([3, 40, 60, 119, 120, 121, 10_000]),
    conditions=st.fixed_dictionaries(
        {},
        optional={
            "actor": st.sampled_from(["ann", "nobody"]),
            "emotion": st.just("sad"),
            "session": st.just("a"),
            "state": st.just("local"),
        },
    ),
)
def test_any_filter_order_and_size_of_page_agree(
    shelf: Shelf, order: str, limit: int, conditions: dict[str, str]
) -> None:
    wanted = shelf.listed(order, **conditions)
    assert [clip.id for clip in walk(shelf.catalog, limit, order=order, **conditions)] == wanted


def test_conditions_add_up(shelf: Shelf) -> None:
    wanted = [
        str(row["id"]) for row in shelf.rows if row["plays"] > 0 and row["emotion"] == "sad" and "x" in row["tags"]
    ]
    found = walk(shelf.catalog, 5, where="plays > 0 OR\nfalse -- why not", emotion="sad", tag="x", order="bytes")
    assert sorted(clip.id for clip in found) == sorted(wanted)
    assert {clip.language for clip in walk(shelf.catalog, 50, language="en")} == {"en", "en-GB"}


@pytest.mark.parametrize("order", ["-created", "name", "-plays", "loudness"])
def test_clips_that_arrive_meanwhile_move_nothing(parts: Parts, order: str) -> None:
    catalog = catalog_of(parts)
    draw = random.Random(3)
    there = [parts.clip(name=draw.choice("abc"), loudness_lufs=draw.choice([None, -3.0])) for _ in range(20)]
    seen: list[str] = []
    after = None
    while True:
        page = catalog.clips(limit=4, order=order, after=after)
        seen += [clip.id for clip in page]
        parts.clip(name=draw.choice("abc"), loudness_lufs=draw.choice([None, -3.0]))
        after = page.next
        if after is None or len(seen) > 100:
            break
    assert len(seen) == len(set(seen))
    assert set(there) <= set(seen)


def test_a_token_is_short_and_safe_anywhere(shelf: Shelf) -> None:
    for order in ("-created", "duration", "-loudness"):
        token = shelf.catalog.clips(order=order, limit=1).next
        assert token is not None
        assert len(token) <= 64
        assert token.replace("-", "").replace("_", "").isalnum()
        assert not token.startswith("-")


@settings(max_examples=200, deadline=None)
@given(token=st.text(max_size=80) | st.binary(max_size=60).map(lambda raw: "p" + raw.hex()))
def test_garbage_is_no_token(token: str) -> None:
    from voxledger.catalog.query.place import read

    with pytest.raises(QueryError, match="no token of a page"):
        read(token, order="-created")


def test_a_token_of_another_list_is_refused(shelf: Shelf) -> None:
    token = shelf.catalog.clips(order="name", limit=1).next
    assert token is not None
    with pytest.raises(QueryError, match="ordered by name, not by -created"):
        shelf.catalog.clips(after=token)
    for broken in (token[:-1], token + "A", token[1:], token.swapcase()):
        with pytest.raises(QueryError, match="no token"):
            shelf.catalog.clips(order="name", after=broken)
    forged = Place("created", "yesterday", shelf.listed("created")[0]).token()
    with pytest.raises(QueryError, match="no token of a list ordered by created"):
        shelf.catalog.clips(order="created", after=forged)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"order": "durations"}, "did you mean 'duration'"),
        ({"order": "id; DROP TABLE clips"}, "cannot be ordered"),
        ({"order": ""}, "orders are created"),
        ({"limit": 0}, "1 to 10,000"),
        ({"limit": 10_001}, "1 to 10,000"),
        ({"as_of": datetime(2026, 3, 1)}, "no time zone"),  # noqa: DTZ001  # that is the mistake
    ],
)
def test_what_cannot_be_listed_is_refused(shelf: Shelf, asked: dict[str, Any], message: str) -> None:
    with pytest.raises(QueryError, match=message):
        shelf.catalog.clips(**asked)


def test_an_empty_catalog_has_one_empty_page(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "home")
    page = catalog_of(parts).clips()
    assert (page, page.next) == ([], None)
    parts.close()
