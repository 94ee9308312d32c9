"""The library: found by words and filters, heard while one goes on, judged one by one and together, and taken away."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route

import voxledger
from tests.building import completed
from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import RunningNode, running_node
from voxledger.catalog.events import new_id
from voxledger.dashboards.api.listing import Listed
from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.library import selection
from voxledger.dashboards.pages.library.archive import file_name
from voxledger.dashboards.pages.library.shelf import begun
from voxledger.dashboards.pages.library.wanted import Wanted

ROWS = "#results .clip"


def _rows(page: Page) -> Any:
    return page.locator(ROWS)


def test_words_and_filters_answer_at_once_and_stand_in_the_address(visit: Visit) -> None:
    page = visit.go("/library")
    expect(page.locator("#library-count")).to_contain_text("62")
    for nasty in XSS:
        expect(page.locator(".clip-name a", has_text=nasty).first).to_be_visible()
    accessible(page)
    page.keyboard.press("/")
    page.keyboard.type("capt")
    expect(_rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"/library\?q=capt$"))
    expect(page).to_have_title(re.compile("Library"))
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(page.locator("#library-count")).to_contain_text("62")
    page.locator("[data-filter=emotion] summary").click()
    accessible(page)
    page.get_by_label(re.compile("^happy")).check()
    expect(page.locator("[data-filter=emotion] summary")).to_contain_text("Emotion: happy")
    expect(page).to_have_url(re.compile(r"emotion=happy"))
    happy = _rows(page).count()
    assert 0 < happy < 50
    page.get_by_label(re.compile("^sad")).check()
    expect(page).to_have_url(re.compile(r"emotion=happy&emotion=sad"))
    expect(page.locator("#results .emotion", has_text="sad").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-filter=emotion]")).not_to_have_attribute("open", "")
    page.reload()
    expect(page.locator("[data-filter=emotion] summary")).to_contain_text("+1")
    assert _rows(page).count() > happy
    page.get_by_role("link", name="Clear filters").click()
    expect(page).to_have_url(re.compile(r"/library$"))
    page.locator("#library-order").select_option("duration")
    expect(page).to_have_url(re.compile(r"order=duration"))
    lengths = page.locator(".clip-length").all_text_contents()
    assert lengths[:40] == sorted(lengths[:40])


def test_the_next_page_comes_by_itself_and_the_view_is_remembered(visit: Visit) -> None:
    page = visit.go("/library")
    expect(_rows(page)).to_have_count(50)
    ids = page.eval_on_selector_all(ROWS, "rows => rows.map((row) => row.dataset.clip)")
    page.evaluate("document.querySelectorAll('#results [data-play]')[49].click()")  # hears on beyond what was there
    expect(_rows(page)).to_have_count(62)
    page.evaluate("voxPlayer.pause()")
    assert page.evaluate("voxPlayer.step(1) && voxPlayer.clip.id") not in ids
    ids = page.eval_on_selector_all(ROWS, "rows => rows.map((row) => row.dataset.clip)")
    assert len(set(ids)) == 62
    waves = sum("waveform" in path for path in visit.asked)
    page.get_by_title("Grid").click()
    expect(page.locator("#results .clips")).to_have_class(re.compile("grid"))
    expect(_rows(page)).to_have_count(62)
    page.evaluate("scrollTo(0, 0)")  # what a bar covers while it passes is no target
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, only=COLOURS)
    visit.go("/library")
    expect(page.locator("#results .clips")).to_have_class(re.compile("grid"))
    assert sum("waveform" in path for path in visit.asked) >= waves > 0
    _rows(page).nth(49).scroll_into_view_if_needed()
    expect(_rows(page)).to_have_count(62)


_TOP = "row => Math.round(row.getBoundingClientRect().top)"


def _opened(page: Page, number: int) -> tuple[str, int]:
    """Opens a clip of the list that is shown; gives its id, and how far from the top of the window it was."""
    row = _rows(page).nth(number)
    row.evaluate("row => scrollBy(0, row.getBoundingClientRect().top - 300)")
    row.locator(".clip-name a").hover()  # it is in sight now, and stays there
    found, top = str(row.get_attribute("data-clip")), int(row.evaluate(_TOP))
    row.locator(".clip-name a").click()
    page.wait_for_url(re.compile("/clips/"))
    expect(page.locator("main.clip-page h1")).to_be_visible()
    return found, top


def _come_back_to(page: Page, clip: str, top: int) -> None:
    row = page.locator(f"#clip-{clip}")
    expect(row).to_be_focused()
    expect(row).to_be_in_viewport(ratio=1)
    # None stays cut off at the window's end. What is loaded late moves it for a moment.
    page.wait_for_function(
        """([clip, top]) => {
            const row = document.getElementById(`clip-${clip}`);
            return Math.abs(row.getBoundingClientRect().top - Math.min(top, innerHeight - row.offsetHeight)) <= 2;
        }""",
        arg=[clip, top],
    )
    expect(page.locator("main")).to_have_class("library")


def test_who_opened_a_clip_comes_back_to_it(visit: Visit) -> None:
    page = visit.go("/library")
    _rows(page).nth(49).scroll_into_view_if_needed()
    expect(_rows(page)).to_have_count(62)
    clip, top = _opened(page, 54)
    page.go_back()
    _come_back_to(page, clip, top)
    page.keyboard.press("j")
    expect(_rows(page).nth(55)).to_be_focused()
    page.get_by_title("Grid").click()
    clip, top = _opened(page, 52)
    page.reload()  # nothing of the list is in memory
    page.go_back()
    _come_back_to(page, clip, top)
    _opened(page, 51)
    visit.go("/sign-in")  # another document
    page.go_back()
    page.go_back()
    expect(_rows(page).nth(51)).to_be_focused()
    page.get_by_title("List", exact=True).click()
    page.locator(".rail-pages a[data-key=o]").click()
    page.locator(".rail-pages a[data-key=l]").click()
    expect(_rows(page)).to_have_count(50)  # who does not come back begins at the top
    assert page.evaluate("scrollY") == 0


def test_a_list_of_its_own_is_come_back_to_and_a_clip_leads_there(visit: Visit) -> None:
    page = visit.go("/library?order=duration&actor=maren&actor=haru&actor=mallory&view=rows")
    clip, top = _opened(page, 11)
    page.go_back()
    _come_back_to(page, clip, top)
    expect(page).to_have_url(re.compile("order=duration"))
    clip, top = _opened(page, 9)
    page.get_by_label("Where this is").get_by_role("link", name="Library").click()
    expect(page).to_have_url(re.compile("order=duration"))
    _come_back_to(page, clip, top)
    assert page.evaluate("sessionStorage.getItem('vox.library.places')")
    page.locator(".me summary").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url(re.compile("/sign-in"))
    assert page.evaluate("sessionStorage.getItem('vox.library.places')") is None


def test_who_goes_on_meanwhile_is_not_taken_anywhere(visit: Visit) -> None:
    page = visit.go("/library")
    _rows(page).nth(49).scroll_into_view_if_needed()
    expect(_rows(page)).to_have_count(62)
    clip, _ = _opened(page, 56)
    held: list[Route] = []
    page.route(re.compile(r"/library\?cursor="), lambda route: held.append(route))
    with page.expect_request(re.compile(r"/library\?cursor=")):
        page.go_back()
    page.mouse.move(700, 500)
    page.evaluate("addEventListener('wheel', () => { globalThis.turned = true; })")
    page.mouse.wheel(0, -300)
    page.wait_for_function("() => globalThis.turned && !document.querySelector('.clips.returning')")
    held[0].fallback()
    expect(_rows(page)).to_have_count(62)
    page.evaluate("new Promise((done) => setTimeout(done, 300))")  # it would have been taken there by now
    expect(page.locator(f"#clip-{clip}")).not_to_be_focused()
    assert page.evaluate("scrollY") < page.locator(f"#clip-{clip}").evaluate("row => row.offsetTop") - 600


def test_keys_go_through_the_list_play_rate_pin_and_open(visit: Visit) -> None:
    page = visit.go("/library?actor=haru")
    first, second = _rows(page).nth(0), _rows(page).nth(1)
    page.keyboard.press("j")
    expect(first).to_be_focused()
    page.keyboard.press("j")
    expect(second).to_be_focused()
    page.keyboard.press(" ")
    expect(page.locator("#player")).to_have_attribute("data-playing", "")
    with page.expect_response(re.compile("/rating$")):
        page.keyboard.press("4")
    expect(second.locator(".stars")).to_have_attribute("data-stars", "4")
    with page.expect_response(re.compile("/pin$")):
        page.keyboard.press("p")
    expect(second.locator("[data-pin]")).to_have_attribute("aria-pressed", "true")
    page.locator("[data-filter=rating] summary").click()
    page.get_by_label(re.compile("^4 and more")).check()
    expect(_rows(page)).to_have_count(1)
    expect(page.locator(".htmx-added, .htmx-settling")).to_have_count(0)  # from now on its links keep the player
    expect(page.locator("#player")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/clips/"))
    expect(page.locator("#player")).to_be_visible()


def test_many_clips_are_changed_together_and_it_can_be_undone(visit: Visit) -> None:
    page = visit.go("/library?emotion=happy")
    bar = page.locator("[data-bulk]")
    expect(bar).to_be_hidden()
    boxes = page.locator(".pick input")
    number = boxes.count()
    boxes.nth(0).click()
    boxes.nth(2).click(modifiers=["Shift"])
    expect(bar).to_contain_text("3 selected")
    accessible(page)
    bar.get_by_role("button", name="Tag", exact=True).click()
    page.get_by_label("Tags").first.fill("together, <b>twice")
    held: list[Route] = []  # the list as it is afterwards
    listed = re.compile(r"/library\?emotion=happy")
    page.route(listed, lambda route: route.fallback() if held else held.append(route))
    with page.expect_request(listed):
        page.get_by_role("button", name="Tag 3 clips").click()
    page.locator("[data-filter=engine] summary").click()  # another part of the page comes before the list does
    expect(page.get_by_label(re.compile("^espeak"))).to_be_visible()
    page.keyboard.press("Escape")
    held[0].fallback()
    expect(page.locator(".toast").last).to_contain_text("3 clips were changed")
    expect(page.locator(".tag", has_text="<b>twice")).to_have_count(3)
    expect(bar).to_contain_text("3 selected")
    page.locator(".toast").last.get_by_role("button", name="Undo").click()
    expect(page.locator(".tag", has_text="together")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(bar).to_be_hidden()
    page.locator(ROWS).nth(1).locator(".clip-when").click(modifiers=["Control"])
    expect(bar).to_contain_text("1 selected")
    page.locator(ROWS).nth(0).focus()
    page.keyboard.press("x")
    expect(bar).to_contain_text("2 selected")
    page.keyboard.press("5")
    expect(page.locator('#results .stars[data-stars="5"]')).to_have_count(2)
    expect(page.locator(".toast").last).to_contain_text("First ratings, which cannot be undone")
    page.keyboard.press("3")
    expect(page.locator('#results .stars[data-stars="3"]')).to_have_count(2)
    page.locator(".toast").last.get_by_role("button", name="Undo").click()
    expect(page.locator('#results .stars[data-stars="5"]')).to_have_count(2)
    expect(bar).to_contain_text("2 selected")
    bar.get_by_role("button", name="Hold").click()
    page.get_by_label("Reason").fill("the trailer is not out yet")
    page.get_by_role("button", name="Hold 2 clips").click()
    expect(page.locator(".toast").last).to_contain_text("Held: 2 clips")
    assert number > 3


def test_all_that_match_are_taken_after_their_number_was_confirmed(visit: Visit) -> None:
    page = visit.go("/library")
    page.locator(".pick input").first.click()
    page.get_by_role("button", name="Select all that match").click()
    expect(page.locator("[data-bulk]")).to_contain_text("62 selected")
    page.locator(ROWS).nth(1).focus()
    page.keyboard.press("4")
    expect(page.locator("#bulk-sure")).to_contain_text("Rate 62 clips with 4 of 5?")
    page.keyboard.press("Escape")
    assert not any("/change" in path for path in visit.asked)
    page.locator("[data-act=pin]").click()
    expect(page.locator("#bulk-sure")).to_contain_text("Pin 62 clips")
    page.locator("#bulk-sure [data-go]").click()
    expect(page.locator(".toast").last).to_contain_text(re.compile(r"6[12] clips were changed"))
    page.locator("[data-act=download]").click()
    with page.expect_download() as loading:
        page.locator("#bulk-sure [data-go]").click()
    with zipfile.ZipFile(loading.value.path()) as packed:
        names = packed.namelist()
        table = list(csv.DictReader(io.StringIO(packed.read("manifest.csv").decode("utf-8-sig"))))
        assert packed.testzip() is None
    assert len(names) == 63
    assert {row["file"] for row in table} == set(names) - {"manifest.csv"}
    for name in names:
        assert re.fullmatch(r'[^<>:"/\\|?*\x00-\x1f]+[^. ]', name), name
    assert not any(value.startswith("=") for row in table for value in row.values())


def _get(node: RunningNode, path: str, token: str | None = None, **headers: str) -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html", **headers})


def test_it_reads_without_scripts(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, java_script_enabled=False) as visit:
        visit.sign_in(path="/library")
        page = visit.page
        expect(_rows(page)).to_have_count(50)
        page.get_by_role("link", name="Next page").click()
        expect(_rows(page)).to_have_count(12)
        page.get_by_role("link", name="First page").click()
        page.locator("#library-q").fill("captain")
        page.keyboard.press("Enter")
        expect(_rows(page)).to_have_count(1)
        visit.check()


def test_on_a_phone_nothing_scrolls_sideways(browser: Browser, node: RunningNode) -> None:
    with visiting(browser, node, viewport={"width": 360, "height": 740}, locale="zh-CN", color_scheme="dark") as visit:
        visit.sign_in(path="/library")
        page = visit.page
        page.locator("[data-filters]").click()
        page.locator("[data-filter=voice] summary").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        accessible(page)
        visit.check()


def test_whoever_sees_only_the_own_clips_sees_and_counts_and_takes_no_others(
    node: RunningNode, tokens: Callable[..., str]
) -> None:
    own = tokens("creator", name="maren")
    for path in ("/library", "/library/choices?field=actor", "/library/choices?field=tag"):
        page = _get(node, path, own).text
        assert "mallory" not in page
        assert "voxXss" not in page
    for path in ("/library?q=voxXss", "/library?actor=mallory"):
        assert "No clip matches" in _get(node, path, own).text
    with node.client() as owner:
        theirs = owner.get("/api/clips", params={"actor": "mallory"}).json()["clips"][0]["id"]
        mine = owner.get("/api/clips", params={"actor": "maren"}).json()["clips"]
    before = datetime.now(UTC) + timedelta(hours=1)
    with node.client(own) as client:
        assert client.get("/library/all").json()["clips"] == len(mine)
        done = client.post("/library/change", json={"clips": [theirs], "tag": ["stolen"]}).json()
        assert (done["changed"], done["missing"]) == ([], 1)
        taken = client.post("/library/download", data={"asked": json.dumps({"all": "", "before": before.isoformat()})})
        with zipfile.ZipFile(io.BytesIO(taken.content)) as packed:
            assert len(packed.namelist()) == len(mine) + 1
        assert client.post("/library/hold", json={"clips": [theirs], "reason": "mine"}).status_code == 403


def test_an_archive_ends_when_nothing_more_may_be_sent_and_says_so(
    node: RunningNode, tokens: Callable[..., str]
) -> None:
    before = datetime.now(UTC) + timedelta(hours=1)
    asked = {"asked": json.dumps({"all": "", "before": before.isoformat()})}
    with node.client(tokens("viewer", name="eager", limits={"bytes": 1})) as client:
        taken = client.post("/library/download", data=asked)
        again = client.post("/library/download", data=asked, headers={"HX-Request": "true"})
    assert again.status_code == 429
    with zipfile.ZipFile(io.BytesIO(taken.content)) as packed:
        names = packed.namelist()
        assert packed.testzip() is None
        lines = list(csv.DictReader(io.StringIO(packed.read("manifest.csv").decode("utf-8-sig"))))
    assert len(names) == 2
    assert lines[0]["file"] == names[0]
    assert [line["problem"] for line in lines[1:]] == [
        "this and all further clips are missing: this token has used up its bytes of today"
    ]


def test_what_was_not_confirmed_is_not_done(node: RunningNode) -> None:
    with node.client() as client:
        found = client.get("/library/all?emotion=sad").json()
        asked = {"all": "emotion=sad", "before": found["before"], "confirmed": found["clips"] - 1, "tag": ["all"]}
        refused = client.post("/library/change", json=asked)
        assert refused.status_code == 409
        assert client.post("/library/change", json={**asked, "before": "2020-01-01T00:00:00Z"}).json()["changed"] == []
        done = client.post("/library/change", json={**asked, "confirmed": found["clips"]}).json()
        assert len(done["changed"]) == found["clips"]
        held = client.post(
            "/library/hold", json={**{k: v for k, v in asked.items() if k != "tag"}, "reason": "sad ones"}
        ).json()
        assert held["result"]["clips"] == found["clips"]
        assert client.post("/library/change", json={"tag": ["nobody"]}).status_code == 422


def test_an_undo_brings_back_what_each_clip_had_and_nothing_else(node: RunningNode) -> None:
    with node.client() as client, voxledger.open(node.home) as vox:
        one, two, three = (clip["id"] for clip in client.get("/api/clips?where=rating IS NULL&limit=3").json()["clips"])

        def are() -> list[Any]:
            ids = ", ".join(f"'{clip}'" for clip in (one, two, three))
            told = "SELECT tags, rating, pinned, pin_reason, pinned_until FROM clips"
            return vox.catalog.sql(f"{told} WHERE id IN ({ids}) ORDER BY id").rows()

        def done(**what: Any) -> tuple[list[str], int]:
            """Does it and undoes it: which clips were changed, and how many stay so."""
            was = are()
            told = client.post("/library/change", json={"clips": [one, two, three], **what}).json()
            assert (are() == was) == (not told["changed"])
            if told["back"]:
                back = client.post("/library/restore", json={"back": told["back"]})
                assert back.status_code == 200, back.text
            assert told["lasting"] or are() == was
            return told["changed"], told["lasting"]

        client.delete(f"/api/clips/{three}/pin")
        client.put(f"/api/clips/{one}/pin", json={"reason": "the trailer", "until": "2090-01-01T00:00:00Z"})
        client.put(f"/api/clips/{two}/pin", json={"reason": "for good"})
        client.post(f"/api/clips/{one}/tags", json={"tags": ["undone", "other"]})
        client.put(f"/api/clips/{two}/rating", json={"rating": 2})
        assert done(pin={}) == ([one, three], 0)
        assert done(pin={"until": "2091-01-01T00:00:00Z"}) == ([one, two, three], 0)
        assert done(unpin=True) == ([one, two], 0)
        assert done(tag=["undone"]) == ([two, three], 0)
        assert done(untag=["undone"]) == ([one], 0)
        assert done(rating=5) == ([one, two, three], 2)
        assert sorted(row["rating"] for row in are()) == [2, 5, 5]


@pytest.mark.parametrize(("bound", "least"), [("LOOKED", 2000), ("PATIENCE", 0.0)])
def test_words_are_looked_through_with_an_end(monkeypatch: pytest.MonkeyPatch, bound: str, least: float) -> None:
    pages = 0

    def sparse(*_: Any, **__: Any) -> Listed:
        nonlocal pages
        pages += 1
        assert pages < 10, "it goes on and on"
        return Listed([], "more", 0, 500)

    monkeypatch.setattr(selection, "page_of", sparse)
    monkeypatch.setattr(selection, bound, least)
    asked = selection.Selection(all="q=tide&tag=rare", before=datetime.now(UTC))
    with pytest.raises(Refused, match="clips with these words were looked through") as refused:
        selection.ids_of(asked, None, "UTC")  # type: ignore[arg-type]  # nobody is asked who it is
    assert "Narrow it down" in str(refused.value.remedy)


@pytest.mark.parametrize("role", ["viewer", "analyst", "creator", "curator", "admin"])
def test_each_role_is_offered_what_it_may_do(node: RunningNode, tokens: Callable[..., str], role: str) -> None:
    page = _get(node, "/library", tokens(role, name="maren")).text
    assert ('data-act="tag"' in page) == (role in ("creator", "curator", "admin"))
    assert ('data-act="hold"' in page) == (role in ("curator", "admin"))
    assert 'data-act="download"' in page


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("q=%21%21", "there is no word"), ("since=never", "is no moment"), ("q=zzzz", "No clip matches"),
        ("emotion=none-such", "No clip matches"),
        ("order=-rating", "clip-"), ("tag=%27%29%20OR%20true--", "No clip matches"), ("voice=-", "clip-"), ("utm_source=mail", "clip-"),
        ("rating=&since=&shortest=", "clip-"), ("cursor=abc", "token"), ("q=captain&order=name", "clip-"),
    ],
)  # fmt: skip
def test_whatever_an_address_asks_is_answered_in_its_place(node: RunningNode, query: str, told: str) -> None:
    answer = _get(node, f"/library?{query}")
    assert answer.status_code == 200
    assert told in answer.text


def test_an_address_that_cannot_be_is_an_error_of_whoever_wrote_it(node: RunningNode) -> None:
    assert _get(node, "/library?rating=9").status_code == 422
    assert _get(node, "/library?state=asleep").status_code == 422


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("empty") / "home"
    with voxledger.open(home):
        pass
    with running_node(home, store_close_wait=0) as node:
        yield node


def test_an_empty_library_says_how_to_make_the_first_clip(empty: RunningNode) -> None:
    page = _get(empty, "/library").text
    assert "The library is empty" in page
    assert "voxledger speak" in page


def test_what_words_find_is_looked_through_page_by_page_for_what_fits(empty: RunningNode) -> None:
    with voxledger.open(empty.home) as vox:
        lena = vox.vault.actor("lena")
        made = [completed(actor_label="lena", name=f"echo {number}", key=f"lena/{number}") for number in range(520)]
        vox.journal.emit(*(vox.recorder.draft(fact, subject=new_id(), actor=lena) for fact in made))
    first = _get(empty, "/library?q=echo&rating=5").text
    assert "Looked through: 500 clips with these words, of which 0 fit the filters." in first
    assert "No clip matches" not in first
    following = html.unescape(re.findall(r'id="more"[^>]*hx-get="([^"]+)"', first)[0])
    assert "Nothing more fits." in _get(empty, following).text
    assert "Nothing more fits." in _get(empty, following, **{"HX-Request": "true", "HX-Target": "more"}).text
    assert "Looked through" not in _get(empty, "/library?q=echo").text


def test_a_view_is_its_address() -> None:
    wanted = Wanted(q="tide", emotion=["sad", "happy"], shortest=2, order="-created", cursor="x")
    assert wanted.address() == "/library?q=tide&emotion=sad&emotion=happy&shortest=2&order=-created"
    assert wanted.bare() == "/library?q=tide&order=-created"
    assert Wanted(order="-created").address() == "/library"
    assert Wanted(voice=["it's", "-"]).condition("UTC").startswith("(voice IN ('it''s') OR voice IS NULL)")


def test_the_last_word_may_still_go_on() -> None:
    assert begun("the tid") == "the tid*"
    assert begun("ti") == "ti"
    assert begun("晨") == "晨*"
    assert begun('"the ti') == '"the ti'
    assert begun("ti*") == "ti*"


@pytest.mark.parametrize(
    ("name", "kept"),
    [("CON", "00007 CON"), ("../../etc/passwd", "00007 etc passwd"), ('a<b>:"/\\|?*c', "00007 a b c"), ("夜" * 200, "00007 夜"),
     ("x. ", "00007 x "),
     ("‮gpj.exe", "00007 gpj.exe"), ("\x00\n", "00007 ")],
)  # fmt: skip
def test_names_suit_every_file_system(node: RunningNode, name: str, kept: str) -> None:
    with node.client() as client:
        told = client.get("/api/clips").json()["clips"][0]
    from voxledger.dashboards.remote.clips import clip_of

    clip = clip_of({**told, "name": name}, None)  # type: ignore[arg-type]  # it reaches no audio
    found = file_name(clip, 7)
    assert found.startswith(kept)
    assert found.endswith(f"{clip.short}.{clip.format}")
    assert len(found.encode()) <= 143
    assert "/" not in found
    assert ".." not in found.removesuffix(clip.format)
