"""Damage to the files of a HOME: whatever is cut, flipped or gone, what was acknowledged comes back, and it is said."""

from __future__ import annotations

import random
import shutil
import signal
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.catalog.durability.judging import check_same
from tests.catalog.durability.nursery import Nursery
from tests.soak import count, spread, told_of_soak

Harm = Callable[[Path, random.Random], None]


class Left(NamedTuple):
    """What a killed process left behind; what is in its files, and what comes out of it when nothing else happens to it."""

    home: Path
    raw: dict[str, Any]
    tables: dict[str, str]


def _look(nursery: Nursery, home: Path, life: str = "look") -> dict[str, Any]:
    return nursery.start(life, home).found()


@pytest.fixture(scope="module")
def left(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """Eight batches in the write-ahead logs of log and catalog, each of them noted beside the journal, and more waiting."""
    folder = tmp_path_factory.mktemp("left")
    for turn in range(10):
        home = folder / f"home-{turn}"
        child = nursery.start("backlog", home, failpoint="log.before_append:10", life=1, first=60, then=90)
        assert child.wait() == -signal.SIGKILL
        sizes = [(home / f"{name}.duckdb.wal").stat().st_size for name in ("log", "catalog")]
        if min(sizes) > 10_000:
            break  # else the files were closed between: a drain has them for two seconds at a time, which a busy machine uses up
    else:
        pytest.fail(f"no write-ahead log held all batches: {sizes}")
    found = _look(nursery, shutil.copytree(home, folder / "undamaged"))
    assert (found["told"], found["findings"]) == ([], [])
    raw = _look(nursery, shutil.copytree(home, folder / "raw"), "raw")
    assert all(len(found) == 64 for found in raw.values()), raw
    return Left(home, raw, found["tables"])


@pytest.fixture(scope="module")
def sealed(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A HOME whose processes have ended well: segments, a pruned journal, and nothing that waits."""
    home = tmp_path_factory.mktemp("sealed") / "home"
    assert nursery.start("all_steps", home, life=1, rounds=2, rebuild=False).wait() == 0
    found = _look(nursery, home)
    assert list((home / "segments").iterdir())
    return Left(home, {}, found["tables"])


def cut(content: bytearray, draw: random.Random) -> None:
    """A part of the end is gone: a few bytes, or any number."""
    del content[-draw.randint(1, draw.choice([40, len(content)])) :]


def flip(content: bytearray, draw: random.Random) -> None:
    """One bit is another."""
    content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)


def flip_block(content: bytearray, draw: random.Random) -> None:
    """Bits are others in one place of the file."""
    place = draw.randrange(len(content) // 4096) * 4096
    for _ in range(20):
        content[place + draw.randrange(4096)] ^= 1 << draw.randrange(8)


@pytest.mark.parametrize(
    ("harm", "file"),
    spread(
        list(product((cut, flip, flip_block), ("log.duckdb.wal", "catalog.duckdb.wal", "log.duckdb", "catalog.duckdb")))
    ),
)
def test_a_damaged_file_is_mended_and_never_in_silence(
    tmp_path: Path, nursery: Nursery, left: Left, file: str, harm: Harm
) -> None:
    """After each damage everybody finds what they would have found without. Where DuckDB alone finds less, it was said."""
    draw, begun, told = random.Random(f"{file} {harm.__name__}"), time.monotonic(), 0
    damages = count(50 if file.endswith("wal") and harm is not flip_block else 20)
    for turn in range(damages):
        home = shutil.copytree(left.home, tmp_path / "home")
        before = (home / file).read_bytes()
        content = bytearray(before)
        harm(content, draw)
        (home / file).write_bytes(content)
        raw = _look(nursery, shutil.copytree(home, tmp_path / "raw"), "raw")
        found = _look(nursery, home)
        check_same(found["tables"], left.tables, f"damage {turn} changed what is there: {found['told']}")
        assert found["findings"] == [], f"damage {turn}"
        harmless = not any(before[len(content) :]) and content == before[: len(content)]  # only padding is gone
        assert found["told"] or raw == left.raw or harmless, f"damage {turn} was silent; DuckDB: {raw}"
        told += bool(found["told"])
        shutil.rmtree(home)
        shutil.rmtree(tmp_path / "raw")
    told_of_soak(f"{harm.__name__} {file}", damages=damages, told=told, lost=0, seconds=time.monotonic() - begun)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("log.duckdb*", "the log had reached position"),
        ("catalog.duckdb*", "the tables had reached position"),
        ("*.duckdb*", "the log had reached position"),
        ("journal.mark", None),
        ("journal.sqlite*", "journal.sqlite was missing and is made anew"),
        ("segments/*", None),
    ],
)
def test_a_deleted_file_is_replaced_and_never_in_silence(
    tmp_path: Path, nursery: Nursery, sealed: Left, gone: str, told: str | None
) -> None:
    home = shutil.copytree(sealed.home, tmp_path / "home")
    files = list(home.glob(gone))
    assert files
    for file in files:
        file.unlink()
    found = _look(nursery, home)
    but = {"epochs"} if "journal" in gone else set()  # another journal is another epoch
    check_same(
        {name: value for name, value in found["tables"].items() if name not in but},
        {name: value for name, value in sealed.tables.items() if name not in but},
        "what was there is not there any more",
    )
    assert found["findings"] == []
    if told:
        assert any(told in words for words in found["told"])
    else:
        assert found["told"] == []
