"""Usage: the metrics as charts with their numbers, SQL and files, for those who may see them, in colours that follow the theme."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import RunningNode
from voxledger.analytics.metrics import DIMENSIONS, METRICS
from voxledger.dashboards.pages.chart import Chart, Column, axis, pivoted
from voxledger.dashboards.pages.usage import CHARTS
from voxledger.dashboards.pages.usage.links import Links
from voxledger.dashboards.pages.usage.question import FIGURES, WAYS, Question

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)


def _drawn(page: Page) -> None:
    """Until every chart is there."""
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator("[data-chart]:not([data-drawn])")).to_have_count(0)


def test_every_chart_answers_a_question_and_can_be_checked(visit: Visit) -> None:
    page = visit.go("/usage?by=actor")
    _drawn(page)
    expect(page.locator(".figures li.chosen")).to_contain_text("62")
    charts = page.locator("figure.chart")
    expect(charts).to_have_count(len(CHARTS))
    titles = page.locator("figure.chart h2").all_inner_texts()
    assert all(title.endswith("?") for title in titles), titles
    expect(page.locator("#by_group .chart-canvas")).to_contain_text("mallory")
    assert page.locator("#river .chart-keys li").count() > 3
    accessible(page)
    before = page.evaluate(
        "document.querySelector('#over_time .chart-canvas path[fill]:not([fill=transparent])').getAttribute('fill')"
    )
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "was => document.querySelector('#over_time .chart-canvas path[fill]:not([fill=transparent])')?.getAttribute('fill') !== was",
        arg=before,
    )
    _drawn(page)
    accessible(page, only=COLOURS)
    assert page.locator(".chart-drawn [style*=expression], main [onclick]").count() == 0


def test_the_numbers_are_a_table_sql_and_files(visit: Visit) -> None:
    page = visit.go("/usage?by=actor")
    _drawn(page)
    chart = page.locator("#by_group")
    chart.get_by_role("button", name="Table").click()
    row = chart.locator("tbody tr", has_text="mallory")
    expect(row.locator("td").first).to_have_text("6")
    chart.get_by_text("SQL", exact=True).click()
    sql = chart.locator("pre code").inner_text()
    with visit.node.client() as client:
        answer = client.post("/api/sql", json={"query": sql})
        assert answer.is_success, answer.text
        assert ["mallory", 6] in answer.json()["rows"]
        lines = list(csv.DictReader(io.StringIO(client.get("/usage/by_group.csv?by=actor").text)))
        assert {"group": "mallory", "clips": "6"}.items() <= next(
            line for line in lines if line["group"] == "mallory"
        ).items()
        assert client.get("/usage/river.json").json()[0].keys() == {"stretch", "emotion", "share", "clips"}
    expect(chart.get_by_role("link", name="CSV")).to_have_attribute("href", "/usage/by_group.csv?by=actor")


def test_names_are_shown_as_they_are(visit: Visit) -> None:
    with visit.node.client() as client:
        for number in range(8):
            for nasty in XSS[:3]:
                asked = {"text": f"{number} {nasty}", "actor": nasty, "engine": "espeak", "take": 5}
                assert client.post("/api/clips", json=asked).is_success
        drained = client.post("/api/sql", json={"query": "SELECT count(*) FROM clips"})  # the page takes what is there
        assert drained.is_success
    page = visit.go("/usage?by=actor&split=yes")
    _drawn(page)
    page.locator("#by_group").get_by_role("button", name="Table").click()
    for nasty in XSS[:3]:
        expect(page.locator("#by_group .chart-table th", has_text=nasty)).to_have_count(1)
    expect(page.locator("#by_group figcaption")).to_contain_text("All others come to")
    bar = page.locator("#over_time .mark-rect path").last
    bar.hover()
    expect(page.locator("#over_time .chart-tip")).to_be_visible()


def test_the_address_holds_what_is_asked(visit: Visit) -> None:
    page = visit.go("/usage")
    _drawn(page)
    page.get_by_role("link", name=re.compile("Audio made")).click()
    page.wait_for_url("**/usage?metric=audio_us")
    _drawn(page)
    expect(page.locator("#over_time h2")).to_have_text("How much audio is made?")
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**/usage?range=7d&metric=audio_us")
    page.get_by_label("Told by").select_option("language")
    page.wait_for_url(re.compile("by=language"))
    _drawn(page)
    expect(page.locator("#by_group h2")).to_have_text("Which languages are spoken?")
    today = page.locator("#to").input_value()
    page.locator("#from").fill((date.fromisoformat(today) - timedelta(days=100)).isoformat())
    page.wait_for_url(re.compile("from="))
    expect(page.locator(".segments a[aria-current]", has_text="days")).to_have_count(0)


def test_a_click_on_a_mark_shows_its_clips(visit: Visit) -> None:
    page = visit.go("/usage?by=language")
    _drawn(page)
    page.locator("#by_group .hover_marks path").first.click()
    page.wait_for_url(re.compile(r"/library\?language="))
    (language,) = parse_qs(urlsplit(page.url).query)["language"]
    expect(page.locator("[data-filter=language] summary")).to_contain_text(f"Language: {language}")
    clips = page.locator("#results .clip")
    spoken = clips.filter(has=page.locator(".by span", has_text=re.compile(rf"^{language}\b")))
    assert spoken.count() == clips.count() > 0


def test_a_chart_alone_can_be_read_without_scripts(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, java_script_enabled=True) as visit:
        visit.sign_in()
        state = visit.page.context.storage_state()
    with visiting(browser, node, java_script_enabled=False, storage_state=state) as visit:
        page = visit.go("/usage/by_group?by=actor")
        expect(page.locator(".chart-table")).to_be_visible()
        expect(page.locator(".chart-table")).to_contain_text("mallory")
        visit.check()


def _get(node: RunningNode, path: str, token: str | None = None) -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html"})


def test_who_may_not_see_usage_is_told_why(node: RunningNode, tokens: Callable[..., str]) -> None:
    refused = _get(node, "/usage", tokens("creator", name="maren"))
    assert refused.status_code == 403
    assert "usage" in refused.text
    assert "mallory" not in refused.text
    assert _get(node, "/usage/by_group.csv", tokens("creator", name="maren")).status_code == 403
    viewer = tokens("viewer")
    assert _get(node, "/usage", viewer).status_code == 200
    assert "/sql?" not in _get(node, "/usage/river", viewer).text  # a viewer asks no SQL


def test_what_is_no_chart_is_told(node: RunningNode) -> None:
    assert _get(node, "/usage/nothing").status_code == 404
    assert _get(node, "/usage/river.xls").status_code in (404, 422)


@pytest.mark.parametrize("by", WAYS)
def test_every_figure_can_be_told_by_everything(node: RunningNode, by: str) -> None:
    with node.client() as client:
        for metric in FIGURES:
            for name in ("over_time", "by_group"):
                for split in ("", "&split=yes"):
                    answer = client.get(f"/usage/{name}?by={by}&metric={metric}{split}", headers={"HX-Request": "true"})
                    assert answer.status_code == 200, answer.text
                    assert 'role="alert"' not in answer.text
    assert by in DIMENSIONS


def test_days_that_make_no_sense_are_what_is_usual() -> None:
    def of(**given: str) -> Question:
        return Question.of(given, "Europe/Berlin", now=NOW)

    usual = of()
    assert (usual.first, usual.last, usual.every) == (date(2026, 10, 29), date(2026, 11, 27), "day")
    assert of(range="never", metric="x", by="y") == usual
    swapped = of(**{"from": "2026-11-20", "to": "2026-11-10"})
    assert (swapped.first, swapped.last, swapped.preset) == (date(2026, 11, 10), date(2026, 11, 20), "")
    assert of(**{"from": "2999-01-01"}).last == date(2026, 11, 27)
    assert of(**{"from": "0001-01-01"}).every == "month"
    assert of(range="1y").every == "week"
    assert Question.of(
        {name: values[0] for name, values in parse_qs(urlsplit(swapped.address(metric="audio_us")).query).items()}, "Europe/Berlin", now=NOW
    ).metric == "audio_us"  # fmt: skip


def test_a_period_that_runs_is_compared_with_as_much_of_the_one_before() -> None:
    span = Question.of({"range": "7d"}, "UTC", now=NOW).span(NOW)
    assert NOW - span.start == span.before_stop - span.before
    past = Question.of({"from": "2026-11-01", "to": "2026-11-10"}, "UTC", now=NOW).span(NOW)
    assert past.before_stop == past.start


def test_a_mark_leads_to_the_clips_that_it_stands_for() -> None:
    question = Question.of({"range": "7d"}, "Europe/Berlin", now=NOW)
    links = Links(question, lambda path: path)
    query = parse_qs(urlsplit(links.clips({"voice": "o'hara", "engine": "x&y"}, date(2026, 11, 24)) or "").query)
    assert query == {"voice": ["o'hara"], "engine": ["x&y"], "since": ["2026-11-24"], "until": ["2026-11-24"]}
    assert "voice=-&" in (links.clips({"voice": ""}) or "")  # the engine's own
    assert links.clips({"format": "wav"}) is None  # the library has no such filter
    assert links.clips({"voice": None}) is None
    assert Links(question, lambda _: None).clips({}) is None


def test_a_drawing_ends_no_attribute_and_no_tag() -> None:
    nasty = "'\"><script>&lt;"
    rows = [{"group": nasty, "clips": 1}, {"group": "b", "clips": 2}]
    columns = [Column(name="group", title="Group", kind="text"), Column(name="clips", title="Clips", kind="count")]
    drawing = Chart(name="a", title="A?", says="", spec={}, columns=columns, rows=rows).drawing
    assert not set("'<>&") & set(drawing)
    found, lines = pivoted(
        rows, at=columns[0], over="group", value="clips", groups={nasty: "N", "b": "B"}, kind="count"
    )
    assert [column.title for column in found] == ["Group", "N", "B"]
    assert lines[1] == {"group": "b", "of b": 2}


def test_lengths_of_time_are_marked_at_whole_units() -> None:
    assert axis("us", 3.5 * 3.6e9)["values"] == [0, 3.6e9, 2 * 3.6e9, 3 * 3.6e9, 4 * 3.6e9]
    assert "values" not in axis("count", 7)


def test_one_scan_tells_all_figures() -> None:
    assert {METRICS[name].source for name in FIGURES} == {"generations"}
