"""Hostile SQL: answered or refused within the limits; no file is read or written, and the node lives and answers the next query."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.building import NOBODY, Parts
from tests.dashboards.hostile_sql import FILES, GROUPS, HEAVY, MACHINE, ODD, STATEMENTS
from tests.node import PATIENCE, RunningNode, running_node
from tests.soak import spread

_TIME = 1.0
_ROWS = 1000
_BYTES = 1_000_000
_SECRET = "nobody-may-read-this-4711"
_CLIPS = 30


class _World(NamedTuple):
    """A node, what lies around it, and a client that may ask it."""

    node: RunningNode
    client: httpx.Client
    file: Path
    new: Path
    snapshot: Path
    before: dict[Path, str]

    def ask(self, query: str, **more: Any) -> httpx.Response:
        return self.client.post("/api/sql", json={"query": query, **more})

    def filled(self, query: str) -> str:
        return query.format(
            file=self.file,
            new=self.new,
            snapshot=self.snapshot,
            catalog=self.node.home / "catalog.duckdb",
            secret=_SECRET,
        )

    def counted(self) -> Any:
        """What an honest query is answered."""
        answer = self.ask("SELECT count(*) FROM clips")
        return answer.json()["rows"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    folder = tmp_path_factory.mktemp("hostile")
    parts = Parts(folder / "home")
    for _ in range(_CLIPS):
        parts.clip()
    parts.keeper.drain()
    parts.close()
    file = folder / "secret.csv"
    file.write_text(f"{_SECRET}\n" * 3)
    settings: dict[str, Any] = {
        "sql_time": f"{_TIME}s", "sql_rows": _ROWS, "sql_bytes": _BYTES, "sql_memory": "300MB", "sql_refresh": "1h",
        "store_endpoint": NOBODY, "store_close_wait": 0, "schedule_publish": "1h", "general_min_free_disk": "1MB",
    }  # fmt: skip
    with running_node(folder / "home", **settings) as node, node.client() as client:
        assert client.post("/api/sql", json={"query": "SELECT 1"}).status_code == 200
        (snapshot,) = (node.home / "sql").iterdir()
        world = _World(node, client, file, folder / "new", snapshot, {})
        world.before.update(_hashes(world))
        yield world
        assert world.counted() == [[_CLIPS]]
        assert _hashes(world) == world.before
        assert node.process.poll() is None
        assert _SECRET not in node.said()


def _hashes(world: _World) -> dict[Path, str]:
    """Of the tables, of the log, of the snapshot, and of what no query may read."""
    home = world.node.home
    paths = [home / "catalog.duckdb", home / "log.duckdb", world.snapshot, world.file]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def _contained(world: _World, query: str) -> httpx.Response:
    began = time.monotonic()
    answer = world.ask(query)
    took = time.monotonic() - began
    assert answer.status_code in (200, 400, 422), answer.text[:300]
    assert took < _TIME + PATIENCE / 4  # `test_limits_hold_within_a_second` looks closer, where nothing else runs
    assert len(answer.content) < 3 * _BYTES
    assert _SECRET not in answer.text
    assert "root:x:" not in answer.text
    assert not world.new.exists()
    if answer.status_code != 200:
        fault = answer.json()["error"]
        assert fault["code"] in ("query", "query_time", "query_memory", "invalid")
        assert fault["message"]
        assert fault["remedy"]
    return answer


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_no_select_is_refused(world: _World, name: str) -> None:
    answer = _contained(world, world.filled(STATEMENTS[name]))
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["code"] in ("query", "invalid")


@pytest.mark.parametrize("name", FILES)
def test_no_file_is_read(world: _World, name: str) -> None:
    answer = _contained(world, world.filled(FILES[name]))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "query"


@pytest.mark.parametrize("name", MACHINE)
def test_nothing_tells_of_the_machine_or_waits(world: _World, name: str) -> None:
    answer = _contained(world, world.filled(MACHINE[name]))
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "query"


@pytest.mark.parametrize("name", spread(list(HEAVY)))
def test_what_never_ends_is_ended(world: _World, name: str) -> None:
    answer = _contained(world, world.filled(HEAVY[name]))
    if answer.status_code == 200:
        assert answer.json()["truncated"] or answer.json()["row_count"] <= _ROWS
    assert world.counted() == [[_CLIPS]]


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_answered_or_refused(world: _World, name: str) -> None:
    _contained(world, world.filled(ODD[name]))


def test_the_corpus_is_as_large_as_it_should_be() -> None:
    assert sum(len(group) for group in GROUPS.values()) >= 4 + 60
    names = list(itertools.chain.from_iterable(GROUPS.values()))
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "params",
    [
        {"x": "{file}"}, {"x": "'; DROP TABLE clips; --"}, {"x": ["{file}", 1, None]}, {"x": 2**63}, {"x": 2**200}, {"x": -(2**63)},
        {"x": 1e308}, {"x": "\0"}, {"x": "\U0010ffff"}, {"x": "x" * 900_000}, {"": 1}, {"a b": 1}, {"y": 1}, ["{file}"], [1] * 5000,
        {f"p{number}": number for number in range(2000)},
    ],
    ids=lambda params: str(params)[:30],
)  # fmt: skip
@pytest.mark.parametrize(
    "query", ["SELECT $x", "SELECT ?", "FROM clips WHERE text = $x OR id::VARCHAR = $x", "FROM read_text($x)"]
)
def test_parameters_are_values_and_nothing_else(world: _World, query: str, params: Any) -> None:
    answer = world.ask(query, params=params)
    assert answer.status_code in (200, 400, 422)
    assert _SECRET not in answer.text
    if "read_text" in query:
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"SELECT 1"', b'{"query": 1}', b'{"query": null}', b'{"query": "SELECT 1", "params": 5}',
        b'{"query": "SELECT 1", "rows": -1}', b'{"query": "SELECT 1", "rows": 1e99}', b'{"query": "SELECT 1", "format": "exe"}',
        b'{"query": "SELECT 1", "other": 1}', b'{"query": "SELECT \\ud800"}', b'{"query": "SELECT $x", "params": {"x": "\\ud800"}}',
        b'{"query": "SELECT $x", "params": {"x": {"y": 1}}}', b"[" * 100_000, b'{"query": "\xff"}',
    ],
    ids=lambda body: str(body)[:40],
)  # fmt: skip
def test_what_is_no_question_is_refused(world: _World, body: bytes) -> None:
    answer = world.client.post("/api/sql", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert set(answer.json()["error"]) == {"message", "type", "param", "code", "remedy"}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("SELECT count(*) FROM range(1000000) a, range(1000000) b", "query_time"),
        (
            "SELECT count(*) FROM range(1000000) WHERE regexp_matches(repeat('a', 5000) || range, '(a+)+(a+)+(a+)+b')",
            "query_time",
        ),
        ("SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))", "query_time"),
        ("SELECT repeat('x', 2000000000)", "query_memory"),
        ("SELECT list_sum(range(200000000))", "query_memory"),
    ],
)
def test_limits_hold_within_a_second(world: _World, query: str, code: str) -> None:
    """The best of some tries: others use this machine, too."""
    over = []
    for _ in range(5):
        began = time.monotonic()
        answer = world.ask(query)
        over.append(time.monotonic() - began - _TIME)
        assert answer.json()["error"]["code"] == code
        if over[-1] < 1:
            break
    assert min(over) < 1


def test_answers_end_at_the_limits_of_rows_and_bytes(world: _World) -> None:
    answer = world.ask("SELECT range FROM range(100000000000)")
    assert (answer.json()["row_count"], answer.json()["truncated"]) == (_ROWS, True)
    assert world.ask("SELECT range FROM range(5)", rows=3).json()["rows"] == [[0], [1], [2]]
    for form in ("json", "csv", "arrow", "parquet"):
        answer = world.ask("SELECT repeat('x', 100000) || range AS x FROM range(500)", format=form)
        assert answer.headers["X-Voxledger-Truncated"] == "true"
        assert 5 <= int(answer.headers["X-Voxledger-Rows"]) <= 10
        assert len(answer.content) <= _BYTES + 10_000


def test_a_client_that_goes_away_takes_the_query_with_it(world: _World) -> None:
    """Else two of them would keep everybody else waiting until the limit of time."""
    for _ in range(6):
        with contextlib.suppress(httpx.TimeoutException):
            world.client.post("/api/sql", json={"query": HEAVY["cross join"]}, timeout=0.05)
    began = time.monotonic()
    assert world.counted() == [[_CLIPS]]
    assert time.monotonic() - began < PATIENCE / 4
