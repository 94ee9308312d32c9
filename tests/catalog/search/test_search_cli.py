"""The command `search`, as people and machines see it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cyclopts import App, Parameter

from tests.building import Parts
from voxledger.catalog import terminal
from voxledger.catalog.commands.search import Commands
from voxledger.catalog.errors import QueryError, SearchError
from voxledger.catalog.search import SearchIndex, pages
from voxledger.catalog.settings import load

Run = Callable[..., str]


@pytest.fixture
def run(parts: Parts, index: SearchIndex, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command and gives what it printed."""
    monkeypatch.setattr(terminal.console, "_width", 100)

    @contextmanager
    def opened(**options: Any) -> Iterator[Any]:
        yield SimpleNamespace(search=index, loaded=load(parts.home.path))

    app = App(name="voxledger", default_parameter=Parameter(negative=()), result_action="return_value")
    Commands(opened).add_to(app)

    def run_it(*arguments: str) -> str:
        app(["search", *arguments])
        return capsys.readouterr().out

    return run_it


def test_hits_are_listed_with_what_people_look_for(parts: Parts, run: Run) -> None:
    clip = parts.clip(text="我们精心制作准备的纪念品", name="harbour", language="zh", tags=("on air",))
    shown = run("纪念", "air")
    for expected in (clip[-8:], "harbour", "zh", "happy", "我们精心制作准备的纪念品", "#on air", "local", "1 match"):
        assert expected in shown


def test_markup_in_a_text_is_shown_not_obeyed(parts: Parts, run: Run) -> None:
    parts.clip(text="[red]tide[/red] \x1b[31m", name="[bold]x")
    shown = run("tide")
    assert "[red]tide[/red]" in shown
    assert "[bold]x" in shown
    assert "\x1b[31m" not in shown


def test_the_order_is_said(parts: Parts, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(4):
        parts.clip()
    assert "4 matches, the best first" in run("tide")
    assert "4 matches, the newest first" in run("tide", "--newest")
    monkeypatch.setattr(pages, "MOST", 3)
    assert "more than 50,000 match: the newest first" in run("tide")


def test_a_page_leads_to_the_next(parts: Parts, run: Run) -> None:
    clips = [parts.clip() for _ in range(3)]
    first = run("tide", "--newest", "--limit", "2")
    token = first.split("--after ")[1].strip()
    assert clips[0][-8:] in run("tide", "--newest", "--after", token)


def test_nothing_found_comes_with_a_hint(parts: Parts, run: Run) -> None:
    parts.clip()
    assert "No clip matches 'calm'" in run("calm")
    assert "without --emotion and --since" in run("tide", "--emotion", "sad", "--since", "7d")


def test_json_is_one_document_with_places(parts: Parts, run: Run) -> None:
    clip = parts.clip(text="The tide", name="harbour")
    told = json.loads(run("tide", "--json"))
    assert (told["matches"], told["more"], told["ranked"], told["next"], told["waiting"]) == (1, False, True, None, 0)
    (hit,) = told["hits"]
    assert (hit["clip"], hit["name"], hit["state"]) == (clip, "harbour", "local")
    (snippet,) = [part for part in hit["snippets"] if part["field"] == "text"]
    start, end = snippet["ranges"][0]
    assert snippet["text"][start:end] == "tide"
    assert json.loads(run("calm", "--json"))["hits"] == []


def test_since_is_a_span_or_a_day(parts: Parts, run: Run) -> None:
    old = parts.clip(time=datetime.now(UTC) - timedelta(days=400))
    new = parts.clip()
    for since in ("7d", "1d12h", (datetime.now(UTC) - timedelta(days=30)).strftime("%Y-%m-%d")):
        shown = run("tide", "--since", since)
        assert new[-8:] in shown
        assert old[-8:] not in shown
    assert old[-8:] in run("tide", "--since", "0001-01-01T00:00:00")
    for wrong in ("soon", "2026-13-01", "99999999999999d"):
        with pytest.raises(QueryError, match=r"--since .* is no moment"):
            run("tide", "--since", wrong)


def test_words_may_begin_with_a_hyphen(parts: Parts, run: Run) -> None:
    parts.clip(name="-x-ray")
    assert "1 match" in run("-x-ray")


@pytest.mark.parametrize("query", [(), ("",), ("...",), ("x" * 10_000,)])
def test_a_query_that_cannot_be_is_one_clear_error(run: Run, query: tuple[str, ...]) -> None:
    with pytest.raises(SearchError):
        run(*query)
