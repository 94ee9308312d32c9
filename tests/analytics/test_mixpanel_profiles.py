"""Profiles of users and of the node."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.analytics.mixpanel_world import World, generated
from tests.mixpanel_server import Fault
from voxledger.analytics.errors import DeliveryUnavailable
from voxledger.analytics.mixpanel import Profiled
from voxledger.catalog import settings
from voxledger.catalog.events import AudioAccessed, GenerationFailed

_FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _lived(world: World) -> None:
    failed = GenerationFailed(
        channel="api", engine="espeak", language="en", failure="EngineCrashed", stage="synthesis", emotion="sad", text_length=3,
        elapsed_us=1, actor_label="x",
    )  # fmt: skip
    world.record(generated(emotion="sad", duration_us=1_800_000_000, voice_sha256=None), time=_FIRST)
    world.record(
        generated(duration_us=1_800_000_000), generated(duration_us=3_600_000_000), failed, time=_FIRST.replace(day=2)
    )
    world.record(AudioAccessed(channel="web", purpose="play"), time=_FIRST.replace(day=3))


def test_a_profile_says_what_somebody_has_done(world: World) -> None:
    _lived(world)
    assert world.mixpanel().update_profiles() == Profiled(due=True, users=1)
    assert world.server.profiles == {
        world.ann.id: {
            "clips": 3, "clips_reused": 0, "generations_failed": 1, "audio_hours": 2.0, "uses": 1,
            "first_seen": "2026-03-01T12:00:00", "last_seen": "2026-03-03T12:00:00", "favourite_emotion": "happy",
            "favourite_language": "en", "favourite_engine": "espeak", "favourite_voice": "cloned",
            "node": world.recorder.journal.node,
        },
    }  # fmt: skip


def test_the_node_is_a_group_with_its_totals(world: World) -> None:
    _lived(world)
    world.mixpanel().update_profiles()
    node = world.recorder.journal.node
    group = world.server.groups["node", node]
    assert (group["$name"], group["clips"], group["actors"], group["audio_hours"]) == (
        f"Voxledger {node[-8:]}",
        3,
        1,
        2.0,
    )


def test_only_who_did_something_since_is_told_again(world: World) -> None:
    ben = world.recorder.vault.actor("Ben")
    _lived(world)
    world.record(generated(), actor=ben)
    mixpanel = world.mixpanel()
    assert mixpanel.update_profiles().users == 2
    assert mixpanel.update_profiles(force=True) == Profiled(), "nothing new"
    world.record(AudioAccessed(channel="web", purpose="play"), actor=ben)
    assert mixpanel.update_profiles(force=True).users == 1
    assert world.server.profiles[ben.id]["uses"] == 1
    assert world.server.profiles[ben.id]["clips"] == 1, "totals are over everything"


def test_profiles_are_sent_now_and_then(world: World) -> None:
    _lived(world)
    assert world.mixpanel().update_profiles().due
    _lived(world)
    assert not world.mixpanel().update_profiles().due
    assert world.mixpanel(profiles=0.0).update_profiles(force=True) == Profiled(), "0 = never"
    assert world.mixpanel(token="").update_profiles(force=True) == Profiled()
    assert world.mixpanel(profiles=0.001).update_profiles().due


def test_nothing_personal_is_in_a_profile_and_nothing_of_who_is_left_out(world: World) -> None:
    ben = world.recorder.vault.actor("Ben")
    _lived(world)
    world.record(generated(), actor=ben)
    off = (settings.MixpanelActor(name="Ben", analytics="off"),)
    world.mixpanel(actors=off).update_profiles()
    assert set(world.server.profiles) == {world.ann.id}
    for request in world.server.requests:
        assert b"canary" not in request.body.lower()
        assert ben.id.encode() not in request.body
        for update in json.loads(request.body):
            assert update.get("$ip", "0") == "0"
        assert "ip=0" in request.path


def test_with_labels_profiles_bear_names(world: World) -> None:
    _lived(world)
    world.mixpanel(actor_ids="label").update_profiles()
    assert world.server.profiles["CANARY label"]["$name"] == "CANARY label"


def test_an_outage_leaves_the_profiles_for_the_next_time(world: World) -> None:
    _lived(world)
    world.server.faults += [Fault(status=503)] * 5
    with pytest.raises(DeliveryUnavailable):
        world.mixpanel().update_profiles()
    assert world.mixpanel().update_profiles(force=True).users == 1


def test_one_bad_profile_does_not_hold_the_others_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = [world.recorder.vault.actor(f"p{number}") for number in range(5)]
    for each in people:
        world.record(generated(), actor=each)
    bad = people[2].id
    monkeypatch.setattr(
        "tests.mixpanel_server.invalid_update",
        lambda _, update: ("$set", "no") if update.get("$distinct_id") == bad else None,
    )
    assert world.mixpanel().update_profiles() == Profiled(due=True, users=4, refused=1)
    assert set(world.server.profiles) == {each.id for each in people} - {bad}
