"""What the tests of the index share."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.building import Parts
from voxledger.catalog.events import SubjectErased, new_id
from voxledger.catalog.search import Found, SearchIndex


@pytest.fixture
def index(parts: Parts) -> SearchIndex:
    """The index of the fresh HOME."""
    return SearchIndex(parts.keeper)


def ids(found: Found) -> list[str]:
    """The clips of a page, in order."""
    return [hit.clip for hit in found.hits]


def erase(parts: Parts, target: str, scope: Any = "actor") -> None:
    """Record that somebody was erased; `target` is an opaque actor id or a voice's SHA-256."""
    fact = SubjectErased(
        request="r", scope=scope, target=target, clips=1, voices=0, objects=0, bytes=0, reports=0, key_destroyed=True, outcomes={}
    )  # fmt: skip
    parts.record(fact, new_id())


def destroy_key(parts: Parts, label: str) -> str:
    """Destroy an actor's key without a word in the log; gives the actor's opaque id. The label may be used again."""
    target = parts.vault.actor(label).id
    with sqlite3.connect(parts.home.vault) as connection:
        connection.execute("UPDATE actors SET key = NULL, label = NULL WHERE label = ?", (label,))
    connection.close()
    parts.vault._by_label.clear()
    parts.vault._by_id.clear()
    return target


def documents(path: Path) -> dict[str, tuple[int, str, list[str], str]]:
    """What can be found, by clip: position, name, tags, text."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT hex(clip), position, name, tags, text FROM documents").fetchall()
    connection.close()
    return {clip.lower(): (position, name, json.loads(tags), text) for clip, position, name, tags, text in rows}


def every_word(path: Path) -> list[tuple[str, int, str, int]]:
    """Every word in the index: term, position, column, place in it."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE VIRTUAL TABLE temp.every USING fts5vocab (main, words, instance)")
    rows = connection.execute("SELECT term, doc, col, offset FROM temp.every").fetchall()
    connection.close()
    return sorted(rows)
