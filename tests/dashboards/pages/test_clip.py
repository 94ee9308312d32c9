"""A clip's page: heard, seen and read; its takes side by side, its record, its history, its fate, and what people do to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route

import voxledger
from tests.building import completed
from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS
from tests.node import PATIENCE, RunningNode
from voxledger.catalog.events import AudioUploadFailed, ClipMarked, ClipPurged, ObjectMissing, PurgeStarted, new_id, now
from voxledger.catalog.query.wording import worded
from voxledger.dashboards.pages.clip.radar import radar
from voxledger.dashboards.pages.clip.telling import tellable

_SAID = "The tide is turning. Nobody on the shore has seen it come back, and the boats lie dry."
_MARKED = "[sad:0.6] I lost it.\n[happy:0.8] And then I found it again!\nNobody knows what happened."
_NASTY = XSS[1]


@pytest.fixture(scope="module")
def made(node: RunningNode) -> dict[str, str]:
    """Clips by name: three takes of a text, and one with marks."""
    found = {}
    with node.client() as client:
        for name, text, more in (
            ("one", _SAID, {"emotion": {"happy": 0.6, "surprised": 0.3}, "take": 1}),
            ("two", _SAID, {"emotion": {"sad": 0.7}, "take": 2}),
            ("three", _SAID, {"take": 3, "actor": "noa", "tags": [_NASTY]}),
            ("marked", _MARKED, {}),
        ):
            asked = {"text": text, "name": name, "engine": "espeak", "reuse": False, "actor": "maren", **more}
            answer = client.post("/api/clips", json=asked)
            assert answer.is_success, answer.text
            found[name] = answer.json()["clip"]["id"]
    return found


@contextmanager
def opened(browser: Browser, node: RunningNode, clip: str, **options: Any) -> Iterator[Visit]:
    """The owner on a clip's page."""
    with visiting(browser, node, **options) as visit:
        visit.sign_in(path=f"/clips/{clip}")
        yield visit
        visit.check()


def _get(node: RunningNode, path: str, token: str | None = None, **headers: str) -> httpx.Response:
    with node.client(token) as client:
        return client.get(path, headers={"Accept": "text/html", **headers})


def _heard(page: Page, clip: str) -> None:
    page.wait_for_function(f"voxPlayer.clip?.id === '{clip}' && voxPlayer.playing", timeout=PATIENCE * 1000)


def test_it_is_seen_and_heard_and_its_text_follows(browser: Browser, node: RunningNode, made: dict[str, str]) -> None:
    with opened(browser, node, made["one"]) as visit:
        page = visit.page
        expect(page.get_by_role("heading", level=1)).to_have_text("one")
        expect(page.locator(".score[data-drawn]")).to_be_visible()
        expect(page.locator("#history .happenings")).to_contain_text("maren had it made with espeak")
        expect(page.locator("#fate .verdict")).to_contain_text("it stays")
        expect(page.locator(".take")).to_have_count(3)
        parts = page.locator(".segment")
        expect(parts).to_have_count(2)
        accessible(page)
        page.emulate_media(color_scheme="dark")
        accessible(page, only=COLOURS)
        parts.nth(1).click()
        _heard(page, made["one"])
        expect(parts.nth(1)).to_have_attribute("aria-current", "true")
        assert page.evaluate("voxPlayer.at") >= float(parts.nth(1).get_attribute("data-at") or 0)
        page.keyboard.press("Escape")
        page.evaluate("voxPlayer.pause(); voxPlayer.seek(0)")
        expect(parts.first).to_have_attribute("aria-current", "true")
        view = page.get_by_role("slider", name="Position in the clip")
        box = view.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.75, box["y"] + 60)
        length = page.evaluate("voxPlayer.duration")
        page.wait_for_function(f"Math.abs(voxPlayer.at - {0.75 * length}) < 0.1")
        for _ in range(3):
            view.press("+")
        page.wait_for_function("document.querySelector('.score-scroll').scrollLeft > 0")
        view.press("Home")
        view.press("ArrowRight")
        expect(view).to_have_attribute("aria-valuetext", re.compile(r"0:00\.\d of 0:0\d"))
        # Zoomed in, the stretch that is in view is asked for, and nothing is decoded here.
        assert not any("/audio" in address and "range" in address for address in visit.asked)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_it_is_judged_and_what_was_done_is_taken_back(
    browser: Browser, node: RunningNode, made: dict[str, str]
) -> None:
    with opened(browser, node, made["two"]) as visit:
        page = visit.page
        care, toasts = page.locator("#care"), page.locator("#toasts")
        expect(page.locator("#fate .verdict")).to_be_visible()
        page.keyboard.press("4")
        expect(care).to_contain_text("Rated 4 of 5")
        page.keyboard.press("2")
        toasts.get_by_role("button", name="Undo").last.click()
        expect(care).to_contain_text("Rated 4 of 5")
        page.get_by_label("Add a tag").fill(f"on-air, {XSS[3]}")
        page.get_by_label("Add a tag").press("Enter")
        expect(care.locator(".tag-chip span")).to_have_text(sorted(["on-air", XSS[3]]))
        care.get_by_role("button", name="Take the tag on-air off").click()
        expect(care.locator(".tag-chip")).to_have_count(1)
        page.locator("body").press("p")
        expect(care.get_by_role("button", name="Pinned")).to_be_visible()
        expect(page.locator("#fate .verdict")).to_contain_text("A pin keeps it")
        expect(page.locator("#history")).to_contain_text("pinned it")
        page.locator(".hold-form summary").click()
        page.get_by_label("Why").fill(XSS[0])
        page.get_by_label("Until").fill("30d")
        page.locator(".hold-form").get_by_role("button", name="Hold it").click()
        expect(page.locator("#fate .held")).to_contain_text(XSS[0])
        accessible(page)
        page.on("dialog", lambda dialog: dialog.accept())
        page.locator("#fate .held").get_by_role("button", name="Release").click()
        expect(page.locator("#history")).to_contain_text("released it from the hold")
        page.get_by_role("button", name="Link", exact=True).click()
        accessible(page)
        page.get_by_role("button", name="Make a link").click()
        expect(page.locator("#link code")).to_contain_text("http")
        page.locator("#link-dialog").get_by_role("button", name="Close").last.click()
        page.get_by_role("button", name="Render it again").click()
        expect(page.locator("#work")).to_contain_text("The same, byte for byte.", timeout=PATIENCE * 1000)


def test_what_is_done_while_a_part_is_asked_for_is_shown_in_it(
    browser: Browser, node: RunningNode, made: dict[str, str]
) -> None:
    held: list[tuple[Route, APIResponse]] = []
    with visiting(browser, node) as visit:
        page = visit.page
        page.route("**/fate", lambda route: route.continue_() if held else held.append((route, route.fetch())))
        visit.sign_in(path=f"/clips/{made['three']}")
        page.wait_for_function("!document.querySelector('#fate .verdict')")
        page.locator("body").press("p")
        expect(page.locator("#care").get_by_role("button", name="Pinned")).to_be_visible()
        [(route, answer)] = held
        route.fulfill(response=answer)
        expect(page.locator("#fate .verdict")).to_contain_text("A pin keeps it")
        visit.check()


def test_takes_are_heard_side_by_side_at_the_same_position(browser: Browser, node: RunningNode, made: dict[str, str]) -> None:  # fmt: skip
    with opened(browser, node, made["one"]) as visit:
        page = visit.page
        rows = page.locator(".take")
        expect(rows).to_have_count(3)
        expect(rows.filter(has_text="this clip")).to_have_attribute("data-clip", made["one"])
        expect(page.locator("#takes")).to_contain_text(_NASTY)
        rows.filter(has_text="two").get_by_role("button", name="as B").click()
        _heard(page, made["two"])
        page.evaluate("voxPlayer.pause(); voxPlayer.seek(1.5)")
        page.locator("body").press("a")
        _heard(page, made["one"])
        assert 1.4 <= page.evaluate("voxPlayer.at") < 3
        expect(page.locator("[data-side=a]")).to_have_attribute("aria-pressed", "true")
        page.locator("body").press("b")
        _heard(page, made["two"])
        page.evaluate("voxPlayer.pause()")
        rows.filter(has_text="two").get_by_role("button", name="Choose").click()
        accessible(page)
        page.locator("#choose-dialog").get_by_role("button", name="Choose").click()
        expect(rows.filter(has_text="two")).to_contain_text("Pinned", timeout=PATIENCE * 1000)
        expect(page.locator(".take", has_text="#outtake")).to_have_count(2)
        expect(page.locator("#care .tag-chip")).to_have_text("outtake")
    with node.client() as client:
        assert client.get(f"/api/clips/{made['two']}").json()["pinned"] is True


def test_marks_and_a_narrow_screen_in_chinese(browser: Browser, node: RunningNode, made: dict[str, str]) -> None:
    options = {"viewport": {"width": 360, "height": 780}, "locale": "zh-CN", "color_scheme": "dark"}
    with opened(browser, node, made["marked"], **options) as visit:
        page = visit.page
        expect(page.locator(".passages > li")).to_have_count(3)
        expect(page.locator(".segment[data-emotion=happy]")).to_have_count(1)
        expect(page.locator("#history")).to_contain_text("生成")
        expect(page.locator("#fate .verdict")).to_contain_text("会保留")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        accessible(page)


def test_every_name_that_tries_to_be_a_script_is_shown_as_it_is(browser: Browser, node: RunningNode) -> None:
    with node.client() as client:
        clips = client.get("/api/clips", params={"actor": "mallory"}).json()["clips"]
    assert len(clips) == len(XSS)
    with visiting(browser, node) as visit:
        visit.sign_in()
        for clip in clips[:3]:
            page = visit.go(f"/clips/{clip['id']}")
            expect(page.get_by_role("heading", level=1)).to_have_text(clip["name"])
            expect(page.locator(".tag-chip").first).to_contain_text(clip["tags"][0])
            expect(page.locator("#takes header")).to_contain_text("1")
            expect(page.locator("#history .happenings")).to_contain_text("mallory")
        visit.check()


def test_it_is_not_there_for_who_may_not_see_it(node: RunningNode, made: dict[str, str], tokens: Callable[..., str]) -> None:  # fmt: skip
    other, own = tokens("creator", name="somebody"), tokens("creator", name="maren")
    for path in ("", "/history", "/takes", "/fate", "/tag-suggestions"):
        assert _get(node, f"/clips/{made['one']}{path}", other).status_code == 404
        assert _get(node, f"/clips/{made['one']}{path}", own).status_code == 200
    with node.client(other) as client:
        for deed in ("rating", "pin", "unpin", "tags", "untag", "choose", "link", "rerender"):
            form = {"rating": 3, "tags": "x", "tag": "x", "best": made["one"]}
            assert client.post(f"/clips/{made['one']}/{deed}", data=form).status_code == 404, deed
    seen = _get(node, f"/clips/{made['one']}/takes", own).text
    assert made["two"] in seen
    assert made["three"] not in seen  # of another actor
    fate = _get(node, f"/clips/{made['one']}/fate", own).text
    assert "Hold it" not in fate


def test_a_viewer_is_offered_nothing_that_they_may_not_do(
    node: RunningNode, made: dict[str, str], tokens: Callable[..., str]
) -> None:
    viewer = tokens("viewer")
    page = _get(node, f"/clips/{made['one']}", viewer).text
    for said in ("Add a tag", "Render it again", "Bring it back", "data-pin-form"):
        assert said not in page
    assert "Download" in page
    with node.client(viewer) as client:
        for deed in ("rating", "pin", "tags", "choose", "hold", "release", "restore", "rerender"):
            assert client.post(f"/clips/{made['one']}/{deed}", data={"rating": 3}).status_code == 403, deed
        assert client.post(f"/clips/{made['one']}/link", data={"expires": 86400}).status_code == 403


def test_a_part_of_an_id_leads_to_it_and_forms_work_without_a_script(node: RunningNode, made: dict[str, str]) -> None:
    assert _get(node, f"/clips/{made['one'][-8:]}").headers["location"] == f"/clips/{made['one']}"
    assert _get(node, "/clips/ffffffff").status_code == 404
    with node.client() as client:
        done = client.post(f"/clips/{made['marked']}/rating", data={"rating": 3})
        assert (done.status_code, done.headers["location"]) == (303, f"/clips/{made['marked']}")
        assert client.post(f"/clips/{made['marked']}/rating", data={"rating": 9}).status_code in (400, 422)
        begun = client.post(f"/clips/{made['marked']}/rerender", follow_redirects=True)
        assert begun.status_code == 200
        assert "/work/" in str(begun.url)
    for path in ("/history", "/takes", "/fate"):
        assert "<html" in _get(node, f"/clips/{made['one']}{path}").text


def test_a_tag_with_a_comma_comes_back_whole(node: RunningNode, made: dict[str, str]) -> None:
    clip = made["marked"]
    with node.client() as client:
        tagged = client.post(f"/api/clips/{clip}/tags", json={"tags": ["wind, sea", "dawn"]})
        assert tagged.is_success, tagged.text
        taken = client.post(f"/clips/{clip}/untag", data={"tag": ["wind, sea", "dawn"]}, headers={"HX-Request": "true"})
        undo = json.loads(taken.headers["hx-trigger"])["vox:done"]["undo"]
        client.post(undo["path"], data=undo["values"])
        assert set(client.get(f"/api/clips/{clip}").json()["tags"]) == {"wind, sea", "dawn"}
        client.post(f"/clips/{clip}/tags", data={"tags": "one,two，three、 four "})
        assert {"one", "two", "three", "four"} < set(client.get(f"/api/clips/{clip}").json()["tags"])


def test_a_day_that_is_written_is_the_viewers(node: RunningNode, made: dict[str, str]) -> None:
    clip, ends = made["three"], "2099-01-01T09:59:59.999999"  # when that day is over on Kiritimati
    with node.client() as client:
        client.headers["Cookie"] = "zone=Pacific%2FKiritimati"
        assert client.post(f"/clips/{clip}/pin", data={"until": "2099-01-01"}).status_code == 303
        assert client.get(f"/api/clips/{clip}").json()["pinned_until"].startswith(ends)
        assert client.post(f"/clips/{clip}/hold", data={"reason": "a day", "until": "2099-01-01"}).status_code == 303
        hold = next(each for each in client.get("/api/holds").json()["holds"] if each["reason"] == "a day")
        assert hold["until"].startswith(ends)
        assert client.post(f"/clips/{clip}/pin", data={"until": "9999-12-31T23:59:59Z"}).status_code == 303
        shown = client.get(f"/clips/{clip}")
        assert (shown.status_code, "9999" in shown.text) == (200, True)


def _happenings(node: RunningNode, clip: str) -> list[dict[str, Any]]:
    with node.client() as client:
        return list(client.get(f"/api/clips/{clip}/history").json()["happenings"])


def test_a_long_history_is_read_page_by_page(node: RunningNode, made: dict[str, str], tokens: Callable[..., str]) -> None:  # fmt: skip
    clip = made["marked"]
    with node.client() as client:
        for number in range(25):
            assert client.put(f"/api/clips/{clip}/rating", json={"rating": 1 + number % 5}).is_success
    for token in (None, tokens("creator", name="maren")):
        said: list[str] = []
        path = f"/clips/{clip}/history"
        while path:
            page = _get(node, path, token).text
            said += re.findall(r"<p>([^<]+)</p>", page)
            found = re.search(r'href="(/clips/[^"]+before=[^"]+)"', page)
            path = found[1].replace("&amp;", "&") if found else ""
        assert sum("rated it" in each for each in said) >= 25
        assert "had it made" in said[-1]
        assert len(said) == len(_happenings(node, clip))


def test_what_became_of_the_audio_is_told(node: RunningNode) -> None:
    states: dict[str, tuple[Any, ...]] = {
        "purged": (PurgeStarted(plan="p", rule="drafts", bucket="b"), ClipPurged(plan="p", rule="drafts", bucket="b", bytes=5)),
        "purging": (PurgeStarted(plan="p", rule="drafts", bucket="b"),),
        "marked for good": (ClipMarked(plan="p", rule=XSS[0], delete_after=now() + timedelta(days=3)),),
        "refused": (AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=3, key="k"),),
        "lost": (ObjectMissing(bucket="b", state="absent", bytes=5, found_bytes=None, found_etag=None, key="k"),),
        "no text": (),
        "doubtful": (),
    }  # fmt: skip
    ids: dict[str, str] = {}
    with voxledger.open(node.home, store_close_wait=0) as vox:
        olga = vox.vault.actor("olga")
        for name, facts in states.items():
            ids[name] = new_id()
            told: dict[str, Any] = {"name": name, "actor_label": "olga", "key": f"olga/{ids[name]}.wav"}
            told |= {"no text": {"text": None}, "doubtful": {"suspect": ("too_short",)}}.get(name, {})
            fact = completed(fingerprint=ids[name].replace("-", ""), **told)
            vox.journal.emit(*(vox.recorder.draft(each, subject=ids[name], actor=olga) for each in (fact, *facts)))
    pages = {name: _get(node, f"/clips/{clip}").text for name, clip in ids.items()}
    assert "Its audio was deleted" in pages["purged"]
    assert "Bring it back" in pages["purged"]
    assert 'class="score"' not in pages["purged"]
    assert "cannot be stopped any more" in pages["purging"]
    assert "because of the rule" in pages["marked for good"]
    assert XSS[0] not in pages["marked for good"]
    assert "AccessDenied" in pages["refused"]
    assert "does not have it any more" in pages["lost"]
    assert "general.store_text is off" in pages["no text"]
    assert "too short for its text" in pages["doubtful"]
    assert "2" in _get(node, f"/clips/{ids['no text']}/takes").text  # by the hash of the text
    for name, clip in ids.items():
        for path in ("/history", "/takes", "/fate"):
            assert _get(node, f"/clips/{clip}{path}").status_code == 200, (name, path)
    with node.client() as client:
        failed = client.post(
            f"/clips/{ids['purged']}/restore", headers={"HX-Request": "true", "HX-Target": "back"}
        ).text
        while 'hx-get="' in failed:
            following = re.search(r'hx-get="([^"]+)"', failed)
            assert following is not None
            failed = client.get(following[1], headers={"HX-Request": "true", "HX-Target": "back"}).text
        assert "It could not be brought back." in failed or "fault" in failed


def test_everything_that_can_happen_to_a_clip_has_a_sentence() -> None:
    assert tellable() == worded()


def test_a_radar_without_weights_is_none() -> None:
    assert radar((0.0,) * 8, (0.0,) * 8, "x") == ""
    assert '<polygon class="radar-asked"' in radar((0.2, *(0.0,) * 7), (0.1, *(0.0,) * 7), '"><script>')
    assert "<script>" not in radar((0.2, *(0.0,) * 7), (0.1, *(0.0,) * 7), '"><script>')
