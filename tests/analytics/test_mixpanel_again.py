"""What is sent again: the quarantine, and everything since a moment."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.analytics.mixpanel_world import World, generated
from tests.mixpanel_server import Fault
from voxledger.analytics.errors import DeliveryRefused, DeliveryUnavailable, WouldCountTwice
from voxledger.analytics.mixpanel import Backfilled, Retried
from voxledger.catalog import settings
from voxledger.catalog.events import AudioAccessed, now


def _refused(world: World, count: int) -> list[str]:
    """So many events in quarantine."""
    ids = [event.id for event in world.plays(count)]
    world.server.refuse = dict.fromkeys(ids, ("properties.purpose", "no such purpose"))
    world.mixpanel().deliver()
    world.server.refuse = {}
    return ids


def test_the_quarantine_says_what_lies_there_and_why(world: World) -> None:
    ids = _refused(world, 3)
    quarantine = world.mixpanel().quarantine
    assert quarantine.count() == 3
    (reason,) = quarantine.reasons()
    assert (reason.type, reason.field, reason.reason, reason.events) == (
        "AudioAccessed", "properties.purpose", "no such purpose", 3,
    )  # fmt: skip
    assert {each.event for each in quarantine.newest(2)} < set(ids)


def test_a_retry_after_a_fix_empties_the_quarantine(world: World) -> None:
    ids = _refused(world, 3)
    assert world.mixpanel().retry(limit=2) == Retried(taken=2, remaining=1)
    assert world.mixpanel().retry() == Retried(taken=1, remaining=0)
    assert world.arrived() == sorted(ids)
    assert world.mixpanel().retry() == Retried()
    assert world.mixpanel().deliver().sent == 0, "the retries are never told"
    with world.subscription.keeper.reading() as reading:
        assert reading.tuples("SELECT count(*) FROM deliveries WHERE retried IS NOT NULL") == [(3,)]


def test_what_is_refused_again_stays_and_is_said_once(world: World) -> None:
    ids = _refused(world, 2)
    world.server.refuse = {ids[0]: ("properties.purpose", "no such purpose"), ids[1]: ("event", "another reason")}
    for _ in range(2):
        assert world.mixpanel().retry() == Retried(refused=2, remaining=2)
    assert [data["reason"] for _, data in world.quarantined()] == [
        "no such purpose",
        "no such purpose",
        "another reason",
    ]
    assert {each.reason for each in world.mixpanel().quarantine.newest()} == {"no such purpose", "another reason"}


def test_a_bounded_retry_goes_on_where_the_last_one_stopped_and_begins_anew_at_the_end(world: World) -> None:
    ids = _refused(world, 5)
    world.server.refuse = dict.fromkeys(ids[:3], ("properties.purpose", "no such purpose"))
    assert world.mixpanel().retry(limit=2) == Retried(refused=2, remaining=5)
    assert world.mixpanel().retry(limit=2) == Retried(taken=1, refused=1, remaining=4)
    assert world.mixpanel().retry(limit=2) == Retried(taken=1, refused=1, remaining=3), "the last one, then the first"
    world.server.requests.clear()
    assert world.mixpanel().retry(limit=9) == Retried(refused=3, remaining=3)
    tried = [sent["properties"]["$insert_id"] for request in world.server.requests for sent in request.events]
    assert sorted(tried) == sorted(ids[:3]), "each once"


def test_those_that_stay_silent_do_not_hide_the_others(world: World) -> None:
    _refused(world, 2)
    ben = world.recorder.vault.actor("Ben")
    (event,) = world.record(AudioAccessed(channel="web", purpose="play"), actor=ben)
    world.server.refuse = {event.id: ("event", "no")}
    world.mixpanel().deliver()
    world.server.refuse = {}
    off = world.mixpanel(actors=(settings.MixpanelActor(name="CANARY label", analytics="off"),))
    assert off.retry(limit=2) == Retried(silent=2, remaining=3)
    assert off.retry(limit=2) == Retried(taken=1, silent=1, remaining=2)


def test_a_retry_says_nothing_about_who_is_left_out_by_now(world: World) -> None:
    _refused(world, 1)
    off = (settings.MixpanelActor(name="CANARY label", analytics="off"),)
    assert world.mixpanel(actors=off).retry() == Retried(silent=1, remaining=1)
    assert world.server.received == 0


def test_what_a_wrong_clock_dated_ahead_waits_in_quarantine_for_its_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = now() + timedelta(days=400)
    with monkeypatch.context() as wrong:
        wrong.setattr("voxledger.catalog.events.envelope.now", lambda: ahead)
        world.record(AudioAccessed(channel="web", purpose="play"), time=ahead)
    world.plays(1)
    done = world.mixpanel().deliver()
    assert (done.sent, done.quarantined, done.waiting) == (1, 1, 0)
    (reason,) = world.mixpanel().quarantine.reasons()
    assert reason.field == "properties.time"
    sent = len(world.server.requests)
    assert world.mixpanel().retry() == Retried(ahead=1, remaining=1)
    assert len(world.server.requests) == sent, "nothing is asked before its time"


def test_a_retry_that_cannot_reach_anybody_changes_nothing(world: World) -> None:
    _refused(world, 2)
    with pytest.raises(DeliveryUnavailable):
        world.mixpanel(endpoint="http://127.0.0.1:1").retry()
    with pytest.raises(DeliveryRefused):
        world.mixpanel(token="wrong").retry()
    assert world.mixpanel().quarantine.count() == 2


def _old(world: World, count: int) -> None:
    world.record(*[AudioAccessed(channel="web", purpose="play")] * count, time=datetime(2026, 1, 1, tzinfo=UTC))


def test_a_backfill_sends_again_and_counts_once(world: World) -> None:
    _old(world, 5)
    world.record(generated(), generated())
    world.mixpanel().deliver()
    world.plays(2)
    waiting = world.subscription.waiting()
    done = world.mixpanel().backfill(now() - timedelta(days=1))
    assert (done.state, done.sent, done.resumed) == ("done", 2, False)
    assert (world.server.received, len(world.server.events)) == (9, 7)
    assert world.subscription.waiting() == waiting, "what waits is delivered, not sent again"
    assert world.mixpanel().backfill() == Backfilled(state="nothing")


def test_a_backfill_brings_a_new_project_everything(world: World) -> None:
    _old(world, 5)
    world.mixpanel().deliver()
    world.server.events.clear()
    assert world.mixpanel().backfill(datetime(2020, 1, 1, tzinfo=UTC)).sent == 5
    assert len(world.server.events) == 5


def test_a_backfill_reads_over_stretches_of_which_mixpanel_hears_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voxledger.analytics.mixpanel.backfill._PAGE", 3)
    _old(world, 7)
    world.plays(2)
    _old(world, 7)
    world.plays(4)
    world.mixpanel().deliver()
    world.server.events.clear()
    assert world.mixpanel().backfill(now() - timedelta(days=1)).sent == 6
    assert len(world.server.events) == 6


def test_a_backfill_that_was_broken_off_goes_on(world: World) -> None:
    world.plays(5000)
    world.mixpanel().deliver()
    since = now() - timedelta(days=1)
    world.server.faults += [Fault(), *[Fault(status=503)] * 20]
    with pytest.raises(DeliveryUnavailable):
        world.mixpanel().backfill(since)
    world.server.faults.clear()
    unfinished = world.mixpanel().status().backfill
    assert unfinished is not None
    assert (unfinished.since, unfinished.after) == (since, 2000)
    done = world.mixpanel().backfill()
    assert (done.sent, done.resumed, done.since) == (3000, True, since)
    assert world.mixpanel().status().backfill is None


@pytest.mark.parametrize("change", [{"token": "other"}, {"region": "eu"}, {"project_id": "43"}])
def test_a_backfill_that_went_to_another_project_begins_anew(world: World, change: dict[str, str]) -> None:
    world.plays(5000)
    world.mixpanel().deliver()
    since = now() - timedelta(days=1)
    world.server.faults += [Fault(), *[Fault(status=503)] * 20]
    with pytest.raises(DeliveryUnavailable):
        world.mixpanel().backfill(since)
    world.server.faults.clear()
    world.server.events.clear()
    world.server.token = change.get("token", "token")
    done = world.mixpanel(**change).backfill()
    assert (done.sent, done.resumed, done.anew, done.since) == (5000, False, True, since)
    assert len(world.server.events) == 5000
    assert b"other" not in b"".join(path.read_bytes() for path in world.home.path.glob("*.json")), (
        "the token is a secret"
    )


def test_another_backfill_takes_the_place_of_one_that_was_broken_off(world: World) -> None:
    world.plays(1)
    world.mixpanel().deliver()
    first, second = now() - timedelta(days=2), now() - timedelta(days=1)
    world.server.faults.append(Fault(status=404))
    with pytest.raises(DeliveryRefused):
        world.mixpanel().backfill(first)
    done = world.mixpanel().backfill(second)
    assert (done.since, done.gave_up, done.resumed) == (second, first, False)


def test_a_backfill_leaves_the_quarantine_alone_and_fills_it(world: World) -> None:
    ids = _refused(world, 1)
    more = [event.id for event in world.plays(2)]
    world.mixpanel().deliver()
    world.server.refuse = {more[0]: ("event", "no")}
    done = world.mixpanel().backfill(now() - timedelta(days=1))
    assert (done.sent, done.quarantined) == (1, 1)
    assert {each.event for each in world.mixpanel().quarantine.newest()} == {ids[0], more[0]}


def test_progress_is_told(world: World) -> None:
    world.plays(3)
    world.mixpanel().deliver()
    heard: list[Any] = []
    world.mixpanel().backfill(now() - timedelta(days=1), progress=lambda *step: heard.append(step))
    assert heard == [("sending again", 3, 3)]


def test_a_backfill_can_be_stopped(world: World) -> None:
    world.plays(3)
    world.mixpanel().deliver()
    stop = threading.Event()
    stop.set()
    assert world.mixpanel().backfill(now() - timedelta(days=1), stop=stop).state == "stopped"
    assert world.mixpanel().status().backfill is not None


def test_other_ids_are_not_sent_again_unless_counting_twice_is_accepted(world: World) -> None:
    """Mixpanel knows a repeat by its user, too: under another id the same event counts again."""
    world.plays(3)
    world.mixpanel().deliver()
    renamed = world.mixpanel(actor_ids="label")
    assert [(told.actor_ids, told.through) for told in renamed.status().told_otherwise] == [("opaque", 3)]
    assert world.mixpanel().status().told_otherwise == ()
    later = now()
    world.plays(2)
    assert renamed.deliver().sent == 2, "what is new goes under the new ids"
    with pytest.raises(WouldCountTwice, match="actor_ids"):
        renamed.backfill(now() - timedelta(days=1))
    assert (len(world.server.events), renamed.status().backfill) == (5, None)
    assert renamed.backfill(later).sent == 2, "what was told under these ids only may be sent again"
    assert len(world.server.events) == 5
    assert renamed.backfill(now() - timedelta(days=1), again=True).sent == 5
    assert len(world.server.events) == 8
    with pytest.raises(WouldCountTwice):
        world.mixpanel().backfill(later)


def test_a_new_project_may_be_told_under_other_ids(world: World) -> None:
    world.plays(3)
    world.mixpanel().deliver()
    world.server.token = "other"
    moved = world.mixpanel(token="other", actor_ids="label")
    assert moved.status().told_otherwise == ()
    assert moved.backfill(now() - timedelta(days=1)).sent == 3
    with pytest.raises(WouldCountTwice):
        world.mixpanel(token="other").backfill(now() - timedelta(days=1))


def test_an_accepted_backfill_that_was_broken_off_goes_on_as_accepted(world: World) -> None:
    world.plays(3000)
    world.mixpanel().deliver()
    world.server.faults += [Fault(), Fault(status=404)]
    renamed = world.mixpanel(actor_ids="label")
    with pytest.raises(DeliveryRefused):
        renamed.backfill(now() - timedelta(days=1), again=True)
    assert (done := renamed.backfill()).sent == 1000
    assert done.resumed


def test_a_retry_leaves_what_was_told_under_other_ids(world: World) -> None:
    _refused(world, 2)
    renamed = world.mixpanel(actor_ids="label")
    (late,) = (event.id for event in world.plays(1))
    world.server.refuse = {late: ("event", "no")}
    renamed.deliver()
    world.server.refuse = {}
    assert renamed.retry() == Retried(taken=1, otherwise=2, remaining=2)
    assert renamed.retry(again=True) == Retried(taken=2, remaining=0)
