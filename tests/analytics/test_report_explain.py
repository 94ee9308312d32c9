"""`voxledger report explain` and `schema`: every number of a report with the query that told it."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import pytest

from tests.analytics.test_report import failed, reused
from tests.building import Parts
from voxledger.analytics.metrics import METRICS
from voxledger.analytics.report import WeeklyReport
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.events import AudioStored, new_id

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Two weeks with all outcomes."""
    parts = Parts(tmp_path_factory.mktemp("studio") / "home")
    for number in range(12):
        clip = parts.clip(
            actor=f"user{number % 3}", time=MONDAY + timedelta(hours=number * 25 - 140), emotion=["happy", "sad"][number % 2],
            duration_us=1_000_000 + number, queue_us=number, suspect=("clipped",) if number % 4 == 0 else (),
        )  # fmt: skip
        when = MONDAY + timedelta(hours=number * 25 - 139)
        stored = AudioStored(bucket="b", bytes=66_194, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")
        parts.record(stored, clip, time=when)
        parts.record(reused(), clip, time=when)
        parts.record(failed(), new_id(), time=when)
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def catalog(studio: Parts) -> Catalog:
    return Catalog(
        studio.home, studio.recorder, studio.keeper, lambda: pytest.fail("no store"), actor="ann", channel="python"
    )


@pytest.fixture
def run(command: Callable[..., tuple[int, str, str]]) -> Callable[..., tuple[int, str, str]]:
    return partial(command, "report")


@pytest.fixture
def weekly(run) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(run("weekly", "--week", "2026-W45", "--json")[1])
    return found


def test_each_headline_is_what_its_query_tells(catalog: Catalog, weekly: Mapping[str, Any]) -> None:
    queries = {one["metric"]: one["query"] for one in weekly["definitions"]}
    assert set(queries) == set(METRICS)
    for headline in weekly["headlines"]:
        name = headline["metric"]
        assert catalog.sql(queries[name], fresh=False).pl()[name].to_list() == [headline["value"]], name


def test_every_query_of_the_page_can_be_asked(catalog: Catalog, weekly: Mapping[str, Any]) -> None:
    for one in weekly["definitions"]:
        assert catalog.sql(one["query"], fresh=False).pl().shape == (1, 1), one["metric"]


@pytest.mark.parametrize("name", ["clips", "failure_rate", "retained_users"])
def test_explain_says_value_meaning_and_query(run, catalog: Catalog, weekly: Mapping[str, Any], name: str) -> None:
    found = json.loads(run("explain", name, "--week", "2026-W45", "--json")[1])
    assert found["definition"] == METRICS[name].definition
    assert catalog.sql(found["query"]).pl()[name].to_list() == [found["value"]]
    told = {headline["metric"]: headline["value"] for headline in weekly["headlines"]}
    assert found["value"] == (told[name] if name in told else weekly["users"]["retained"])
    shown = run("explain", name, "--week", "2026-W45")[1]
    assert METRICS[name].definition in shown
    assert "2026-W45: " in shown
    assert found["query"] in shown, "so that it can be copied"


def test_explain_tells_groups_apart(run, weekly: Mapping[str, Any]) -> None:
    found = json.loads(run("explain", "clip_share", "--week", "2026-W45", "--by", "emotion", "--json")[1])
    assert {row["emotion"]: row["clip_share"] for row in found["groups"] if row["clip_share"]} == {
        row["emotion"]: row["clip_share"] for row in weekly["emotions"]["emotions"]
    }
    shown = run("explain", "clip_share", "--week", "2026-W45", "--by", "emotion")[1]
    assert "happy" in shown
    assert "50%" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("clip",), "clips"),
        (("clips", "--by", "emotoin"), "emotion"),
        (("clips", "--by", "flow"), "it can be by"),
        (("clips", "--week", "2026-W60"), "no week 60"),
        (("clips", "--week", "2099-W01"), "2099-W01"),
    ],
)
def test_what_cannot_be_explained_is_one_line_that_says_what_can(run, arguments: tuple[str, ...], said: str) -> None:
    code, out, err = run("explain", *arguments)
    assert code != 0
    assert out == ""
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_the_schema_describes_what_weekly_prints(run, weekly: Mapping[str, Any]) -> None:
    schema = json.loads(run("schema")[1])
    _conforms(weekly, schema, schema["$defs"], "report")
    assert msgspec.convert(weekly, WeeklyReport, strict=False).week == "2026-W45"
    broken = {**weekly, "closed": "no"}
    with pytest.raises(AssertionError):
        _conforms(broken, schema, schema["$defs"], "report")


def _conforms(value: Any, schema: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """What of JSON Schema (draft 2020-12) the file uses: no validator is among this project's tools."""
    if "$ref" in schema:
        _conforms(value, known[schema["$ref"].removeprefix("#/$defs/")], known, where)
    elif "anyOf" in schema:
        assert any(_fits(value, one, known) for one in schema["anyOf"]), where
    elif "enum" in schema:
        assert value in schema["enum"], where
    elif schema.get("type") == "object":
        assert isinstance(value, dict), where
        assert set(schema.get("required", ())) <= set(value) <= set(schema["properties"]), where
        for name, inner in value.items():
            _conforms(inner, schema["properties"][name], known, f"{where}.{name}")
    elif schema.get("type") == "array":
        assert isinstance(value, list), where
        assert schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)), where
        for place, inner in enumerate(value):
            kinds = schema.get("prefixItems")
            _conforms(inner, kinds[place] if kinds else schema["items"], known, f"{where}[{place}]")
    elif "type" in schema:
        kinds = {"string": str, "boolean": bool, "null": type(None), "integer": int, "number": int | float}
        assert isinstance(value, kinds[schema["type"]]), where
        assert schema["type"] == "boolean" or not isinstance(value, bool), where
    else:
        assert not set(schema) - {"title", "description", "default"}, (where, schema)


def _fits(value: Any, schema: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    try:
        _conforms(value, schema, known, "")
    except AssertionError:
        return False
    return True
