"""The studio: a text is read as it will be spoken, spoken by the real engine, heard while it is made, compared and kept."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.dashboards.pages.browser import COLOURS, Visit, accessible, expect, visiting
from tests.dashboards.pages.conftest import Tokens
from tests.dashboards.pages.seeded import XSS
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.catalog.access.estimate import audio_us
from voxledger.catalog.events import EMOTIONS
from voxledger.dashboards.pages.studio.setting import Setting
from voxledger.synth import prosody
from voxledger.synth.emotion import Emotion
from voxledger.synth.errors import InvalidEmotion
from voxledger.synth.text import parse
from voxledger.synth.text.language import detect

OWN_VOICE = "This is my own voice, and I say so in a number of words, so that nobody has to wonder about it at all."
LONG = " ".join(f"This is sentence number {number}, and there are many of them." for number in range(1500))


@pytest.fixture(scope="module", autouse=True)
def cast(node: RunningNode) -> None:
    """A voice that may be used, one that was withdrawn, one whose name tries to be a script; and a preset of the node's own."""
    (node.home / "presets.toml").write_text(
        f"[harbour]\nabout = {json.dumps(XSS[1])}\nemotion = {{ sad = 0.4, calm = 0.3 }}\nstrength = 0.5\n"
        "voice = 'f2'\nlanguage = 'en-GB'\n",
        encoding="utf-8",
    )
    with node.client() as owner:
        clip = owner.post("/api/clips", json={"text": OWN_VOICE, "engine": "espeak"}).json()["clip"]["id"]
        sound = owner.get(f"/api/clips/{clip}/audio").content
        for number, name in enumerate(("ann", "Old Tom", XSS[1])):
            files = {"recording": ("voice.wav", sound + bytes(4 * number), "audio/wav")}
            made = owner.post("/api/voices", data={"name": name, "own": "true"}, files=files)
            assert made.status_code == 201, made.text
        assert owner.delete("/api/voices/Old Tom").is_success


def _studio(visit: Visit, path: str = "/studio", text: str | None = None) -> Page:
    page = visit.go(path)
    expect(page.locator("[data-studio][data-read]")).to_be_attached()
    if text is not None:
        _write(page, text)
    return page


def _write(page: Page, text: str) -> None:
    before = int(page.locator("[data-studio]").get_attribute("data-read") or 0)
    page.locator("#text").fill(text)
    _until(page, f"Number(document.querySelector('[data-studio]').dataset.read) > {before}")


def _until(page: Page, condition: str) -> None:
    _wait_for(lambda: page.evaluate(condition))


def _made(page: Page, number: int) -> None:
    expect(page.locator(".take").first.locator(".name b")).to_have_text(f"Take {number}")
    expect(page.locator(".take").first).to_have_attribute("data-state", "made")


def _wait_for(met: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE
    while not (found := met()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def test_a_text_is_read_as_it_will_be_spoken(visit: Visit) -> None:
    text = "Nobody on the pier has noticed yet.\n[sad:0.9, calm:0.4] I lost it.\n\n[happy] Then the boats came home."
    page = _studio(visit, text=text)
    expect(page.locator(".editor mark")).to_have_text(["[sad:0.9, calm:0.4]", "[happy]"])
    foot = page.locator("#sheet-told")
    expect(foot).to_contain_text(f"{len(text)} characters")
    spoken = "\n".join(passage.text for passage in parse(text))
    expect(foot).to_contain_text(f"about {round(audio_us(spoken) / 1e6)} s")
    expect(foot).to_contain_text("English, as it seems")
    applied = prosody.effective(Emotion.of({"sad": 0.9, "calm": 0.4}))
    sad, calm = (applied[EMOTIONS.index(name)] for name in ("sad", "calm"))
    expect(page.locator(".marks li").first).to_have_text(f"Line 2sad 0.9 → {sad:.2f}calm 0.4 → {calm:.2f}")
    expect(page.locator(".marks li").nth(1)).to_have_text("Line 4happy 1")
    _write(page, "[sad:0,6] A slip.")
    expect(page.locator("[data-faults=text]")).to_contain_text("nearly a mark")
    _write(page, "Das Haus ist nicht gut und die Tür auch nicht.")
    expect(foot).to_contain_text("German, as it seems")
    assert detect(page.locator("#text").input_value()) == "de"
    expect(page.locator("[data-faults=text] .told")).to_have_count(0)


def test_the_sliders_show_what_the_engine_makes_of_them(visit: Visit) -> None:
    page = _studio(visit, "/studio?happy=0.7&surprised=0.8&strength=0.9&session=trailer&reuse=no")
    weights = {"happy": 0.7, "surprised": 0.8}
    applied = prosody.effective(Emotion.of(weights, strength=0.9))
    for name, asked in weights.items():
        row = page.locator(f".slider[data-emotion={name}]")
        expect(row.locator(".asked")).to_have_text(f"{asked:.2f}")
        expect(row.locator(".applied")).to_have_text(f"→ {applied[EMOTIONS.index(name)]:.2f}")
    expect(page.locator("[data-sum]")).to_have_text("Sum 1.35 asked, 1.00 applied.")
    expect(page.locator("#session")).to_have_value("trailer")
    assert [row.get_attribute("data-emotion") for row in page.locator(".sliders .slider").all()] == list(EMOTIONS)
    page.locator("#weight-surprised").fill("0")
    expect(page.locator("[data-sum]")).to_have_text("Sum 0.63, applied as asked.")
    page.wait_for_url(lambda address: "surprised" not in address and "happy=0.7" in address and "reuse=no" in address)
    page.get_by_role("button", name="harbour").click()
    expect(page.locator(".slider[data-emotion=sad] .asked")).to_have_text("0.40")
    expect(page.locator("[data-voice-now]")).to_have_text("f2")
    page.wait_for_url(lambda address: "preset=harbour" in address and "voice=f2" in address)
    expect(page.locator("#seed")).to_be_disabled()
    expect(page.locator("#settings")).to_contain_text("espeak says the same in the same way each time")
    expect(page.locator("input[name=way][value=words]")).to_be_disabled()
    accessible(page)
    page.emulate_media(color_scheme="dark")
    accessible(page, only=COLOURS)


def test_a_clip_is_heard_while_it_is_made_and_given_again(visit: Visit) -> None:
    page = _studio(visit, text=f"{XSS[1]} is read out once.\nAnd there is a second sentence, which comes later.")
    page.locator("#session").fill("studio-session")
    page.locator("#tags").fill("one, two")
    page.keyboard.press("Control+Enter")
    _made(page, 1)
    _until(page, "Number(document.querySelector('.take').dataset.heard) > 0.1")
    card = page.locator(".take").first
    expect(card.locator(".name span")).to_contain_text(XSS[1])
    clip = card.get_attribute("data-clip")
    expect(card.get_by_role("link", name="Clip page")).to_have_attribute("href", f"/clips/{clip}")
    with visit.node.client() as owner:
        shown = owner.get(f"/api/clips/{clip}").json()
        attempts = owner.get("/api/generations", params={"channel": "web"}).json()
    assert (shown["session"], sorted(shown["tags"])) == ("studio-session", ["one", "two"])
    assert clip in json.dumps(attempts)
    page.locator("[data-go]").click()
    expect(card.locator(".badges")).to_contain_text("was there already")
    expect(page.locator(".take")).to_have_count(1)
    expect(page.locator("#player")).to_have_attribute("data-playing", "")
    page.reload()
    expect(page.locator(".take")).to_have_attribute("data-clip", str(clip))
    expect(page.locator("#text")).to_have_value(re.compile("second sentence"))
    assert "second" not in page.url


def test_takes_are_compared_and_one_is_kept(visit: Visit) -> None:
    page = _studio(visit, "/studio?voice=m3", "Listen to this more than once.")
    page.locator("[data-aloud]").uncheck()
    page.locator("[data-go]").click()
    _made(page, 1)
    page.locator("#weight-sad").fill("0.8")
    page.locator("[data-go]").click()
    _made(page, 2)
    expect(page.locator(".ab .differences")).to_have_text("emotion – → sad 0.8")
    first, second = page.locator(".take").nth(1), page.locator(".take").first
    second.locator("[data-play]").click()
    _until(page, "voxPlayer.at > 0.3")
    page.locator("#takes-title").click()
    page.locator("body").press("x")
    _until(page, "voxPlayer.clip.emotion === 'neutral' && voxPlayer.at > 0.3 && voxPlayer.playing")
    expect(first.locator("[data-play]")).to_have_attribute("aria-pressed", "true")
    second.locator("[data-rate='4']").click()
    expect(second.locator("[data-rate='4']")).to_have_attribute("aria-pressed", "true")
    accessible(page)
    second.locator("[data-keep]").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Tag the other take set-aside")
    accessible(page)
    dialog.get_by_role("button", name="Keep it").click()
    expect(second.locator(".badges")).to_contain_text("kept")
    expect(first.locator(".badges")).to_contain_text("set aside")
    ids = [str(each.get_attribute("data-clip")) for each in (second, first)]
    with visit.node.client() as owner:
        kept, other = (owner.get(f"/api/clips/{clip}").json() for clip in ids)
        assert (kept["pinned"], "chosen" in kept["tags"], other["pinned"], other["tags"]) == (
            True, True, False, ["set-aside"],
        )  # fmt: skip
        page.get_by_role("button", name="Undo").click()
        expect(first.locator(".badges")).to_be_empty()
        kept, other = (owner.get(f"/api/clips/{clip}").json() for clip in ids)
        assert (kept["pinned"], kept["tags"], other["tags"]) == (False, [], [])
    first.locator("[data-use]").click()
    expect(page.locator(".slider[data-emotion=sad] .asked")).to_have_text("0.00")
    first.locator("[data-next-take]").click()
    _made(page, 3)
    expect(page.locator(".take").first.locator(".differences")).to_contain_text("take")


def test_stopping_ends_the_engine(visit: Visit) -> None:
    page = _studio(visit, text=LONG)
    page.locator("[data-go]").click()
    expect(page.locator(".take").first).to_have_attribute("data-state", "coming")
    expect(page.locator("[data-state][role=status]")).to_contain_text("so far")
    page.locator("[data-stop]").click()
    expect(page.locator(".take").first.locator(".badges")).to_have_text("stopped")
    expect(page.locator("[data-go]")).to_be_visible()
    with visit.node.client() as owner:

        def cancelled() -> bool:
            found = owner.get("/api/generations", params={"outcome": "cancelled", "channel": "web"}).json()
            return bool(found["generations" if "generations" in found else "attempts"])

        _wait_for(cancelled)


def test_what_is_made_goes_on_while_another_page_is_looked_at(visit: Visit) -> None:
    page = _studio(visit, text="Somebody looks at the overview meanwhile. " * 30)
    page.locator("[data-go]").click()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("h1")).to_have_text("Overview")
    page.get_by_role("link", name="Studio").click()
    expect(page.locator("[data-studio]")).to_be_attached()
    _made(page, 1)
    expect(page.locator("#text")).to_have_value(re.compile("Somebody looks"))


def test_voices_are_found_with_their_consent_and_heard_where_it_lasts(visit: Visit, tokens: Tokens) -> None:
    page = _studio(visit)
    page.locator(".picker summary").click()
    voices = page.locator("#voices")
    expect(voices).to_contain_text("own voice")
    expect(voices).to_contain_text("consent withdrawn")
    expect(voices.get_by_text(XSS[1])).to_have_count(1)
    expect(voices).to_contain_text("espeak speaks with its own voices only")
    accessible(page)
    voices.get_by_role("button", name="Play the recording of ann").click()
    expect(voices.get_by_role("button", name="Play the recording of ann")).to_have_attribute("aria-pressed", "true")
    expect(voices.get_by_role("button", name="Play the recording of Old Tom")).to_have_count(0)
    page.get_by_label("Search voices").fill("whis")
    expect(voices.locator(".voice-name")).to_have_text(["whisper", "whisperf"])
    voices.get_by_text("whisperf").click()
    expect(page.locator("[data-voice-now]")).to_have_text("whisperf")
    page.wait_for_url("**/studio?voice=whisperf")
    with visit.node.client() as owner, visit.node.client(tokens("viewer")) as viewer:
        found = {voice["name"]: voice["sha256"] for voice in owner.get("/api/voices").json()["voices"]}
        assert owner.get(f"/studio/recordings/{found['ann']}").headers["content-type"] == "audio/wav"
        assert owner.get(f"/studio/recordings/{found['Old Tom']}").status_code == 403
        assert viewer.get(f"/studio/recordings/{found['ann']}").status_code == 403


def test_an_engine_that_cannot_be_used_says_why(visit: Visit) -> None:
    page = _studio(visit, "/studio?engine=remote")
    expect(page.locator("#settings .fault")).to_contain_text("remote.url")
    expect(page.locator("[data-go]")).to_be_disabled()
    page.locator("#engine").select_option("espeak")
    expect(page.locator("#settings .fault")).to_have_count(0)
    expect(page.locator("[data-go]")).to_be_enabled()
    assert page.url.endswith("/studio")


def test_a_quota_that_is_used_up_says_when_to_come_back(browser: Browser, node: RunningNode, tokens: Tokens) -> None:
    with visiting(browser, node, viewport={"width": 390, "height": 844}) as visit:
        token = tokens("creator", name="maren", limits={"audio_s": 0.5})
        with node.client(token) as client:
            assert client.post("/api/clips", json={"text": "This uses up all that there is for today."}).is_success
        visit.sign_in(token)
        page = _studio(visit, text="This is more than a second of audio, by any reckoning.")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("[data-go]").click()
        fault = page.locator(".take .fault")
        expect(fault).to_contain_text("Ask again in")
        expect(fault.get_by_role("button", name="Try again")).to_be_disabled()
        accessible(page)
        visit.check()


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("analyst", False), ("creator", True), ("curator", True)])
def test_who_may_not_speak_is_told_who_can(node: RunningNode, tokens: Tokens, role: str, may: bool) -> None:
    with node.client(tokens(role)) as client:
        page = client.get("/studio")
    assert page.status_code == 200
    assert ('id="studio"' in page.text) == may
    assert ("Your role makes no clips" in page.text) != may
    assert ('href="/studio" data-key' in page.text) == may
    if not may:
        assert all(f">{name}</span>" in page.text for name in ("Creator", "Curator", "Admin"))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node that has room for four requests of each principal."""
    with running_node(tmp_path_factory.mktemp("small") / "home", serve_at_once=8, store_close_wait=0) as found:
        yield found


def test_a_node_that_is_busy_says_when_to_come_back(browser: Browser, small: RunningNode) -> None:
    with visiting(browser, small) as visit:
        visit.sign_in()
        page = _studio(visit, text="There is no room for this one yet.")
        with contextlib.ExitStack() as held, small.client() as owner:
            for _ in range(4):
                held.enter_context(owner.stream("GET", "/live"))
            page.locator("[data-go]").click()
            expect(page.locator(".take .fault")).to_contain_text("in ")
        again = page.get_by_role("button", name="Try again")
        expect(again).to_be_enabled()
        again.click()
        _made(page, 1)
        assert all(wrong.startswith("503 ") for wrong in visit.wrong)


def test_a_node_without_an_engine_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without = tmp_path / "without"
    without.mkdir()
    missing = "raise ModuleNotFoundError(\"No module named 'espeakng_loader'\", name='espeakng_loader')\n"
    (without / "espeakng_loader.py").write_text(missing)
    monkeypatch.setenv("PYTHONPATH", str(without))
    with running_node(tmp_path / "home", store_close_wait=0, anew=True) as node, node.client() as owner:
        page = owner.get("/studio")
    assert page.status_code == 200
    assert "No engine can speak here" in page.text
    assert "voxledger[synth]" in page.text
    assert 'id="studio"' not in page.text


def test_marks_are_shown_where_the_engine_will_find_them(visit: Visit) -> None:
    corpus = [
        "[sad:0.6]", "[sad]", "[Sad=1, calm: .2]", "[neutral]", "[sad：0.6，calm：0.2]", "[sad、calm]", "[happy:1.0]", "[call:1]", "[note]",
        "[sad:0.6, sad:0.2]", "[neutral, sad]", "[sadd:0.6]", "[sad:0,6]", "[sad 0.6]", "[sad:2]", "[sad;calm]", "[]", "[sad:0.6",
    ]  # fmt: skip
    page = _studio(visit)
    page.locator("#text").fill("\n".join(f"{mark} some words" for mark in corpus))
    shown = page.locator(".editor mark").all_inner_texts()
    assert shown == [mark for mark in corpus if _is_right(mark)]


def _is_right(mark: str) -> bool:
    try:
        return parse(f"{mark} some words")[0].emotion is not None
    except InvalidEmotion:
        return False


def test_the_address_holds_the_setting_and_nothing_breaks_it() -> None:
    given = {
        "voice": "ann", "happy": "0.7", "calm": "2", "strength": "nan", "take": "-3", "seed": "7", "format": "exe", "sampling.top_p": "0.5",
        "sampling.__x y": "1", "reuse": "no", "priority": "batch", "angry": "much", "name": "n" * 900,
    }  # fmt: skip
    found = Setting.of(given)
    assert found.emotion == {"happy": 0.7, "calm": 1.0}
    assert (found.strength, found.take, found.seed, found.format, found.reuse, found.priority) == (
        1.0, 1, 7, "wav", False, "batch",
    )  # fmt: skip
    assert dict(found.sampling) == {"top_p": 0.5}
    assert len(found.name) == 200
    assert Setting.of({}) == Setting()
