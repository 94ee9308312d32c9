"""What stands ready for Prometheus and Grafana: every metric that it names exists, and each alert says why it is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.registry import CollectorRegistry

from voxledger.dashboards.server.app import build
from voxledger.dashboards.server.site import Site
from voxledger.ledger import Ledger

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCS = Path(__file__).parents[2] / "docs"
RULES = DEPLOY / "prometheus" / "voxledger.rules.yml"
BOARD = DEPLOY / "grafana" / "voxledger.json"
_METRIC = re.compile(r"\b(?:voxledger|process)_[a-z0-9_]+")


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """The labels of each series that a node can have, by its name in a query."""
    with Ledger(tmp_path_factory.mktemp("ledger") / "home", overrides={"store_close_wait": 0}) as ledger:
        site = Site(ledger, version="0", loopback=True)
        build(site)
        registry = site.observatory.metrics.registry
        found: dict[str, set[str]] = {}
        for family in registry.collect():
            known = _declared(registry, family.name) | _of_family(family)
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}
            for suffix in suffixes.get(family.type, ("",)):
                found[family.name + suffix] = known | ({"le"} if suffix == "_bucket" else set())
    return found


def _declared(registry: CollectorRegistry, name: str) -> set[str]:
    collector: Any = registry._names_to_collectors.get(name)
    return set(getattr(collector, "_labelnames", ())) | ({"version"} if name == "voxledger_build" else set())


def _of_family(family: Any) -> set[str]:
    return set(getattr(family, "_labelnames", ()))


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def _queries() -> Iterator[tuple[str, str]]:
    for rule in _rules():
        yield rule["alert"], rule["expr"]
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


@pytest.mark.parametrize(("where", "query"), list(_queries()))
def test_every_metric_that_is_named_exists_with_its_labels(where: str, query: str, labels: dict[str, set[str]]) -> None:
    names = _METRIC.findall(query)
    assert names or "up{" in query, where
    for name in names:
        assert name in labels, f"{where} asks for {name}, which no node has"
    given = {"instance", "job"}.union(*(labels[name] for name in names))
    for matchers in re.findall(r"\{([^}]*)\}", query):
        for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers):
            assert label in given, f"{where} asks for the label {label}"
    for grouped in re.findall(r"by \(([^)]*)\)", query):
        assert {label.strip() for label in grouped.split(",")} <= given, where
    assert query.count("(") == query.count(")"), where


def test_each_alert_says_why_it_is_one_and_what_to_do() -> None:
    rules = _rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 15
    for rule in rules:
        assert set(rule["annotations"]) == {"summary", "reason", "remedy"}, rule["alert"]
        assert all(text.strip().endswith(".") for text in rule["annotations"].values()), rule["alert"]
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]


def test_the_board_is_one_that_grafana_can_read() -> None:
    board = json.loads(BOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells


def test_every_metric_is_described_on_its_page(labels: dict[str, set[str]]) -> None:
    page = (DOCS / "observing.md").read_text()
    described = set(re.findall(r"`(voxledger_[a-z0-9_]+)`", page))
    own = {
        re.sub(r"_(bucket|sum|count)$", "", name) if name.endswith(("_bucket", "_sum", "_count")) else name
        for name in labels
    }
    assert described == {name for name in own if name.startswith("voxledger_")}
