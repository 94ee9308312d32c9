"""What the answers to SQL hold, and who may hold how many of them."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.dashboards.conftest import CatalogNode


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
