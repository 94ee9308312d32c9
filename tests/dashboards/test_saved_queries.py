"""Saved queries: how large one may be, and what the list of all holds."""

from __future__ import annotations

from tests.dashboards.conftest import CatalogNode


def test_the_list_of_saved_queries_has_no_texts(catalog_node: CatalogNode) -> None:
    with catalog_node.client("analyst:ada") as client:
        text = f"-- Large\nSELECT $x /* {'-' * 99_000} */"
        assert client.put("/api/queries/large", json={"query": text}).json()["query"] == text
        (listed,) = [each for each in client.get("/api/queries").json()["queries"] if each["name"] == "large"]
        assert (listed["description"], listed["parameters"], listed["mine"]) == ("Large", ["x"], True)
        assert "query" not in listed
        assert client.get("/api/queries/large").json()["query"] == text
        assert client.delete("/api/queries/large").status_code == 204


def test_a_saved_query_has_at_most_100_kb(catalog_node: CatalogNode) -> None:
    by_hand = catalog_node.node.home / "queries" / "by-hand.sql"
    with catalog_node.client("analyst:ada") as client:
        assert client.put("/api/queries/full", json={"query": "SELECT 1".ljust(99_999) + ";"}).status_code == 200
        assert client.put("/api/queries/more", json={"query": "SELECT 1".ljust(100_000) + ";"}).status_code == 422
        wide = client.put("/api/queries/more", json={"query": f"SELECT '{'é' * 60_000}'"})
        assert (wide.status_code, wide.json()["error"]["code"]) == (400, "query")
        by_hand.write_text("SELECT 1".ljust(1_000_000) + ";")
        assert [each["name"] for each in client.get("/api/queries").json()["queries"]] == ["full"]
        assert client.get("/api/queries/by-hand").status_code == 404
        by_hand.unlink()
        assert client.delete("/api/queries/full").status_code == 204


def test_a_saved_query_is_renamed_and_says_whose_it_is(catalog_node: CatalogNode) -> None:
    with catalog_node.client("analyst:ada") as ada, catalog_node.client("analyst:eve") as eve:
        for client, name in ((ada, "first"), (eve, "second")):
            assert client.put(f"/api/queries/{name}", json={"query": f"SELECT '{name}'"}).json()["mine"] is True
        assert [(each["name"], each["by"], each["mine"]) for each in ada.get("/api/queries").json()["queries"]] == [
            ("first", "ada", True),
            ("second", "eve", False),
        ]
        assert eve.patch("/api/queries/first", json={"name": "hers"}).json()["error"]["code"] == "owner"
        taken = ada.patch("/api/queries/first", json={"name": "second"})
        assert (taken.status_code, taken.json()["error"]["code"]) == (409, "query_taken")
        assert ada.patch("/api/queries/first", json={"name": "../first"}).json()["error"]["code"] == "query"
        assert ada.patch("/api/queries/gone", json={"name": "first"}).status_code == 404
        renamed = ada.patch("/api/queries/first", json={"name": "third"}).json()
        assert (renamed["name"], renamed["query"], renamed["mine"]) == ("third", "SELECT 'first'", True)
        assert [each["name"] for each in ada.get("/api/queries").json()["queries"]] == ["second", "third"]
        assert ada.delete("/api/queries/third").status_code == eve.delete("/api/queries/second").status_code == 204
