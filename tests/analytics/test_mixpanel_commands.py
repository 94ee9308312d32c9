"""Delivery to Mixpanel on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.analytics.mixpanel_world import World, generated
from tests.mixpanel_server import Fault, invalid_lexicon
from voxledger.catalog import terminal
from voxledger.catalog.events import PurgeStarted, now
from voxledger.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setenv("VOXLEDGER_MIXPANEL_TOKEN", "token")
    monkeypatch.setenv("VOXLEDGER_MIXPANEL_ENDPOINT", world.server.url)
    for console in (terminal.console, terminal.errors):  # made when they were first asked for, perhaps by another test
        monkeypatch.setattr(console, "_width", 140)

    def ran(*arguments: str, token: str = "token") -> tuple[int, str, str]:
        monkeypatch.setenv("VOXLEDGER_MIXPANEL_TOKEN", token)
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(world.home.path), "mixpanel", *arguments])
        said = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return ended.value.code, said.out, said.err

    return ran


def _json(found: tuple[int, str, str]) -> Any:
    assert found[0] == 0, found[2]
    return json.loads(found[1])


def test_status_says_what_waits_and_why(world: World, run: Run) -> None:
    world.plays(2)
    world.record(PurgeStarted(plan="p", rule="r", bucket="b"))
    _, said, _ = run("status", token="")
    assert "2 events waiting (mixpanel.token is not set, so nothing is sent)" in said
    assert "Audio Played" in said
    assert "Mixpanel does not hear of these" in said
    code, _, error = run("flush", token="wrong")
    assert (code, error.count("\n")) == (1, 1)
    assert "mixpanel.token" in error
    assert "last try" in run("status")[1]
    found = _json(run("status", "--json"))
    assert [(each["name"], each["events"]) for each in found["events"]] == [("Audio Played", 2), ("", 1)]
    assert (found["waiting"], found["quarantined"], found["backfill"]) == (3, 0, None)


def test_status_says_about_whom_nothing_is_sent(world: World, run: Run) -> None:
    (world.home.path / "voxledger.toml").write_text(
        '[[mixpanel.actors]]\nname = "CANARY label"\nanalytics = "off"\n[[mixpanel.actors]]\nname = "Bob"\nanalytics = "off"\n'
    )
    world.plays(1)
    _, said, _ = run("status")
    assert "nothing is sent about CANARY label, Bob" in said
    assert "'Bob', and nobody here is called so" in said
    world.record(PurgeStarted(plan="p", rule="r", bucket="b"), actor=world.recorder.vault.actor("Eve"))
    world.record(generated(), actor=world.recorder.vault.actor("Eve"))
    _, said, _ = run("status")
    assert "1 event waiting for" in said
    assert "about people of whom nothing is sent" in said
    events = _json(run("status", "--json"))["events"]
    assert {(each["name"], each["silent"], each["events"]) for each in events} == {
        ("Audio Generated", False, 1), ("", False, 1), ("", True, 1),
    }  # fmt: skip
    assert "1 event sent, 0 quarantined, 0 waiting; 2 are not for Mixpanel" in run("flush")[1]
    world.plays(1)
    assert "0 waiting; 1 is not for Mixpanel" in run("flush")[1]


def test_flush_sends_events_and_profiles(world: World, run: Run) -> None:
    world.record(generated())
    _, said, _ = run("flush")
    assert said.splitlines() == ["1 event sent, 0 quarantined, 0 waiting", "1 user profile brought up to date"]
    world.record(PurgeStarted(plan="p", rule="r", bucket="b"))
    assert _json(run("flush", "--json")) == {
        "state": "done", "sent": 0, "quarantined": 0, "skipped": 1, "waiting": 0, "profiles": 0,
    }  # fmt: skip
    with world.subscription.exclusively():
        world.plays(1)
        assert "another process delivers" in run("flush")[1]


def test_the_quarantine_is_listed_and_sent_again(world: World, run: Run) -> None:
    assert "nothing is in quarantine" in run("quarantine", "list")[1]
    assert "nothing is in quarantine" in run("quarantine", "retry")[1]
    events = world.plays(3)
    world.server.refuse = {event.id: ("properties.purpose", "no such [purpose]") for event in events}
    assert "quarantine list says why" in run("flush")[1]
    _, said, _ = run("quarantine", "list", "--limit", "2")
    assert "no such [purpose]" in said
    assert ("Audio Played" in said, "AudioAccessed" in said) == (True, False)
    assert sum(event.id in said for event in events) == 2
    assert "3 events in quarantine" in run("status")[1]
    found = _json(run("quarantine", "list", "--json"))
    assert (found["reasons"][0]["events"], len(found["newest"])) == (3, 3)
    assert (found["newest"][0]["type"], found["newest"][0]["name"]) == ("AudioAccessed", "Audio Played")
    world.server.refuse.popitem()
    assert "1 event taken, 2 refused again; 2 in quarantine" in run("quarantine", "retry")[1]
    world.server.refuse = {}
    assert _json(run("quarantine", "retry", "--limit", "1", "--json"))["remaining"] == 1
    assert run("quarantine", "retry", "--limit", "0")[0] == 1


def test_a_backfill_goes_on_where_it_was_broken_off(world: World, run: Run) -> None:
    world.plays(3000)
    run("flush")
    code, _, error = run("backfill")
    assert (code, "say since when" in error) == (1, True)
    code, _, error = run("backfill", "--since", "2999-01-01")
    assert (code, error.count("\n"), "'2999-01-01' lies in the future" in error) == (1, 1, True)
    world.server.faults += [Fault(), Fault(status=404)]
    assert run("backfill", "--since", "1d")[0] == 1
    assert "was broken off: `voxledger mixpanel backfill` goes on" in run("status")[1]
    assert "1,000 events more sent again since" in run("backfill")[1]
    world.server.faults += [Fault(), Fault(status=404)]
    assert run("backfill", "--since", "1d")[0] == 1
    world.server.token = "other"
    _, said, _ = run("backfill", token="other")
    assert said.startswith(
        "the one that was broken off went to another project; this one began anew\n3,000 events sent again"
    )
    world.server.token = "token"
    found = _json(run("backfill", "--since", str(now().date() - timedelta(days=1)), "--json"))
    assert (found["state"], found["sent"]) == ("done", 3000)


def test_other_ids_are_said_and_sent_again_on_purpose_only(
    world: World, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = world.plays(3)
    world.server.refuse = {events[0].id: ("event", "no")}
    run("flush")
    world.server.refuse = {}
    monkeypatch.setenv("VOXLEDGER_MIXPANEL_ACTOR_IDS", "label")
    said = " ".join(run("status")[1].split())
    assert "events were sent under mixpanel.actor_ids = 'opaque'; sent again under today's ids they count twice" in said
    assert _json(run("status", "--json"))["told_otherwise"][0]["through"] == 3
    code, _, error = run("backfill", "--since", "1d")
    assert (code, "--again" in error) == (1, True)
    assert "2 events sent again" in run("backfill", "--since", "1d", "--again")[1]
    _, said, _ = run("quarantine", "retry")
    assert "0 events taken, 1 told under other ids (--again sends them, too); 1 in quarantine" in said
    assert "1 event taken; 0 in quarantine" in run("quarantine", "retry", "--again")[1]


def test_compare_says_what_is_missing_with_its_exit_status(world: World, run: Run, tmp_path: Path) -> None:
    world.record(generated(), generated(), time=datetime(2026, 3, 1, tzinfo=UTC))
    run("flush")
    file = tmp_path / "export.ndjson"
    lines = [
        json.dumps({"event": event["event"], "properties": event["properties"]})
        for event in world.server.events.values()
    ]
    file.write_text("\n".join(lines))
    code, said, _ = run("compare", str(file))
    assert (code, "2 here, 2 at Mixpanel, 0 missing" in said) == (0, True)
    file.write_text(lines[0])
    code, said, _ = run("compare", str(file))
    assert code == 1
    assert "backfill --since DAY" in said
    assert json.loads(run("compare", str(file), "--json")[1])["missing"] == 1
    assert "no day" in run("compare", str(file), "--first", "yesterday")[2]
    assert "--file" not in run("compare", "--help")[1]


def test_the_lexicon_is_written(run: Run, tmp_path: Path) -> None:
    code, said, _ = run("lexicon", "--out", str(tmp_path / "lexicon.json"))
    assert (code, "the user profile" in said) == (0, True)
    assert invalid_lexicon(json.loads((tmp_path / "lexicon.json").read_text())) == ""
    assert invalid_lexicon(json.loads(run("lexicon")[1])) == ""
    assert "cannot be written" in run("lexicon", "--out", str(tmp_path / "no" / "lexicon.json"))[2]
