"""The SQL console: written, completed, asked, called off, read as a table and a chart, taken along, saved and found again."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Page

import voxledger
from tests.dashboards.pages.browser import Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.dashboards.pages.sql import EXAMPLES

_MANY = (
    "SELECT i AS n, 'row ' || i AS name, CASE WHEN i % 7 = 0 THEN NULL ELSE i / 2 END AS half, 9007199254740993 + i AS big,\n"
    " TIMESTAMPTZ '2026-11-26 12:00:00+00' + to_seconds(i) AS at FROM range(20000) t(i)"
)


def _console(visit: Visit, query: str = "", more: str = "") -> Page:
    """The page with a query in it, which nobody has asked yet."""
    page = visit.go(f"/sql?q={quote(query)}{more}" if query else "/sql")
    expect(page.locator(".cm-content")).to_be_visible()
    expect(page.locator(".relation").first).to_be_visible()
    return page


def _accept(page: Page, key: str) -> None:
    """Take what is offered; the editor takes no key for that in the first 75 ms, which is meant for the text still."""
    page.wait_for_timeout(100)
    page.keyboard.press(key)


def _run(page: Page) -> None:
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".grid-cell").first).to_be_visible(timeout=PATIENCE * 1000)
    expect(page.locator("[data-act=cancel]")).to_be_hidden()


def test_a_question_is_asked_and_answered(visit: Visit) -> None:
    page = _console(visit)
    expect(page.locator("[data-example]")).to_have_count(len(EXAMPLES))
    accessible(page)
    page.locator("[data-example]").first.click()
    page.keyboard.press("Control+Enter")
    expect(page.locator(".grid-cell", has_text="happy")).to_be_visible()
    expect(page.locator(".answer-said")).to_have_text("9 rows")
    expect(page.locator("[data-age]")).to_have_text("Snapshot is up to date")
    expect(page.locator(".stand-limits")).to_contain_text("100,000 rows · 64.0 MB · 15 s · 1.0 GB")
    assert "q=SELECT%20emotion" in page.url
    assert page.evaluate("document.querySelectorAll('style').length") == 0
    assert page.evaluate("document.adoptedStyleSheets.length") > 0
    accessible(page)
    page.emulate_media(color_scheme="dark")
    page.locator(".grid").press("ArrowDown")
    accessible(page)


def test_what_is_written_is_completed_and_the_keyboard_leaves_the_editor(visit: Visit) -> None:
    page = _console(visit)
    offered = page.locator(".cm-tooltip-autocomplete")
    page.keyboard.type("SELECT x FROM gener")
    expect(offered).to_contain_text("generations")
    _accept(page, "Enter")
    page.keyboard.type(" g, clips WHERE g.outc")
    expect(offered.locator("li").first).to_have_text("outcomevarchar")
    expect(page.locator(".cm-completionInfo")).to_contain_text("completed, failed, cancelled or reused")
    _accept(page, "Tab")
    page.keyboard.type(" = 'x' AND emotion_str")
    expect(offered).to_contain_text("emotion_strength")
    _accept(page, "Tab")
    page.keyboard.type(" > list_conta")
    expect(offered).to_contain_text("list_contains")
    _accept(page, "Tab")
    page.keyboard.type("1")
    text = page.evaluate("document.querySelector('.cm-content').innerText")
    assert text == "SELECT x FROM generations g, clips WHERE g.outcome = 'x' AND emotion_strength > list_contains(1)"
    page.keyboard.press("Escape")  # closes what may be offered for the last word
    expect(offered).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    page.wait_for_function("!document.activeElement.closest('.cm-editor')")


def test_an_error_stands_at_its_place(visit: Visit) -> None:
    page = _console(visit, "SELECT '🌊', nowhere\nFROM clips")
    page.get_by_role("button", name="Run", exact=True).click()
    fault = page.locator(".trouble [role=alert]")
    expect(fault).to_contain_text('Referenced column "nowhere" not found')
    expect(fault).to_contain_text("docs/sql.md lists the relations")
    expect(page.locator(".cm-wrong")).to_have_text("nowhere")
    accessible(page)
    fault.get_by_role("button", name="Line 1, column 14").click()
    page.keyboard.type("--")
    expect(fault).to_be_hidden()
    expect(page.locator(".cm-wrong")).to_have_count(0)


def test_only_what_is_selected_is_asked(visit: Visit) -> None:
    page = _console(visit, "SELECT broken FROM nowhere;\nSELECT 42 AS answer")
    page.locator(".cm-content").click()
    page.keyboard.press("Control+End")
    page.keyboard.press("Shift+Home")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".grid-cell")).to_have_text("42")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Enter")
    expect(page.locator(".trouble")).to_contain_text("exactly one SELECT")


def test_a_query_is_called_off(visit: Visit) -> None:
    page = _console(visit, "SELECT sum(hash(a.range + b.range)) FROM range(1000000) a, range(1000000) b")
    for _ in range(3):  # more than may run at a time: each one that was called off has made room
        page.get_by_role("button", name="Run", exact=True).click()
        page.get_by_role("button", name="Cancel", exact=True).click()
        expect(page.locator("[data-took]")).to_contain_text("Cancelled after")
    page.locator("[data-act=new]").click()
    page.keyboard.type("SELECT 1 AS n")
    _run(page)


def test_thousands_of_rows_are_read_sorted_and_copied(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.sign_in()
        page = _console(visit, _MANY)
        _run(page)
        grid = page.locator(".grid")
        expect(page.locator(".answer-said")).to_have_text("The first 10,000 rows; a download has more")
        expect(grid).to_have_attribute("aria-rowcount", "10001")
        expect(page.locator("#cell-0-2")).to_have_text("NULL")
        expect(page.locator("#cell-1-3")).to_have_text("9007199254740994")  # beyond what JavaScript counts exactly
        expect(page.locator("#cell-0-4")).to_have_text("2026-11-26 12:00:00")
        page.get_by_role("button", name="Times in UTC").click()
        expect(page.locator("#cell-0-4")).to_have_text("2026-11-26 13:00:00")
        grid.press("Control+End")
        expect(page.locator("#cell-9999-0")).to_have_text("9999")
        assert page.locator(".grid-row").count() < 80
        page.locator(".grid-name button").first.click()
        expect(page.locator(".grid-name").first).to_have_attribute("aria-sort", "descending")
        expect(page.locator("#cell-0-0")).to_have_text("9999")
        grid.press("Control+Home")
        grid.press("ArrowRight")
        grid.press("Control+c")
        assert page.evaluate("navigator.clipboard.readText()") == "row 9999"
        grid.press("Control+Shift+C")
        copied = page.evaluate("navigator.clipboard.readText()").split("\t")
        assert copied[:4] == ["9999", "row 9999", "4999.5", "9007199254750992"]
        page.locator(".fetch summary").click()
        page.get_by_role("button", name="Copy the table for a spreadsheet").click()
        expect(page.locator(".toast").last).to_contain_text("Copied")
        assert page.evaluate("navigator.clipboard.readText().then((text) => text.split('\\n').length)") == 10_001
        visit.check()


def test_whole_numbers_beyond_2_53_stay_exact_and_are_sorted_so(visit: Visit) -> None:
    page = _console(
        visit,
        "SELECT unnest([9007199254740994, 9007199254740993, 9007199254740992])::BIGINT AS big, {'a': 9007199254740993} AS s,\n"
        " MAP {'k': [9007199254740993]} AS m, 'a\",9007199254740993,\\' AS t, 12345678901234567890.5::DECIMAL(38, 1) AS d",
    )
    _run(page)
    expect(page.locator("#cell-0-1")).to_contain_text("9007199254740993")
    expect(page.locator("#cell-0-2")).to_contain_text("9007199254740993")
    expect(page.locator("#cell-0-3")).to_have_text('a",9007199254740993,\\')
    expect(page.locator("#cell-0-4")).to_contain_text("12345678901234567")
    heads = page.locator(".grid-name button")
    heads.first.click()  # downwards
    heads.first.click()
    expect(page.locator(".grid-name").first).to_have_attribute("aria-sort", "ascending")
    for row, told in enumerate(("9007199254740992", "9007199254740993", "9007199254740994")):
        expect(page.locator(f"#cell-{row}-0")).to_have_text(told)


def test_the_chart_is_guessed_and_can_be_changed(visit: Visit) -> None:
    page = _console(visit, "SELECT emotion, language, count(*) AS clips FROM clips GROUP BY ALL")
    _run(page)
    page.get_by_role("button", name="Chart", exact=True).click()
    room = page.locator(".answer-chart")
    expect(room.locator(".chart-drawn[data-drawn]")).to_be_visible()
    expect(room.get_by_role("button", name="Heat map")).to_have_attribute("aria-pressed", "true")
    room.get_by_role("button", name="Bars").click()
    room.get_by_label("Along").select_option(label="language")
    room.get_by_label("Colour").select_option(label="emotion")
    expect(room.locator(".chart-keys li")).to_have_count(9)
    room.get_by_role("button", name="Points").click()
    room.get_by_role("button", name="Line", exact=True).click()
    expect(room.locator(".chart-canvas svg")).to_be_visible()
    accessible(page)
    page.get_by_role("button", name="Table", exact=True).click()
    expect(page.locator(".grid")).to_be_visible()


def test_parameters_are_fields_and_nothing_runs_by_itself(visit: Visit) -> None:
    query = "SELECT count(*) AS n FROM clips WHERE language = $language AND take = $take AND '$no' <> 'x' -- $neither"
    page = _console(visit, query, "&param=language%3Den")
    expect(page.get_by_label("$language")).to_have_value("en")
    expect(page.locator(".given-one")).to_have_count(2)
    expect(page.locator("[data-answer]")).to_be_hidden()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_label("$take")).to_be_focused()
    expect(page.get_by_label("$take")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("$take").fill("1")
    page.get_by_label("$take").press("Enter")
    expect(page.locator(".grid-cell")).to_have_text("25")
    assert "param=take%3D1" in page.url


def test_a_query_is_saved_found_renamed_deleted_and_brought_back(visit: Visit, tokens: Callable[..., str]) -> None:
    with visit.node.client(tokens("analyst", name="eve")) as eve:
        assert eve.put("/api/queries/hers", json={"query": f"-- {XSS[1]}\nSELECT 7 AS seven"}).is_success
    page = _console(visit, "SELECT 5 AS five")
    page.get_by_role("button", name="Save", exact=True).click()
    page.locator("#save-name").fill("hers")
    page.locator("#save-query").get_by_role("button", name="Save").click()
    expect(page.locator("[data-save-error]")).to_contain_text("There is a query of this name (by eve)")
    page.locator("#save-name").fill("fives")
    page.get_by_label("What it answers").fill("How many five is")
    accessible(page)
    page.locator("#save-query").get_by_role("button", name="Save").click()
    expect(page.locator("[data-title]")).to_have_text("fives")
    assert page.url.endswith("/sql?saved=fives")
    expect(page.locator(".cm-line").first).to_have_text("-- How many five is")

    page.get_by_role("tab", name="Saved").click()
    hers = page.locator(".kept", has_text="hers")
    expect(hers).to_contain_text(XSS[1])
    expect(hers).to_contain_text("by eve")
    page.get_by_role("button", name="Rename: fives").click()
    page.locator("#rename-name").fill("hers")
    page.locator("#rename-query").get_by_role("button", name="Rename").click()
    expect(page.locator("[data-rename-error]")).to_contain_text("there is a saved query hers already")
    page.locator("#rename-name").fill("high-fives")
    page.locator("#rename-query").get_by_role("button", name="Rename").click()
    expect(page.locator("[data-title]")).to_have_text("high-fives")
    accessible(page)
    page.get_by_role("button", name="Delete: high-fives").click()
    expect(page.locator(".kept", has_text="fives")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".kept", has_text="high-fives")).to_have_count(1)

    page = visit.go("/sql?saved=high-fives")
    expect(page.locator("[data-title]")).to_have_text("high-fives")
    expect(page.locator("[data-answer]")).to_be_hidden()
    _run(page)
    expect(page.locator(".grid-cell")).to_have_text("5")
    page = visit.go("/sql?saved=gone")
    expect(page.locator(".fault")).to_contain_text("there is no saved query of this name")


def test_what_was_asked_is_remembered_here_and_can_be_forgotten(visit: Visit) -> None:
    page = _console(visit, "SELECT 11 AS eleven")
    _run(page)
    page.get_by_role("tab", name="History").click()
    expect(page.locator("[data-history] .kept")).to_contain_text("1 row")
    page.locator(".cm-content").click()
    page.keyboard.type(" -- and a draft")
    page.goto(f"{visit.node.url}/")
    page = visit.go("/sql")
    expect(page.locator(".cm-content")).to_contain_text("and a draft")
    page.get_by_role("tab", name="History").click()
    page.locator("[data-history] button").first.click()
    expect(page.locator(".cm-content")).to_have_text("SELECT 11 AS eleven")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("[data-history]")).to_contain_text("What you run here is remembered here.")
    kept = page.evaluate(
        "Object.entries(localStorage).filter(([name]) => name.startsWith('vox.sql.history')).map(([, value]) => value)"
    )
    assert kept == []


def test_the_whole_answer_is_taken_along(visit: Visit, tmp_path: Path) -> None:
    page = _console(visit, "SELECT range AS n, '<b>' AS name FROM range(100001)")
    _run(page)
    for button, name in (("CSV", "answer.csv"), ("Parquet", "answer.parquet")):
        page.locator(".fetch summary").click()
        with page.expect_download() as waiting:
            page.get_by_role("button", name=button, exact=True).click()
        assert waiting.value.suggested_filename == name
        waiting.value.save_as(tmp_path / name)
        expect(page.locator(".toast").last).to_contain_text("The file ends after 100,000 rows")
    sheet = list(csv.reader(io.StringIO((tmp_path / "answer.csv").read_text())))
    assert (len(sheet), sheet[0], sheet[-1]) == (100_001, ["n", "name"], ["99999", "<b>"])
    assert pq.read_metadata(tmp_path / "answer.parquet").num_rows == 100_000


def test_nothing_in_an_answer_is_more_than_text(visit: Visit) -> None:
    name = XSS[1].replace('"', '""')
    page = _console(visit, f"SELECT id, name AS \"{name}\", tags, text FROM clips WHERE actor = 'mallory' ORDER BY id")
    _run(page)
    expect(page.locator(".grid-name").nth(1)).to_contain_text(XSS[1])
    for row, nasty in enumerate(XSS):
        expect(page.locator(f"#cell-{row}-1")).to_have_text(nasty)
    page.locator(".grid").press("End")  # columns beyond the edge are not in the page either
    for row, nasty in enumerate(XSS):
        expect(page.locator(f"#cell-{row}-3")).to_have_text(f"{nasty} {row}")
    page.locator(".grid").press("Home")
    clip = page.locator("#cell-0-0").inner_text()
    expect(page.locator("#cell-0-0 a")).to_have_attribute("href", f"/clips/{clip}")
    page.locator("#cell-1-1").click()
    expect(page.locator(".cell-value")).to_have_text(XSS[1])
    page = _console(visit, f"SELECT '{XSS[0]}' FROM \"{name}\"")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator(".trouble")).to_contain_text("onerror")


def test_the_schema_is_found_and_written_into_the_query(visit: Visit) -> None:
    page = _console(visit)
    page.get_by_label("Find a relation or column").fill("loudness")
    expect(page.locator(".relation:visible")).to_have_count(2)
    found = page.locator(".column", has_text="loudness_lufs").first
    expect(found).to_contain_text("Integrated loudness (ITU-R BS.1770-4), LUFS.")
    expect(found).to_contain_text("double")
    found.click()
    expect(page.locator(".cm-content")).to_have_text("loudness_lufs")
    page.get_by_label("Find a relation or column").fill("nowhere at all")
    expect(page.locator("[data-schema]")).to_contain_text("Nothing is called so.")


def test_an_old_snapshot_is_renewed(visit: Visit) -> None:
    page = _console(visit, "SELECT count(*) AS n FROM clips WHERE take = 99")
    _run(page)
    expect(page.locator(".grid-cell")).to_have_text("0")
    with visit.node.client() as owner:
        made = owner.post("/api/clips", json={"text": "Later than the snapshot.", "take": 99, "engine": "espeak"})
        assert made.is_success, made.text
    renew = page.get_by_role("button", name="Refresh")
    expect(renew).to_be_visible(timeout=PATIENCE * 1000)
    expect(page.locator("[data-age]")).to_contain_text("old")
    renew.click()
    expect(page.locator("[data-age]")).to_have_text("Snapshot is up to date")
    _run(page)
    expect(page.locator(".grid-cell")).to_have_text("1")


@pytest.mark.parametrize(
    ("role", "scope", "told"),
    [("viewer", "all", "one of these roles"), ("creator", "own", "one of these roles"), ("analyst", "own", "only your own")],
)  # fmt: skip
def test_who_may_not_ask_is_told_who_can(
    node: RunningNode, tokens: Callable[..., str], role: str, scope: str, told: str
) -> None:
    with node.client(tokens(role, scope=scope, name="eve")) as client:
        answer = client.get("/sql", headers={"Accept": "text/html"})
        assert answer.status_code == 403
        assert told in answer.text
        assert 'href="/sql"' not in answer.text


def test_every_example_is_answered(node: RunningNode) -> None:
    given = {"emotion": "happy", "language": "en"}
    with node.client() as client:
        for example in EXAMPLES:
            params = {name: value for name, value in given.items() if f"${name}" in example.query}
            answer = client.post("/api/sql", json={"query": example.query, "params": params})
            assert answer.is_success, f"{example.question}: {answer.text}"


@pytest.fixture(scope="module")
def off(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("off") / "home"
    with voxledger.open(home):
        pass
    with running_node(home, store_close_wait=0, sql_enabled=False) as running:
        yield running


def test_a_node_without_the_service_says_why(off: RunningNode) -> None:
    with off.client() as client:
        page = client.get("/sql", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "the SQL service is switched off (sql.enabled)" in page.text
