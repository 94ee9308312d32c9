"""The SQL service of a node: answers in four formats, their age, saved queries, and the command line that goes through it."""

from __future__ import annotations

import csv
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import voxledger
from tests import forking
from tests.building import NOBODY, Parts
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog import QueryError
from voxledger.catalog.query.parameters import parameters_of

_SETTINGS: dict[str, Any] = {
    "sql_refresh": "1s", "sql_time": "20s", "store_endpoint": NOBODY, "store_close_wait": 0, "general_min_free_disk": "1MB",
    "general_actor": "ann",
}  # fmt: skip


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("sql") / "home"
    parts = Parts(home)
    for emotion in ("happy", "happy", "sad"):
        parts.clip(emotion=emotion)
    parts.keeper.drain()
    parts.close()
    with running_node(home, **_SETTINGS) as running:
        yield running


@pytest.fixture(scope="module")
def client(node: RunningNode) -> Iterator[httpx.Client]:
    with node.client() as made:
        yield made


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _recorded(node: RunningNode, client: httpx.Client) -> int:
    """Have one more clip recorded by another process, and wait until the node has it; gives how many there are."""
    parts = Parts(node.home)
    parts.clip(actor="bob")
    with parts.keeper.reading() as reading:
        found = int(reading.tuples("SELECT count(*) FROM clips")[0][0])
    parts.close()
    return found


def _command(node: RunningNode, *words: str, binary: bool = False) -> tuple[int, Any, str]:
    with TemporaryFile("w+b") as out, TemporaryFile("w+b") as err:
        argv = ["-m", "voxledger", "--home", str(node.home), "sql", *words]
        code = forking.spawn(argv, stdout=out.fileno(), stderr=err.fileno()).wait(PATIENCE)
        said, told = (_whole(file) for file in (out, err))
    return code, said if binary else said.decode(), told.decode()


def _whole(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def test_an_answer_comes_in_every_format(client: httpx.Client) -> None:
    query = {
        "query": "SELECT emotion, count(*) AS n FROM clips WHERE actor = $who GROUP BY ALL ORDER BY n DESC",
        "params": {"who": "ann"},
    }
    told = client.post("/api/sql", json=query)
    found = told.json()
    assert [column["name"] for column in found["columns"]] == ["emotion", "n"]
    assert found["columns"][1]["type"] == "BIGINT"
    assert found["rows"] == [["happy", 2], ["sad", 1]]
    assert (found["row_count"], found["truncated"]) == (2, False)
    assert found["position"] == int(told.headers["X-Voxledger-Position"])
    assert found["snapshot"]["age_s"] == pytest.approx(float(told.headers["X-Voxledger-Snapshot-Age"]), abs=0.001)

    sheet = client.post("/api/sql", json=query, headers={"Accept": "text/csv"})
    assert list(csv.reader(io.StringIO(sheet.text))) == [["emotion", "n"], ["happy", "2"], ["sad", "1"]]
    assert sheet.headers["Content-Type"].startswith("text/csv")

    stream = client.post("/api/sql", json=query, headers={"Accept": "application/vnd.apache.arrow.stream"})
    with pa.ipc.open_stream(stream.content) as reader:
        batches = list(reader.iter_batches_with_custom_metadata())
    assert pa.Table.from_batches([batch.batch for batch in batches]).to_pydict() == {
        "emotion": ["happy", "sad"],
        "n": [2, 1],
    }
    assert json.loads(batches[-1].custom_metadata[b"voxledger"])["row_count"] == 2

    file = client.post("/api/sql", json={**query, "format": "parquet"}, headers={"Accept": "text/csv"})
    table = pq.read_table(io.BytesIO(file.content))
    assert table.to_pydict() == {"emotion": ["happy", "sad"], "n": [2, 1]}
    assert json.loads(pq.read_metadata(io.BytesIO(file.content)).metadata[b"voxledger"])["truncated"] is False
    for answer in (told, sheet, stream, file):
        assert (answer.headers["X-Voxledger-Rows"], answer.headers["X-Voxledger-Truncated"]) == ("2", "false")


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("SELECT '🌊', emotion,\n  nowhere\nFROM clips", "nowhere"),
        ("SELECT emotion\nFROM clps", "clps"),
        ("SELECT nofunction(emotion)\nFROM clips", "nofunction(emotion)"),
        ("SELECT emotion,\n  upper(\nFROM clips", "FROM"),
        ("SELECT emotion, count(*)\nFROM clips", "emotion"),
        ("SELECT 1, CAST('secret' AS INTEGER)", "CAST('secret' AS INTEGER)"),
    ],
)
def test_an_error_says_where_it_is(client: httpx.Client, query: str, wrong: str) -> None:
    fault = client.post("/api/sql", json={"query": query}).json()["error"]
    place = fault["place"]
    assert query[place["offset"] : place["offset"] + place["length"]] == wrong
    assert "{" not in fault["message"]
    assert "secret" not in fault["message"]


def test_an_error_of_no_place_has_none(client: httpx.Client) -> None:
    for query in ("DELETE FROM clips", "SELECT $x", "FROM read_text('/etc/passwd')"):
        assert "place" not in client.post("/api/sql", json={"query": query}).json()["error"]


def test_what_may_be_named_is_described(client: httpx.Client) -> None:
    answer = client.get("/api/sql/schema")
    found = answer.json()
    relations = {relation["name"]: relation for relation in found["relations"]}
    assert list(relations)[:2] == ["clips", "passages"]
    assert not {"events", "batches", "epochs"} & relations.keys()
    assert relations["clips"]["description"] == "One row a clip, in its present state."
    assert {"name": "emotion", "type": "VARCHAR", "description": "Dominant emotion, or neutral."} in relations["clips"][
        "columns"
    ]
    assert all(column["description"] for relation in relations.values() for column in relation["columns"])
    functions = {function["name"]: function for function in found["functions"]}
    assert functions["date_trunc"]["parameters"] == ["part", "timestamp"]
    assert functions["count"]["kind"] == "aggregate"
    assert functions["clips_at"]["kind"] == "table"
    assert not {"getenv", "read_csv", "glob", "query"} & functions.keys()
    same = client.get("/api/sql/schema", headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")


def test_the_snapshot_is_renewed_at_once(node: RunningNode, client: httpx.Client) -> None:
    client.post("/api/sql", json={"query": "SELECT 1"})
    clips = _recorded(node, client)
    _until(lambda: client.get("/api/sql").json()["age_s"] > 2)
    assert client.post("/api/sql/snapshot").json()["age_s"] == 0
    answer = client.post("/api/sql", json={"query": "SELECT count(*) FROM clips"}).json()
    assert (answer["rows"], answer["snapshot"]["age_s"]) == ([[clips]], 0)
    before = set((node.home / "sql").iterdir())
    assert client.post("/api/sql/snapshot").status_code == 200
    assert set((node.home / "sql").iterdir()) == before


def test_an_empty_answer_has_its_columns(client: httpx.Client) -> None:
    for form in ("json", "csv", "arrow", "parquet"):
        answer = client.post("/api/sql", json={"query": "SELECT id, tags FROM clips WHERE false", "format": form})
        assert answer.status_code == 200, answer.text
        assert answer.headers["X-Voxledger-Rows"] == "0"
    assert client.post("/api/sql", json={"query": "SELECT 1", "rows": 0}).json()["truncated"] is True


def test_an_answer_is_never_older_than_it_says(node: RunningNode, client: httpx.Client) -> None:
    """Nothing is copied while nothing changes; what is recorded is there when the age says that nothing is missing."""
    first = client.post("/api/sql", json={"query": "SELECT count(*) FROM clips"}).json()
    snapshots = set((node.home / "sql").iterdir())
    again = client.post("/api/sql", json={"query": "SELECT count(*) FROM clips"}).json()
    assert again["snapshot"]["age_s"] == 0
    assert set((node.home / "sql").iterdir()) == snapshots
    clips = _recorded(node, client)
    recorded = time.time()

    def whole() -> bool:
        found = client.post("/api/sql", json={"query": "SELECT count(*) FROM clips"}).json()
        if found["snapshot"]["age_s"] < time.time() - recorded - 0.5:
            assert found["rows"] == [[clips]]
        return bool(found["rows"] == [[clips]])

    _until(whole)
    assert first["rows"] != [[clips]]
    _until(lambda: len(list((node.home / "sql").iterdir())) == 1)


def test_its_snapshots_age_is_a_metric(client: httpx.Client) -> None:
    client.post("/api/sql", json={"query": "SELECT 1"})
    found = re.search(r"^voxledger_sql_snapshot_age_seconds (\S+)$", client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    assert 0 <= float(found.group(1)) < 3600


def test_the_log_is_not_in_it(client: httpx.Client) -> None:
    for query in ("FROM events", "SELECT * FROM log.batches", "FROM clips, epochs"):
        fault = client.post("/api/sql", json={"query": query}).json()["error"]
        assert fault["code"] == "not_in_snapshot"
        assert "GET /api/events" in fault["remedy"]
    assert client.post("/api/sql", json={"query": "WITH events AS (SELECT 1 AS a) FROM events"}).json()["rows"] == [[1]]
    assert client.post("/api/sql", json={"query": "SELECT count(*) FROM clips_at(1)"}).json()["rows"] == [[1]]


def test_only_who_may_ask_is_answered(client: httpx.Client, node: RunningNode) -> None:
    for role, scope, status in (
        ("viewer", "all", 403),
        ("creator", "own", 403),
        ("analyst", "own", 403),
        ("analyst", "all", 200),
    ):
        token = client.post("/api/tokens", json={"role": role, "scope": scope, "name": "eve"}).json()["token"]
        with node.client(token) as other:
            assert other.post("/api/sql", json={"query": "SELECT 1"}).status_code == status, (role, scope)
            assert other.get("/api/queries").status_code == status
    with node.client("") as nobody:
        assert nobody.post("/api/sql", json={"query": "SELECT 1"}).status_code in (401, 403)


def test_queries_are_saved_asked_and_deleted(client: httpx.Client, node: RunningNode) -> None:
    text = "-- Clips of an emotion\n-- and how many\nSELECT count(*) AS n FROM clips WHERE emotion = $emotion AND '$no' <> 'x'"
    saved = client.put("/api/queries/by-emotion", json={"query": text}).json()
    assert saved["description"] == "Clips of an emotion and how many"
    assert (saved["parameters"], saved["query"], saved["mine"]) == (["emotion"], text, True)
    assert [query["name"] for query in client.get("/api/queries").json()["queries"]] == ["by-emotion"]
    assert (node.home / "queries" / "by-emotion.sql").read_text().startswith(text)
    sheet = client.get("/api/queries/by-emotion/answer", params={"param": "emotion=sad", "format": "csv"})
    assert sheet.text == "n\n1\n"
    assert client.post("/api/queries/by-emotion/answer", json={"params": {"emotion": "sad"}}).json()["rows"] == [[1]]
    assert client.get("/api/queries/by-emotion/answer").status_code == 400

    token = client.post("/api/tokens", json={"role": "analyst", "name": "eve"}).json()["token"]
    with node.client(token) as eve:
        assert eve.get("/api/queries/by-emotion").json()["mine"] is False
        assert eve.put("/api/queries/by-emotion", json={"query": "SELECT 1"}).json()["error"]["code"] == "owner"
        assert eve.delete("/api/queries/by-emotion").status_code == 403
        assert eve.put("/api/queries/mine", json={"query": "SELECT 1"}).status_code == 200
    assert client.delete("/api/queries/mine").status_code == 204
    assert client.delete("/api/queries/by-emotion").status_code == 204
    assert client.get("/api/queries/by-emotion").json()["error"]["code"] == "query_not_found"


@pytest.mark.parametrize("name", ["..", "a/b", "UPPER", "-x", "a.b", "a" * 65, "%2e%2e%2fnode", "é"])
def test_a_saved_query_has_a_plain_name(client: httpx.Client, node: RunningNode, name: str) -> None:
    before = sorted(path for path in node.home.rglob("*") if path.suffix in (".sql", ".json"))
    assert client.put(f"/api/queries/{name}", json={"query": "SELECT 1"}).status_code in (400, 404, 405, 422)
    assert client.get(f"/api/queries/{name}/answer").status_code in (400, 404, 405, 422)
    assert [path for path in node.home.rglob("*") if path.suffix == ".sql"] == [
        path for path in before if path.suffix == ".sql"
    ]


def test_the_command_line_goes_through_the_node(node: RunningNode, client: httpx.Client) -> None:
    code, out, err = _command(node, "SELECT emotion FROM clips WHERE emotion = $e", "--param", "e=sad")
    assert (code, "sad" in out, "1 row" in out) == (0, True, True)
    assert "the node's snapshot: as of" in err
    clips = _recorded(node, client)
    query = "SELECT count(*) AS n FROM clips"
    assert json.loads(_command(node, query, "--fresh", "--json")[1]) == [{"n": clips}]
    code, out, err = _command(node, "SELECT count(*) AS n FROM events", "--format", "csv")
    assert (code, out.splitlines()[0]) == (0, "n")
    assert "asked the log itself: events, batches and epochs" in err
    assert json.loads(_command(node, query, "--as-of", "1d", "--json")[1]) == [{"n": 0}]
    for form in ("arrow", "parquet"):
        content = _command(node, "SELECT 7 AS n", "--format", form, binary=True)[1]
        table = pa.ipc.open_stream(content).read_all() if form == "arrow" else pq.read_table(io.BytesIO(content))
        assert table.to_pydict() == {"n": [7]}
    code, _, err = _command(node, "FROM clps")
    assert (code, 'Did you mean "clips"' in err) == (1, True)
    code, _, err = _command(node, "SELECT $x", "--param", "x")
    assert (code, "write name=value" in err) == (1, True)
    code, out, err = _command(node, "FROM range(100001)", "--format", "csv")
    assert (code, len(out.splitlines()), "rows were left off" in err) == (0, 100_001, True)


def test_python_asks_it_through_connect(node: RunningNode) -> None:
    with voxledger.connect(home=node.home) as vox:
        assert vox.catalog.sql("SELECT $x AS x", params={"x": 5}).rows() == [{"x": 5}]
        with pytest.raises(QueryError, match="exactly one SELECT"):
            vox.catalog.sql("DELETE FROM clips")


def test_erasing_somebody_leaves_no_snapshot_with_them(node: RunningNode, client: httpx.Client) -> None:
    parts = Parts(node.home)
    parts.clip(actor="zoe", text="Only zoe says xylophone.")
    parts.keeper.drain()
    parts.close()
    query = {"query": "SELECT count(*) FROM clips WHERE text LIKE '%xylophone%'"}
    assert client.post("/api/sql/snapshot").status_code == 200
    _until(lambda: bool(client.post("/api/sql", json=query).json()["rows"] == [[1]]))
    erase = ["-m", "voxledger", "--home", str(node.home), "erase", "--actor", "zoe"]
    shown = forking.run([*erase, "--json"])
    assert shown.returncode == 0, shown.stderr
    plan = json.loads(shown.stdout)["id"]
    forking.run([*erase, "--plan", plan, "--yes"])  # its status tells of the store as well, which never had this clip
    assert client.post("/api/sql", json=query).json()["rows"] == [[0]]
    assert all(b"xylophone" not in path.read_bytes() for path in (node.home / "sql").iterdir())


def test_it_can_be_off_and_starts_with_nothing_left_from_before(tmp_path: Path) -> None:
    left = tmp_path / "home" / "sql" / "1-1.duckdb"
    left.parent.mkdir(parents=True)
    left.write_text("left by a node that was killed")
    with running_node(tmp_path / "home", sql_enabled=False, **_SETTINGS) as node, node.client() as client:
        assert not left.exists()
        answer = client.post("/api/sql", json={"query": "SELECT 1"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (501, "sql_off")
        assert client.get("/api/sql").json()["off"] == "the SQL service is switched off (sql.enabled)"
        code, out, err = _command(node, "SELECT 1 AS n", "--json")
        assert (code, json.loads(out), "asked the log itself" in err) == (0, [{"n": 1}], True)


def test_parameters_are_read_as_people_write_them() -> None:
    written = ["a=en", "b=5", "c=1.5", "d=true", "e=null", 'f="5"', "g=", "h=x=y", "$i=2026-01-01"]
    assert parameters_of(written) == {
        "a": "en", "b": 5, "c": 1.5, "d": True, "e": None, "f": "5", "g": "", "h": "x=y", "i": "2026-01-01",
    }  # fmt: skip
    for wrong in (["x"], ["=5"], ["x=1", "x=2"]):
        with pytest.raises(QueryError):
            parameters_of(wrong)
