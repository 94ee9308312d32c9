"""What the answers to SQL hold, and who may hold how many of them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import select
import socket
import time
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.dashboards.conftest import CatalogNode
from tests.node import PATIENCE
from voxledger.dashboards.sql.pace import Pace


def test_a_time_of_day_keeps_its_offset_in_every_format(catalog_node: CatalogNode) -> None:
    query: dict[str, Any] = {
        "query": """SELECT '12:00:00+05'::TIMETZ AS a, 1 AS a, {'TIME WITH TIME ZONE': ['12:00:00-03:30'::TIMETZ]} AS "q""r" """
    }
    row = ["12:00:00+05", 1, {"TIME WITH TIME ZONE": ["12:00:00-03:30"]}]
    with catalog_node.client("analyst:ada") as client:
        told = client.post("/api/sql", json=query).json()
        assert [column["name"] for column in told["columns"]] == ["a", "a", 'q"r']
        assert [column["type"] for column in told["columns"]][:2] == ["TIME WITH TIME ZONE", "INTEGER"]
        assert told["rows"] == [row]
        assert (
            client.post("/api/sql", json={**query, "format": "csv"}).text.splitlines()[1].startswith("12:00:00+05,1,")
        )
        stream = client.post("/api/sql", json={**query, "format": "arrow"}).content
        assert [each.to_pylist() for each in pa.ipc.open_stream(stream).read_all().columns] == [[cell] for cell in row]
        file = client.post(
            "/api/sql", json={"query": "SELECT $t::TIMETZ AS t", "params": {"t": "12:00:00+05"}, "format": "parquet"}
        ).content
        assert pq.read_table(io.BytesIO(file)).to_pylist() == [{"t": "12:00:00+05"}]


def test_whoever_takes_nothing_holds_half_of_the_places_at_most(catalog_node: CatalogNode) -> None:
    url = httpx.URL(catalog_node.node.url)
    body = json.dumps({"query": "SELECT repeat('x', 1000) FROM range(15000)", "rows": 15000}).encode()
    with (
        catalog_node.client("analyst:ada") as ada,
        catalog_node.client("analyst:bea") as bea,
        contextlib.ExitStack() as open_,
    ):
        half = 4 * 2 // 2  # of what sql.at_once = 2 gives
        readers = []
        for _ in range(2 * half + 1):
            reader = open_.enter_context(socket.socket())
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect((url.host, url.port))
            head = f"POST /api/sql HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nAuthorization: {ada.headers['Authorization']}\r\n"
            reader.sendall(
                f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            )
            readers.append(reader)
        deadline = time.monotonic() + PATIENCE
        while len(select.select(readers, [], [], 0.1)[0]) < half:
            assert time.monotonic() < deadline
        assert bea.post("/api/sql", json={"query": "SELECT 1"}).json()["rows"] == [[1]]
        assert len(select.select(readers, [], [], 0)[0]) == half
        open_.close()
        assert ada.post("/api/sql", json={"query": "SELECT 1"}).json()["rows"] == [[1]]


def test_an_answer_that_is_taken_too_slowly_breaks_off() -> None:
    async def take(sizes: list[int]) -> None:
        async with Pace(seconds=0.5, size=1000) as pace:
            for size in sizes:
                await asyncio.sleep(0.1)
                pace.took(size)

    asyncio.run(take([400, 400, 400] * 4))  # 1.2 s in all
    with pytest.raises(TimeoutError):
        asyncio.run(take([100] * 12))
