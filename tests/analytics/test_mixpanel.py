"""Delivery to Mixpanel, against a stand-in that keeps its documented contract."""

from __future__ import annotations

import json
import re
import signal
import threading
from datetime import UTC, datetime

import pytest

from tests.analytics.mixpanel_world import World, generated
from tests.mixpanel_server import Fault
from voxledger.analytics.errors import AnalyticsError, DeliveryRefused, DeliveryUnavailable
from voxledger.analytics.mixpanel import VOCABULARY, Delivered, Mixpanel
from voxledger.analytics.mixpanel.vocabulary import RESERVED, UNSENT, plain
from voxledger.catalog import settings
from voxledger.catalog.errors import SettingsError, VoxledgerError
from voxledger.catalog.events import (
    EMOTIONS,
    REGISTRY,
    AudioAccessed,
    ClipMarked,
    ClipPurged,
    ClipTagged,
    ClipUnmarked,
    DeliveryQuarantined,
    GenerationFailed,
    PurgeFailed,
    PurgeStarted,
    personal_fields,
)
from voxledger.synth import emotion


def test_everything_arrives_under_names_that_people_know(world: World) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 891999, tzinfo=UTC)
    failed = GenerationFailed(
        channel="api", engine="espeak", language=None, failure="EngineCrashed", stage="synthesis", emotion="sad",
        text_length=3, elapsed_us=2_500_000, actor_label="CANARY label",
    )  # fmt: skip
    events = world.record(
        generated(), failed, AudioAccessed(channel="web", purpose="play"), ClipTagged(tag="CANARY"), time=moment
    )
    done = world.mixpanel().deliver()
    assert (done.state, done.sent, done.quarantined, done.waiting, done.requests) == ("done", 4, 0, 0, 1)
    by_name = {sent["event"]: sent["properties"] for sent in world.server.requests[0].events}
    assert list(by_name) == ["Audio Generated", "Generation Failed", "Audio Played", "Clip Tagged"]
    audio = by_name["Audio Generated"]
    assert audio["$insert_id"] == events[0].id
    assert audio["time"] == int(moment.replace(microsecond=0).timestamp()) * 1000 + 891
    assert (audio["distinct_id"], audio["clip"], audio["ip"]) == (world.ann.id, events[0].subject, 0)
    assert (audio["mp_lib"], audio["$source"]) == ("voxledger", "voxledger")
    assert audio["$lib_version"]
    assert (audio["duration_s"], audio["synthesis_s"], audio["features"]) == (1.235, 0.02, ["emotion", "cloning"])
    assert (audio["emotion_happy"], audio["emotion_calm"], audio["emotion_sad"]) == (0.6, 0.1, 0.0)
    assert audio["cloned_voice"] is True
    assert "true_peak_dbtp" not in audio
    assert (by_name["Generation Failed"]["failure"], by_name["Generation Failed"]["elapsed_s"]) == (
        "EngineCrashed",
        2.5,
    )


def test_nothing_personal_ever_leaves(world: World) -> None:
    world.record(generated(), ClipTagged(tag="CANARY tag"))
    world.mixpanel().deliver()
    for request in world.server.requests:
        everything = request.body + json.dumps([request.path, dict(request.headers)]).encode()
        assert b"canary" not in everything.lower()
        for kept in ("ab" * 16, "cd" * 32, "ef" * 16, "5" * 64, str(world.home.path)):
            assert kept.encode() not in everything


def test_the_system_itself_is_no_user(world: World) -> None:
    world.record(AudioAccessed(channel="web", purpose="fetch"), actor=world.recorder.vault.actor("voxledger"))
    world.mixpanel().deliver()
    (sent,) = world.server.events.values()
    assert (sent["event"], sent["properties"]["distinct_id"]) == ("Audio Fetched", "")


def test_what_retention_does_to_a_clip_is_nobodys_activity(world: World) -> None:
    """A purge is recorded under whoever made the clip: that person may be gone for years, and it may be 200,000 a night."""
    world.record(
        ClipMarked(plan="p", rule="r", delete_after=datetime(2026, 12, 1, tzinfo=UTC)), ClipUnmarked(plan="p", reason="used"),
        ClipPurged(plan="p", rule="r", bucket="b", bytes=5), PurgeFailed(plan="p", bucket="b", failure="StoreRefused"),
    )  # fmt: skip
    world.mixpanel().deliver()
    told = [event["properties"] for event in world.server.events.values()]
    assert [(each["distinct_id"], each["actor"]) for each in told] == [("", world.ann.id)] * 4


def test_large_backlogs_go_in_parcels_and_a_second_run_sends_nothing(world: World) -> None:
    events = world.plays(4500)
    done = world.mixpanel().deliver()
    assert len(world.server.requests[0].events) == 2000, "the first goes alone"
    assert sorted(len(request.events) for request in world.server.requests) == [500, 2000, 2000]
    assert (done.sent, done.requests, world.server.received) == (4500, 3, 4500)
    assert world.arrived() == sorted(event.id for event in events)
    assert world.mixpanel().deliver() == Delivered()
    assert len(world.server.requests) == 3


def test_a_limit_bounds_a_run(world: World) -> None:
    world.plays(10)
    assert (done := world.mixpanel().deliver(limit=4)).sent == 4
    assert (done.state, done.waiting) == ("limit", 6)
    assert world.mixpanel().deliver(limit=99).state == "done"
    assert world.server.received == 10


def test_what_mixpanel_does_not_hear_of_is_passed_over(world: World) -> None:
    world.record(PurgeStarted(plan="p", rule="r", bucket="b"))
    done = world.mixpanel().deliver()
    assert (done.sent, done.skipped, done.requests, done.waiting) == (0, 1, 0, 0)


def test_without_a_token_nothing_is_sent_and_events_wait(world: World) -> None:
    world.plays(3)
    mixpanel = world.mixpanel(token="")
    assert mixpanel.deliver() == Delivered(state="off", waiting=3)
    assert (mixpanel.status().configured, mixpanel.status().waiting) == (False, 3)
    assert world.server.requests == []


def test_a_service_account_authenticates_with_its_project(world: World) -> None:
    world.plays(1)
    account = {"service_account": "robot", "service_secret": "hush"}
    with pytest.raises(SettingsError, match=r"mixpanel\.project_id is empty"):
        world.mixpanel(**account).deliver()
    assert world.mixpanel(**account, project_id="42").deliver().sent == 1
    assert world.server.requests[0].path == "/import?strict=1&project_id=42"


@pytest.mark.parametrize(("region", "host"), [("us", "api"), ("eu", "api-eu"), ("in", "api-in")])
def test_each_region_has_its_host(world: World, region: str, host: str) -> None:
    assert world.mixpanel(endpoint="", region=region).status().host == f"{host}.mixpanel.com"


@pytest.mark.parametrize(
    "endpoint", ["ftp://x", "nonsense", "https://user:hush@proxy", "https://proxy?x=1", "http://x:99999"]
)
def test_an_endpoint_that_cannot_be_is_refused_without_showing_it(world: World, endpoint: str) -> None:
    world.plays(1)
    with pytest.raises(SettingsError) as caught:
        world.mixpanel(endpoint=endpoint).deliver()
    assert caught.value.name == "mixpanel.endpoint"
    assert "hush" not in str(caught.value)


def test_a_wrong_token_is_one_clear_error_and_nothing_is_lost(world: World) -> None:
    world.plays(2)
    with pytest.raises(DeliveryRefused) as caught:
        world.mixpanel(token="s3cret-but-wrong").deliver()
    message = str(caught.value)
    assert "mixpanel.token" in message
    assert "s3cret" not in message
    assert "\n" not in message
    assert (caught.value.status, len(world.server.requests), world.pauses) == (401, 1, [])
    assert world.mixpanel().status().note == message
    assert world.mixpanel().deliver().sent == 2
    assert world.mixpanel().status().note is None


def test_refused_events_are_quarantined_and_the_others_are_in(world: World) -> None:
    events = world.plays(5)
    world.server.refuse = {
        events[1].id: ("properties.time", "'properties.time' is\n invalid for token"),
        events[4].id: ("", ""),
    }
    done = world.mixpanel().deliver()
    assert (done.state, done.sent, done.quarantined, done.waiting) == ("done", 3, 2, 0)
    assert world.quarantined() == [
        (
            events[1].id,
            {
                "subscription": "mixpanel",
                "refused_type": "AudioAccessed",
                "field": "properties.time",
                "reason": "'properties.time' is invalid for ***",
            },
        ),
        (
            events[4].id,
            {"subscription": "mixpanel", "refused_type": "AudioAccessed", "field": "", "reason": "refused"},
        ),
    ]
    assert world.mixpanel().deliver() == Delivered()
    assert len(world.server.requests) == 1, "what was quarantined is never told to Mixpanel"


def test_quarantine_and_cursor_move_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    events = world.plays(2)
    world.server.refuse = {events[0].id: ("event", "no")}
    with monkeypatch.context() as patch:
        patch.setattr("voxledger.catalog.journal.Transaction.move_cursor", _full_disk)
        with pytest.raises(OSError, match="full"):
            world.mixpanel().deliver()
    assert (world.subscription.cursor, world.quarantined()) == (0, [])
    world.mixpanel().deliver()
    assert [subject for subject, _ in world.quarantined()] == [events[0].id]
    assert world.arrived() == [events[1].id]


def _full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "the disk is full")


def test_a_413_halves_the_parcel_until_it_fits(world: World) -> None:
    world.server.most_bytes = 4000
    events = world.plays(40)
    done = world.mixpanel().deliver()
    assert (done.sent, done.quarantined) == (40, 0)
    assert world.server.received == 40
    assert world.arrived() == sorted(event.id for event in events)
    taken = [request for request in world.server.requests if request.status == 200]
    ids = [sent["properties"]["$insert_id"] for request in taken for sent in request.events]
    assert ids == [event.id for event in events], "in order"


def test_half_a_parcel_moves_the_cursor_by_half(world: World) -> None:
    world.server.most_bytes = 8000
    world.server.faults += [Fault(), Fault(), Fault(status=404)]
    events = world.plays(40)
    with pytest.raises(DeliveryRefused):
        world.mixpanel().deliver()
    assert (world.subscription.cursor, world.server.received) == (20, 20)
    world.mixpanel().deliver()
    assert world.arrived() == sorted(event.id for event in events)


def test_an_event_too_large_alone_is_quarantined(world: World) -> None:
    world.server.most_bytes = 700
    play, large, tag = world.record(AudioAccessed(channel="web", purpose="play"), generated(), ClipTagged(tag="x"))
    done = world.mixpanel().deliver()
    assert (done.sent, done.quarantined, done.waiting) == (2, 1, 0)
    assert world.arrived() == sorted([play.id, tag.id])
    assert [(subject, data["reason"]) for subject, data in world.quarantined()] == [
        (large.id, "the event alone is larger than Mixpanel takes")
    ]


def test_retry_after_is_honoured(world: World) -> None:
    world.plays(1)
    world.server.faults += [Fault(status=429, headers={"Retry-After": "37"}), Fault(status=503), Fault(status=500)]
    done = world.mixpanel().deliver()
    assert (done.sent, done.requests, done.retries) == (1, 4, 3)
    assert world.pauses[0] == 37
    assert 5 <= world.pauses[1] <= 9, "4 s and 1 to 5 s of jitter"
    assert 9 <= world.pauses[2] <= 13


def test_an_outage_ends_the_run_and_loses_nothing(world: World) -> None:
    world.plays(3)
    world.server.faults += [Fault(status=502)] * 5
    with pytest.raises(DeliveryUnavailable, match="502") as caught:
        world.mixpanel().deliver()
    assert caught.value.delivered == Delivered(
        requests=5, retries=4, waiting=3, bytes=caught.value.delivered.bytes if caught.value.delivered else 0
    )
    assert (len(world.pauses), world.subscription.cursor) == (4, 0)
    assert world.mixpanel().deliver().sent == 3


def test_who_asks_for_an_hour_gets_the_next_run(world: World) -> None:
    world.plays(1)
    world.server.faults.append(Fault(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(DeliveryUnavailable) as caught:
        world.mixpanel().deliver()
    assert (caught.value.retry_after, caught.value.status, world.pauses) == (3600, 429, [])


def test_nobody_at_the_endpoint_is_an_outage(world: World) -> None:
    world.plays(1)
    with pytest.raises(DeliveryUnavailable, match="could not be reached") as caught:
        world.mixpanel(endpoint="http://127.0.0.1:1").deliver()
    assert issubclass(AnalyticsError, VoxledgerError)
    assert isinstance(caught.value, AnalyticsError)
    assert caught.value.status is None


def test_an_answer_cut_short_or_too_slow_is_asked_for_again_and_counts_once(world: World) -> None:
    events = world.plays(3)
    free = threading.Event()
    world.server.faults += [Fault(cut=True, ingest=True), Fault(hold=free), Fault(trickle=0.05)]
    try:
        done = world.mixpanel(timeout=0.3).deliver()
    finally:
        free.set()
    assert (done.sent, done.retries) == (3, 3)
    assert world.arrived() == sorted(event.id for event in events)
    bodies = {request.body for request in world.server.requests}
    assert len(bodies) == 1, "a repeat is the same to the byte"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body=b"<html>log in to this hotel</html>"),
        Fault(status=200, body=b"[]"),
        Fault(status=200, body=b"{}"),
        Fault(status=200, body=b"\xff\xfe"),
        Fault(status=200, body=b'{"code":200,"num_records_imported":0,"status":"OK"}'),
        Fault(status=200, body=b'{"code":200,"num_records_imported":2,"status":"OK"}'),
        Fault(status=200, body=b'{"code":200,"num_records_imported":true,"status":"OK"}'),
        Fault(status=400, body=b'{"code":400,"failed_records":[{"index":0,"message":"no"}]}'),
        Fault(status=400, body=b'{"code":400,"num_records_imported":1,"failed_records":[{"index":0,"message":"no"}]}'),
        Fault(status=400, body=b'{"code":400,"failed_records":[{"index":99,"message":"no"}]}'),
        Fault(status=400, body=b'{"code":400,"failed_records":[{"index":true}]}'),
        Fault(status=400, body=b'{"code":400,"failed_records":["x"]}'),
        Fault(status=400, body=b'{"code":400,"failed_records":[{"index":0,"insert_id":"another"}]}'),
    ],
)
def test_an_answer_that_makes_no_sense_moves_nothing(world: World, fault: Fault) -> None:
    world.plays(1)
    world.server.faults += [fault] * 5
    with pytest.raises(DeliveryUnavailable):
        world.mixpanel().deliver()
    assert (world.subscription.cursor, world.quarantined()) == (0, [])


def test_events_that_mixpanel_does_not_account_for_are_not_lost(world: World) -> None:
    events = world.plays(3)
    world.server.faults += [Fault(status=200, body=b'{"code":200,"num_records_imported":1,"status":"OK"}')] * 5
    with pytest.raises(DeliveryUnavailable, match="accounts for 1 of 3 events"):
        world.mixpanel().deliver()
    assert "accounts for 1 of 3 events" in (world.mixpanel().status().note or "")
    assert world.mixpanel().deliver().sent == 3
    assert world.arrived() == sorted(event.id for event in events)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=400, body=b'{"error":"token is bad"}'),
        Fault(status=404),
        Fault(status=307, headers={"Location": "/import?strict=1"}),
    ],
)
def test_a_refusal_of_the_whole_request_stops_at_once(world: World, fault: Fault) -> None:
    world.plays(1)
    world.server.faults.append(fault)
    with pytest.raises(DeliveryRefused, match=str(fault.status)) as caught:
        world.mixpanel().deliver()
    assert "token is bad" not in str(caught.value), "a token repeated by the other side is not shown"
    assert (len(world.server.requests), world.subscription.cursor, world.quarantined()) == (1, 0, [])


def test_what_is_in_behind_a_request_that_failed_counts_once(world: World) -> None:
    events = world.plays(10_000)
    world.server.faults += [Fault(), Fault(status=404)]
    with pytest.raises(DeliveryRefused) as caught:
        world.mixpanel().deliver()
    assert world.subscription.cursor in (2000, 4000), "several are on the way; the cursor follows in order"
    assert caught.value.delivered is not None
    assert caught.value.delivered.sent == world.subscription.cursor
    world.mixpanel().deliver()
    assert world.arrived() == sorted(event.id for event in events)
    assert world.server.received >= 10_000


def test_stop_ends_a_run_between_two_requests(world: World) -> None:
    world.plays(3000)
    stop = threading.Event()
    world.server.faults += [Fault(), Fault(status=503)]
    mixpanel = Mixpanel(
        settings.Mixpanel(token="token", endpoint=world.server.url),
        world.subscription,
        world.recorder,
        pause=lambda _, event: event.set(),
    )
    done = mixpanel.deliver(stop=stop)
    assert (done.state, done.sent, done.waiting) == ("stopped", 2000, 1000)
    assert world.mixpanel().deliver().sent == 1000


def test_a_kill_between_answer_and_cursor_counts_once_in_effect(world: World) -> None:
    events = world.plays(30)
    with world.process("killed") as process:
        assert process.wait() == -signal.SIGKILL
    assert (world.server.received, world.subscription.cursor) == (30, 0)
    done = world.mixpanel().deliver()
    assert (done.sent, world.server.received) == (30, 60)
    assert world.arrived() == sorted(event.id for event in events)


def test_two_processes_do_not_deliver_twice(world: World) -> None:
    world.plays(30)
    free = threading.Event()
    world.server.faults.append(Fault(hold=free))
    with world.process() as process:
        try:
            assert world.server.holding.wait(30)
            assert world.mixpanel().deliver() == Delivered(state="busy", waiting=30)
        finally:
            free.set()
        assert process.communicate()[0].strip() == "done"
    assert (world.server.received, world.subscription.waiting()) == (30, 0)
    assert world.mixpanel().deliver() == Delivered()


def test_every_event_type_is_sent_or_kept_on_purpose() -> None:
    undecided = set(REGISTRY) - set(VOCABULARY) - UNSENT
    assert not undecided, "give each new event type an entry in analytics/mixpanel/vocabulary.py, or name it in UNSENT"
    assert not set(VOCABULARY) & UNSENT
    assert not (set(VOCABULARY) | UNSENT) - set(REGISTRY)


def test_rules_name_fields_that_may_leave_the_house() -> None:
    for kind, entry in VOCABULARY.items():
        fields = set(REGISTRY[kind].__struct_fields__) - personal_fields(REGISTRY[kind])
        named = {rule.field for rule in entry.rules} | {name for name in (entry.weights, entry.variant_of) if name}
        assert named <= fields, kind
        properties = {rule.name for rule in entry.rules}
        assert not properties & RESERVED, kind
        assert all(re.fullmatch(r"[a-z][a-z0-9_]*", name) for name in properties), kind
        assert all(name == name.title() for name in entry.names()), kind
    assert DeliveryQuarantined.__name__ not in VOCABULARY
    assert EMOTIONS == emotion.EMOTIONS


def test_values_are_cut_to_what_mixpanel_keeps() -> None:
    assert plain("ü" * 200) == "ü" * 127
    assert len(plain(list(range(500)))) == 100
    assert plain({"a": {"b": {"c": {"d": 1}}}}) == {"a": {"b": {}}}
    assert plain(object()) is None


def test_events_travel_as_compressed_lines(world: World) -> None:
    world.plays(2)
    world.mixpanel().deliver()
    headers = world.server.requests[0].headers
    assert (headers["Content-Encoding"], headers["Content-Type"]) == ("gzip", "application/x-ndjson")
