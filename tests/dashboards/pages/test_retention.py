"""Retention's pages: the plan seen, heard and applied as it was seen; its policy tried out; holds; undoing, restoring and replaying."""

from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from playwright.sync_api import Browser, Page

import voxledger
from tests.dashboards.pages.browser import Visit, accessible, expect, visiting
from tests.dashboards.pages.seeded import XSS, copied
from tests.node import PATIENCE, RunningNode, running_node
from voxledger.dashboards import plans
from voxledger.dashboards.pages.retention import plan as planned

Tokens = Callable[..., str]
NASTY = "<b>rule</b>"
DEADLINE = PATIENCE * 1000
_FIRST = """
[retention]
grace = "1s"
minimum_age = "0s"
max_percent = 100

[[retention.rules]]
name = "disgusted"
emotion = "disgusted"
keep_for = "1s"
"""
POLICY = f"""
[general]
min_free_disk = "100MB"

[retention]
grace = "7d"  # between mark and purge
minimum_age = "0s"
max_percent = 100

[[retention.keep]]
name = "loved"
rated = 5

[[retention.rules]]
name = "disgusted"
emotion = "disgusted"
keep_for = "1s"

[[retention.rules]]
name = "{NASTY}"
actor = "mallory"
keep_for = "1s"

[[retention.rules]]
name = "endless"
match = "duration_us > 60000000000"
keep_for = "60d"
# [mixpanel]
# token = "zanzibar"
"""
_WRONG = """
[retention]
schedule = "03:00"
[[retention.rules]]
name = "a"
match = "nonsense > 3"
keep_for = "3d"
"""


@pytest.fixture(scope="module")
def node(seeded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A ledger with four clips whose grace is over, six that would be marked, and a rule that matches nothing."""
    home = copied(seeded_home, tmp_path_factory.mktemp("retention") / "home")
    (home / "voxledger.toml").write_text(_FIRST)
    with voxledger.open(home) as vox:
        marked = datetime.now(UTC) + timedelta(seconds=5)
        vox.retention.apply(now=marked)
    (home / "voxledger.toml").write_text(POLICY)
    with running_node(home, store_close_wait=0) as running:
        while datetime.now(UTC) < marked + timedelta(seconds=1.1):  # until their grace is over
            time.sleep(0.05)
        yield running


def _planned(visit: Visit, path: str = "/retention") -> Page:
    page = visit.go(path)
    expect(page.locator("#clips")).to_be_visible(timeout=DEADLINE)
    return page


def test_a_plan_says_what_goes_by_rule_and_clip_by_clip_and_why(visit: Visit) -> None:
    page = _planned(visit)
    expect(page.locator(".would")).to_contain_text("6 clips would be marked")
    expect(page.locator(".would .bad")).to_contain_text("4 clips would be deleted")
    rules = page.locator(".rules tbody tr")
    expect(rules.filter(has_text=NASTY)).to_contain_text("6")
    expect(rules.filter(has_text="endless")).to_contain_text("matches nothing")
    expect(page.locator(".doomed")).to_have_count(10)
    for nasty in XSS:
        expect(page.locator(".doomed .name", has_text=nasty)).to_have_count(1)
    accessible(page)
    page.locator(".doomed", has_text=XSS[0]).locator("[data-play]").click()
    expect(page.locator("#player")).to_have_attribute("data-playing", "")
    page.get_by_role("link", name="disgusted", exact=True).click()
    expect(page.locator(".doomed")).to_have_count(4)
    first = page.locator(".doomed").first
    first.locator("summary").click()
    expect(first.locator(".why")).to_contain_text("Its grace is over: the next run deletes it.", timeout=DEADLINE)
    page.emulate_media(color_scheme="dark")
    accessible(page)


def test_a_clip_is_kept_from_here_and_an_address_holds_the_view(visit: Visit) -> None:
    page = _planned(visit, "/retention?order=bytes&actor=mallory")
    expect(page.locator(".doomed")).to_have_count(6)
    row = page.locator(".doomed").first
    row.get_by_role("button", name="Keep").click()
    expect(row.locator(".keeps")).to_contain_text("stays")
    row.get_by_role("button", name="Undo").click()
    expect(row.get_by_role("button", name="Keep")).to_be_visible()
    page.get_by_label("Order").select_option("oldest")
    page.wait_for_url(lambda address: "order=oldest" in address and "actor=mallory" in address)
    page.get_by_label("Actor").fill("nobody")
    page.get_by_label("Actor").press("Enter")
    expect(page.locator("#clips")).to_contain_text("No clip of this plan fits.")


def test_a_policy_is_tried_out_and_nothing_is_saved(visit: Visit) -> None:
    page = visit.go("/retention/policy")
    expect(page.locator("#checked")).to_contain_text("matches nothing", timeout=DEADLINE)
    expect(page.locator(".sentences")).to_contain_text("Goes 60 days after its last use: duration_us > 60000000000")
    text = page.get_by_label("Text of the policy, as TOML")
    present = text.input_value()
    assert present.startswith("[retention]\ngrace")
    assert "min_free_disk" not in present
    accessible(page)
    text.fill(present.replace('match = "duration_us', 'match = "durationn'))
    page.get_by_role("button", name="Try this text").click()
    tried = page.locator(".trial")
    expect(tried).to_contain_text("cannot be understood", timeout=DEADLINE)
    line = present.split("\n").index('match = "duration_us > 60000000000"') + 1
    expect(tried.locator(".place")).to_contain_text(f"Line {line}")
    expect(page.locator(".gutter .error")).to_have_text(f"{line}\n")
    tried.locator(".place").click()
    assert text.evaluate("area => document.activeElement === area")
    text.fill(present.replace('emotion = "disgusted"', 'emotion = "sad"'))
    text.press("Control+Enter")
    expect(tried).to_contain_text("clips would go", timeout=DEADLINE)
    accessible(page)
    tried.get_by_role("link", name="Look at them and listen").click()
    expect(page.locator("#plan")).to_contain_text("It cannot be applied")
    expect(page.get_by_role("button", name="Apply…")).to_have_count(0)
    assert (visit.node.home / "voxledger.toml").read_text() == POLICY


def test_what_is_chosen_is_held_and_a_hold_is_renewed_and_released(visit: Visit) -> None:
    page = _planned(visit, f"/retention?rule={NASTY}")
    page.locator(".doomed .pick input").nth(0).check()
    page.locator(".doomed .pick input").nth(1).check()
    expect(page.locator("[data-selected]")).to_contain_text("2 chosen")
    page.get_by_role("button", name="Hold…").click()
    form = page.locator("#new-hold")
    expect(form).to_be_visible()
    form.get_by_label("Reason").fill("<i>the trailer</i>")
    form.get_by_label("Or all clips for which this is true now").fill("emotion = ")
    expect(form.locator("#fitting .bad")).to_be_visible(timeout=DEADLINE)
    form.get_by_label("Or all clips for which this is true now").fill("")
    form.get_by_label("Legal hold").check()
    form.get_by_role("button", name="Hold these clips").click()
    expect(form.locator(".fault")).to_contain_text("a legal hold needs a day", timeout=DEADLINE)
    accessible(page)
    form.get_by_label("Review", exact=True).fill("90d")
    form.get_by_role("button", name="Hold these clips").click()
    expect(form).to_be_hidden(timeout=DEADLINE)
    hold = page.locator(".hold", has_text="<i>the trailer</i>")
    expect(hold).to_contain_text("legal", timeout=DEADLINE)
    hold.locator("summary").click()
    expect(hold.locator(".held-clips [data-play]")).to_have_count(2, timeout=DEADLINE)
    hold.get_by_role("button", name="Renew…").click()
    page.locator("#renew-hold").get_by_label("Review", exact=True).fill("120d")
    page.locator("#renew-hold").get_by_role("button", name="Renew", exact=True).click()
    expect(page.locator("#renew-hold")).to_be_hidden(timeout=DEADLINE)
    hold.get_by_role("button", name="Release…").click()
    expect(page.locator("#release-hold")).to_contain_text("2 clips")
    page.locator("#release-hold").get_by_role("button", name="Release", exact=True).click()
    expect(page.locator("#operations")).to_contain_text("A hold on 2 clips is released", timeout=DEADLINE)
    expect(page.locator("#listed")).to_contain_text("No hold stands", timeout=DEADLINE)


def test_a_plan_is_applied_as_it_was_seen_undone_and_what_it_took_restored(visit: Visit) -> None:
    page = _planned(visit, "/retention?make=1")
    page.get_by_role("button", name="Apply…").click()
    form = page.locator("#apply")
    expect(form).to_contain_text("Mark 6 clips")
    expect(form).to_contain_text("Delete 4 clips")
    accessible(page)
    for box in form.get_by_role("checkbox").all():
        box.check()
    form.get_by_role("button", name="Mark and delete").click()
    expect(form).to_be_visible()  # the number was not typed
    form.get_by_label("Type the number").fill("4")
    form.get_by_role("button", name="Mark and delete").click()
    done = page.locator("#operations article").first
    expect(done).to_contain_text("6 clips marked, 4 clips deleted", timeout=DEADLINE)
    expect(page.locator(".would")).to_contain_text("6 clips wait in grace", timeout=DEADLINE)
    done.get_by_role("button", name="Undo").click()
    expect(page.locator("#operations")).to_contain_text("6 marks taken back", timeout=DEADLINE)
    page.get_by_role("link", name="Undo and restore").click()
    expect(page.locator(".deleted li")).to_have_count(4)
    accessible(page)
    page.locator(".deleted li").first.get_by_role("button", name="Restore").click()
    ended = page.locator("#operations article").first
    expect(ended).to_contain_text("brought back", timeout=DEADLINE)


def test_the_past_is_replayed_and_drawn(visit: Visit) -> None:
    page = visit.go("/retention/backtest")
    page.get_by_label("Keep for, shortest").fill("1d")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("#toasts")).to_contain_text("give the shortest and the longest", timeout=DEADLINE)
    page.get_by_label("Keep for, shortest").fill("")
    page.get_by_role("button", name="Replay").click()
    expect(page.locator("[data-chart][data-drawn]")).to_be_visible(timeout=DEADLINE)
    assert "run=" in page.url
    accessible(page)
    with visit.node.client() as client:
        table = client.get(page.get_by_role("link", name="CSV").get_attribute("href") or "").text
    assert table.startswith("series,setting,saved,regret")
    assert "Least recently used first" in table


def test_who_may_not_retain_sees_and_changes_nothing(node: RunningNode, tokens: Tokens) -> None:
    with node.client(tokens("creator", name="maren")) as creator:
        assert creator.get("/retention").status_code == 403
        assert "/retention" not in creator.get("/").text
    with node.client(tokens("viewer")) as viewer:
        page = viewer.get("/retention?make=1").text
        assert 'id="clips"' in page
        for deed in ("Apply…", 'name="clip"', "/retention/pin"):
            assert deed not in page
        assert viewer.get("/retention/holds").status_code == 200
        for path in ("apply", "undo", "restore", "holds", "holds/renew", "holds/release", "pin"):
            assert viewer.post(f"/retention/{path}", data={"plan": "x", "hold": "x", "clip": "x"}).status_code == 403, (
                path
            )


def test_comments_of_the_policy_are_for_admins(node: RunningNode, tokens: Tokens) -> None:
    with node.client() as owner, node.client(tokens("viewer")) as viewer:
        whole, shown = owner.get("/retention/policy").text, viewer.get("/retention/policy").text
    assert "zanzibar" in whole
    assert "duration_us &gt; 60000000000" in shown
    assert "zanzibar" not in shown
    assert "between mark and purge" not in shown


def test_what_is_tried_may_cost_nothing_but_what_a_condition_may(node: RunningNode, tokens: Tokens) -> None:
    rule = '[retention]\n[[retention.rules]]\nname = "a"\nkeep_for = "1d"\nmatch = "{}"\n'
    doing = {
        "replace(text, 'a', 'aaaaaaaa') = 'x'": "knows no replace()",
        "text || text || text = 'x'": "knows no ||()",
        " OR ".join(f"lower(text) = '{number}'" for number in range(21)): "at most 20 functions",
    }
    with node.client(tokens("viewer")) as viewer:
        for match, told in doing.items():
            page = viewer.post("/retention/policy/try", data={"text": rule.format(match)}).text
            assert told in page
            assert "Line 5" in page
        fine = viewer.post("/retention/policy/try", data={"text": rule.format("last_used < :now - to_days(3)")}).text
        assert "would go" in fine
        assert viewer.post("/retention/policy/try", data={"text": "#" * 20_001}).status_code == 422


def test_another_plan_than_was_seen_is_not_applied(node: RunningNode, tokens: Tokens) -> None:
    with node.client(tokens("curator", name="cora")) as curator:
        plan = curator.get("/api/retention/plan").json()
        seen = {"plan": plan["plan"], **plan["deeds"]}
        asked = {"HX-Request": "true"}
        if plan["deeds"]["purge"]:
            untyped = curator.post("/retention/apply", data=seen, headers=asked)
            assert (untyped.status_code, untyped.json()["error"]["code"]) == (400, "not_confirmed")
        stale = {**seen, "mark": plan["deeds"]["mark"] + 1, "typed": plan["deeds"]["purge"]}
        answer = curator.post("/retention/apply", data=stale, headers=asked)
        deadline = time.monotonic() + PATIENCE
        while answer.status_code != 409 and "The plan was not carried out" not in answer.text:
            assert time.monotonic() < deadline, (
                answer.text
            )  # where much is done at once, it runs on when that is answered
            time.sleep(0.05)
            answer = curator.get("/retention/operations", headers=asked)
            assert answer.is_success
        assert curator.get("/api/retention/plan").json()["deeds"] == plan["deeds"]
        legal = {"reason": "x", "where": "true", "legal": "true", "review": "30d"}
        assert curator.post("/retention/holds", data=legal, headers=asked).status_code in (403, 200)
        assert not [hold for hold in curator.get("/api/holds").json()["holds"] if hold["kind"] == "legal"]


def test_a_plan_that_is_not_kept_any_more_says_so(node: RunningNode) -> None:
    with node.client() as client:
        gone = client.get("/retention?view=nothing").text
        assert "This plan is not kept any more" in gone
        assert client.get("/retention?cursor=nonsense&make=1").status_code == 400


def test_a_day_that_is_written_is_the_viewers(node: RunningNode) -> None:
    ends = "2099-01-01T09:59:59.999999Z"  # when that day is over on Kiritimati
    with node.client() as client:
        client.headers["Cookie"] = "zone=Pacific%2FKiritimati"
        clip = client.get("/api/clips?limit=1").json()["clips"][0]["id"]
        asked = {"clips": clip, "reason": "a day", "until": "2099-01-01"}
        assert client.post("/retention/holds", data=asked, headers={"HX-Request": "true"}).is_success

        def hold() -> dict[str, Any]:
            return next(each for each in client.get("/api/holds").json()["holds"] if each["reason"] == "a day")

        assert hold()["until"] == ends
        renewed = {"hold": hold()["id"], "until": "2098-01-01"}
        assert client.post("/retention/holds/renew", data=renewed, headers={"HX-Request": "true"}).is_success
        assert hold()["until"] == ends.replace("2099", "2098")


def test_a_part_is_refreshed_where_it_is_and_alone(node: RunningNode) -> None:
    with node.client() as client:
        for target, other in (("applied", "deleted"), ("deleted", "applied")):
            here = "/retention/returning?before=999999"
            part = client.get(here, headers={"HX-Request": "true", "HX-Target": target}).text
            assert f'id="{target}"' in part
            assert f'id="{other}"' not in part
            assert f'hx-get="{here}"' in part
        assert client.get("/retention/returning?cursor=nonsense").status_code == 400


def test_what_is_worked_out_about_a_plan_ends_with_it(
    seeded_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copied(seeded_home, tmp_path / "home")
    (home / "voxledger.toml").write_text(POLICY)
    kept = plans.Plans()
    previews = planned.Previews(cast("Any", SimpleNamespace(site=SimpleNamespace(plans=kept))))
    with voxledger.open(home) as vox:

        def made(head: int) -> plans.View:
            return kept.make(vox.retention, every=False, as_of=None, head=head)

        first = made(1)
        vox.catalog.pin(next(iter(vox.catalog.clips(actor="mallory"))))
        second = made(2)
        told = previews.about(second)
        assert told.before is not None
        assert (told.before.view, told.change and told.change.less.clips) == (first.name, 1)
        previews.about(first)
        seen = weakref.ref(first.plan.decisions)
        del first
        monkeypatch.setattr(plans, "MOST", 1)
        made(3)
        gc.collect()
        assert seen() is None
        assert previews.about(second) is told


def test_clips_of_filters_are_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Decisions:
        """Of a plan; something that can go."""

    monkeypatch.setattr(planned, "_BYTES", 10)
    answers: planned.Few[str] = planned.Few(len)
    plan, asked = cast("Any", SimpleNamespace(decisions=Decisions())), list[str]()

    def ask(what: str) -> str:
        return answers.get(plan, what, lambda: asked.append(what) or what * 6)

    for what in ("a", "b", "b", "a", "a"):
        ask(what)
    assert asked == ["a", "b", "a"]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    home = tmp_path_factory.mktemp("bare") / "home"
    with voxledger.open(home):
        pass
    (home / "voxledger.toml").write_text(_WRONG)
    with running_node(home, store_close_wait=0, serve_tokens="loopback") as running:
        yield running


def test_a_policy_that_cannot_be_understood_is_told_at_its_line(browser: Browser, empty: RunningNode) -> None:
    with visiting(browser, empty, viewport={"width": 390, "height": 844}, locale="zh-CN") as visit:
        page = visit.go("/retention")
        expect(page.locator("#plan .fault")).to_contain_text("nonsense", timeout=DEADLINE)
        accessible(page)
        page = visit.go("/retention/policy")
        expect(page.locator("#checked .place")).to_contain_text("5")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        accessible(page)
        visit.check()
