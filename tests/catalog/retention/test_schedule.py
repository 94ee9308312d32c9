"""Each night is run once: whatever the time zone does, whoever wakes when, and however the clock is set."""

from __future__ import annotations

import threading
import time as clocks
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxledger.catalog import platform
from voxledger.catalog.errors import CatalogBusy, PolicyError, RunStopped
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.elsewhere import Elsewhere, note
from voxledger.catalog.retention import Retention
from voxledger.catalog.retention.schedule import Nightly, due, following
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Retention as Section
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
BERLIN = ZoneInfo("Europe/Berlin")
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
    "Asia/Kathmandu",
)
START = datetime(2026, 3, 1, tzinfo=UTC)


def nightly(text: str, zone: str = "UTC") -> Nightly:
    found = Nightly.parse(text, zone)
    assert found is not None
    return found


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


def test_a_night_is_named_by_its_date_and_due_from_its_time_on() -> None:
    three = nightly("03:00 Europe/Berlin")
    assert due(three, local("2026-11-26T02:59"), {date(2026, 11, 25)}) is None
    found = due(three, local("2026-11-26T03:00"), {date(2026, 11, 25)})
    assert found is not None
    assert (found.run, found.since.isoformat(), found.missed) == ("2026-11-26", "2026-11-26T02:00:00+00:00", 0)
    assert due(three, local("2026-11-26T03:01"), {date(2026, 11, 26)}) is None


def test_after_downtime_only_the_newest_night_is_run_and_the_missed_ones_are_counted() -> None:
    found = due(nightly("03:00", "Europe/Berlin"), local("2026-11-26T12:00"), {date(2026, 11, 20)})
    assert found is not None
    assert (found.run, found.missed) == ("2026-11-26", 5)


def test_without_any_run_the_newest_night_is_due() -> None:
    found = due(nightly("23:30"), START, set())
    assert found is not None
    assert (found.run, found.missed) == ("2026-02-28", 0)


@pytest.mark.parametrize(
    ("at", "since"),
    [
        ("02:30", "2026-03-29T01:30:00+00:00"),  # no such time: half an hour after the gap began
        ("03:00", "2026-03-29T01:00:00+00:00"),
    ],
)
def test_in_spring_a_time_that_does_not_exist_comes_once(at: str, since: str) -> None:
    clock, done, ran = nightly(at, "Europe/Berlin"), {date(2026, 3, 27)}, []
    now = datetime(2026, 3, 28, tzinfo=UTC)
    while now < datetime(2026, 3, 30, 12, tzinfo=UTC):
        if found := due(clock, now, done):
            done.add(found.night)
            ran.append(found)
        now += timedelta(minutes=10)
    assert [found.run for found in ran] == ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert ran[1].since.isoformat() == since


def test_in_autumn_a_time_that_comes_twice_is_run_once() -> None:
    clock, done, ran = nightly("02:30", "Europe/Berlin"), {date(2026, 10, 23)}, []
    now = datetime(2026, 10, 24, tzinfo=UTC)
    while now < datetime(2026, 10, 26, 12, tzinfo=UTC):
        if found := due(clock, now, done):
            done.add(found.night)
            ran.append((found.run, now.astimezone(UTC)))
        now += timedelta(minutes=10)
    assert [run for run, _ in ran] == ["2026-10-24", "2026-10-25", "2026-10-26"]
    assert ran[1][1] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of both"


@given(
    zone=st.sampled_from(ZONES),
    clock=st.times(),
    wakes=st.lists(st.integers(1, 50 * 60), min_size=1, max_size=60),
    start=st.datetimes(datetime(2011, 12, 20), datetime(2027, 12, 31), timezones=st.just(UTC)),  # noqa: DTZ001
)
def test_whoever_wakes_when_each_night_is_run_at_most_once_and_none_that_was_slept_through_is_forgotten(
    zone: str, clock: datetime, wakes: list[int], start: datetime
) -> None:
    night = nightly(f"{clock:%H:%M} {zone}")
    done: dict[date, datetime] = {}
    counted, now = 0, start
    for minutes in wakes:
        if found := due(night, now, done):
            assert found.night not in done
            assert found.since == night.at(found.night) <= now < night.at(found.night + 2 * DAY)
            done[found.night] = now
            counted += found.missed + 1
        assert due(night, now, done) is None, "and only once, however often one asks"
        assert following(night, now, done) > now
        now += timedelta(minutes=minutes)
    assert max(done) == night.newest(now - timedelta(minutes=wakes[-1]))
    assert counted == (max(done) - min(done)).days + 1, "every night was run, or said to be missed"


@given(
    zone=st.sampled_from(ZONES),
    jumps=st.lists(st.tuples(st.integers(1, 40 * 60), st.integers(-90 * 24, 90 * 24)), min_size=1, max_size=40),
)
def test_however_the_clock_is_set_no_night_is_run_twice_and_none_is_left_out_for_it(
    zone: str, jumps: list[tuple[int, int]]
) -> None:
    night, done, now = nightly("02:30", zone), set[date](), START
    for minutes, hours in jumps:
        found = due(night, now, done)
        newest = night.newest(now)
        assert (found is None) == (newest in done), "a run at a wrong time stands in no other night's way"
        if found:
            assert found.night == newest
            done.add(found.night)
        now += timedelta(minutes=minutes, hours=hours if minutes % 3 == 0 else 0)


@pytest.mark.parametrize("text", ["3", "24:00", "03:60", "at three", "03:00 Europe/Berlin daily", "3am"])
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(PolicyError, match="is no time of day: write '03:00'"):
        Nightly.parse(text, "UTC")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "Europe/Berlim"])
def test_a_zone_that_is_none_is_named(zone: str) -> None:
    with pytest.raises(PolicyError, match=f"'{zone}' is no IANA time zone, such as 'Europe/Berlin'"):
        Nightly.parse(f"03:00 {zone}", "UTC")


def test_without_a_schedule_there_is_none() -> None:
    assert Nightly.parse(" ", "UTC") is None
    assert str(nightly("3:00", "Europe/Berlin")) == "03:00 Europe/Berlin"


ALL = ExpireRule(name="all", keep_for=5 * 86400, match="all")
NIGHTLY = {"schedule": "00:00"}


def runs(world: World) -> list[str]:
    return [data["run"] for name, data in world.events() if name == "RetentionPlanned" and data["run"]]


def test_a_night_is_applied_once_by_whoever_comes_first(world: World) -> None:
    clip = world.clip()
    today = world.now.date()
    first, second = world.retention(ALL, **NIGHTLY), world.retention(ALL, **NIGHTLY)
    ran = first.run_due(world.now)
    assert ran is not None
    assert (ran.run, ran.missed, ran.applied.marked) == (today.isoformat(), 0, 1)
    assert second.run_due(world.now) is None
    assert first.run_due(world.now) is None
    later = second.run_due(world.now + 9 * DAY)
    assert later is not None
    assert (later.run, later.missed, later.applied.purged) == ((today + 9 * DAY).isoformat(), 8, 1)
    assert world.types(clip)[-1] == "ClipPurged"
    assert runs(world) == [ran.run, later.run]
    idle = second.run_due(world.now + 10 * DAY)
    assert idle is not None, "a run with nothing to do is done all the same"
    assert runs(world)[-1] == idle.run


def test_applying_by_hand_is_no_run_of_the_schedule(world: World) -> None:
    world.clip()
    retention = world.retention(ALL, **NIGHTLY)
    assert retention.apply(now=world.now).marked == 1
    assert retention.run_due(world.now) is not None


def test_without_a_schedule_nothing_runs_by_itself(world: World) -> None:
    world.clip()
    retention = world.retention(ALL)
    assert retention.run_due(world.now) is None
    assert (retention.status(world.now).schedule, retention.status(world.now).next_run) == ("", None)


def test_many_at_once_run_a_night_once(world: World) -> None:
    for _ in range(5):
        world.clip()
    with ThreadPoolExecutor(4) as pool:
        every = [world.retention(ALL, **NIGHTLY) for _ in range(4)]
        found = list(pool.map(lambda retention: retention.run_due(world.now), every))
    assert sum(ran is not None for ran in found) == 1
    assert len(runs(world)) == 1


def test_another_run_is_waited_for_at_the_next_wake(world: World) -> None:
    world.clip()
    retention = world.retention(ALL, **NIGHTLY)
    with platform.locked(world.home.path / "retention.lock"):
        assert retention.run_due(world.now) is None
    assert retention.run_due(world.now) is not None


def test_a_late_run_waits_for_the_purge_window_and_then_purges(world: World) -> None:
    clip = world.clip()
    section = {"schedule": "02:00", "purge_window": "01:00-05:00"}
    retention = world.retention(ALL, **section)
    retention.apply(now=world.now)
    noon = (world.now + 8 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)
    night = noon.date().isoformat()
    late = retention.run_due(noon)
    assert late is not None
    assert (late.run, late.applied.purged, late.applied.waiting, late.applied.over) == (night, 0, 1, False)
    length = len(world.events())
    assert retention.run_due(noon + timedelta(hours=1)) is None, "there is nothing to plan until it opens"
    assert len(world.events()) == length
    opens = noon + timedelta(hours=13)
    for asked in (retention, world.retention(ALL, **section)):
        standing = asked.status(noon + timedelta(hours=2))
        assert standing.waiting is not None
        assert (standing.waiting.run, standing.waiting.clips, standing.waiting.opens) == (night, 1, opens)
    ran = retention.run_due(opens)
    assert ran is not None
    assert (ran.run, ran.missed, ran.applied.purged, ran.applied.over) == (night, 0, 1, True)
    assert (world.types(clip)[-1], runs(world), retention.status(opens).waiting) == ("ClipPurged", [night], None)
    assert retention.run_due(opens + timedelta(minutes=1)) is None
    following_night = retention.run_due(opens + timedelta(hours=1))
    assert following_night is not None
    assert following_night.missed == 0


def test_a_node_that_starts_while_purges_wait_takes_them_up_when_the_window_opens(world: World) -> None:
    world.clip()
    section = {"schedule": "02:00", "purge_window": "01:00-05:00"}
    world.retention(ALL, **section).apply(now=world.now)
    noon = (world.now + 8 * DAY).replace(hour=12, minute=0, second=0, microsecond=0)
    world.retention(ALL, **section).run_due(noon)
    ran = world.retention(ALL, **section).run_due(noon + timedelta(hours=13))
    assert ran is not None
    assert ran.applied.purged == 1


def test_what_stops_a_run_is_said_and_counted_once_until_it_goes_on(world: World) -> None:
    clips = [world.clip(), world.clip()]
    careful = world.retention(ALL, max_clips=1, **NIGHTLY)
    for minutes in (0, 1, 2):
        with pytest.raises(RunStopped, match=r"would mark 2 clips, more than retention\.max_clips = 1") as caught:
            careful.run_due(world.now + timedelta(minutes=minutes))
        assert caught.value.cause == "fuse"
    standing = careful.status(world.now)
    assert standing.stopped is not None
    assert (standing.stopped.cause, standing.stopped.since, standing.stops) == ("fuse", world.now, {"fuse": 1})
    assert standing.next_run is not None
    assert standing.next_run <= world.now, "it is due still"
    assert [world.types(clip) for clip in clips] == [[], []]
    assert world.retention(ALL, **NIGHTLY).run_due(world.now + timedelta(minutes=3)) is not None
    standing = careful.status(world.now + timedelta(minutes=4))
    assert (standing.stopped, standing.stops, standing.last_run) == (None, {"fuse": 1}, world.now.date().isoformat())
    assert standing.last_stop is not None
    assert (standing.last_stop.cause, standing.last_stop.since) == ("fuse", world.now)
    assert standing.next_run == datetime.combine(world.now.date() + DAY, time(), UTC)


def test_no_word_of_a_clip_stays_behind_in_what_stopped_a_run(world: World) -> None:
    world.clip(session="quillfeather")
    retention = world.retention(ExpireRule(name="a", keep_for=1, session="quilfeather"), schedule="03:00")
    with pytest.raises(RunStopped, match="did you mean 'quillfeather'"):
        retention.run_due(world.now)
    kept = (world.home.path / "retention.json").read_text()
    assert "which no clip ever had (or say allow_unseen = true)" in kept
    assert "quillfeather" not in kept


def test_without_rules_a_run_stops(world: World) -> None:
    world.clip()
    with pytest.raises(RunStopped, match="there are no rules") as caught:
        world.retention(**NIGHTLY).run_due(world.now)
    assert caught.value.cause == "policy"


def test_a_clock_that_was_set_back_stops_a_run(world: World) -> None:
    world.clip()
    with pytest.raises(
        RunStopped, match=r"the clock lies before the newest event, of .* UTC\. If it was set back"
    ) as caught:
        world.retention(ALL, **NIGHTLY).run_due(world.now - DAY)
    assert (caught.value.cause, runs(world)) == ("clock", [])


def test_after_a_clock_that_was_far_ahead_an_operator_says_so_and_runs_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at(moment: datetime) -> None:
        for module in ("journal.transaction", "recorder", "events.envelope"):
            monkeypatch.setattr(f"voxledger.catalog.{module}.now", lambda: moment)

    clip, other = world.clip(), world.clip()
    at(world.now + 365 * DAY)
    world.play(other)
    at(world.now)
    world.play(other)
    said = set()
    for minutes in (0, 5):
        with pytest.raises(RunStopped, match=r"retention\.wrong_clock_until = ") as caught:
            world.retention(ALL, **NIGHTLY).run_due(world.now + timedelta(minutes=minutes))
        said.add(str(caught.value))
    assert (caught.value.cause, len(said)) == ("clock", 1), "it says the same at each try"
    with pytest.raises(PolicyError, match=r"retention\.wrong_clock_until = "):
        world.retention(ALL).apply(now=world.now)
    told = {"wrong_clock_until": said.pop().split('"')[1], **NIGHTLY}
    ran = world.retention(ALL, **told).run_due(world.now)
    assert ran is not None
    assert (ran.applied.marked, world.types(clip)) == (1, ["ClipMarked"])
    assert world.retention(ALL, **told).apply(now=world.now + DAY).marked == 0
    at(world.now + 2 * DAY)
    world.play(other)
    with pytest.raises(PolicyError, match="since it was set right"):
        world.retention(ALL, **told).apply(now=world.now + DAY)
    at(world.now + 500 * DAY)
    world.play(other)
    with pytest.raises(PolicyError, match=r"retention\.wrong_clock_until = "):
        world.retention(ALL, **told).apply(now=world.now + 3 * DAY)


def test_what_is_no_time_of_a_wrong_clock_is_refused(world: World) -> None:
    with pytest.raises(PolicyError, match=r"retention\.wrong_clock_until = 'soon' is no time"):
        world.retention(ALL, wrong_clock_until="soon").plan(world.now)


def test_a_store_that_is_away_stops_a_run_before_anything_is_changed(world: World) -> None:
    clip, fresh = world.clip(), world.clip(age=DAY)
    retention = world.retention(ALL, **NIGHTLY)
    retention.run_due(world.now)
    world.store.down = True
    with pytest.raises(RunStopped, match="nobody answers") as caught:
        retention.run_due(world.now + 8 * DAY)
    assert (caught.value.cause, len(runs(world))) == ("store", 1)
    assert (world.types(clip), world.types(fresh)) == (["ClipMarked"], [])
    world.store.down = False
    assert retention.run_due(world.now + 8 * DAY) is not None


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_store_whose_clock_is_another_stops_a_run(world: World, ahead: int) -> None:
    world.clip()
    with answering(ahead) as url:
        settings = StoreSettings(endpoint=url, access_key="a", secret_key="b")
        store = Store(world.home, settings)
        retention = Retention(
            world.home, Settings(retention=Section(rules=(ALL,), **NIGHTLY), store=settings), world.recorder, world.keeper,
            lambda: store,
        )  # fmt: skip
        with pytest.raises(RunStopped, match=f"10 minutes {'ahead of' if ahead > 0 else 'behind'} ours") as caught:
            retention.run_due(world.now)
        store.close()
    assert (caught.value.cause, runs(world)) == ("clock", [])


@contextmanager
def answering(ahead: float) -> Iterator[str]:
    """A store that refuses everything, by a clock that is so many seconds ahead."""

    class Refusing(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", formatdate(clocks.time() + ahead, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_while_another_home_goes_on_as_this_node_nothing_is_condemned(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL, **NIGHTLY)
    note(world.home, Elsewhere(position=9, epoch=None, seen=world.now))
    plan = retention.plan(world.now)
    assert plan.unknown is not None
    assert "another HOME goes on as this node" in plan.unknown
    assert plan.condemned.clips == 0
    with pytest.raises(PolicyError, match="another HOME goes on as this node"):
        retention.apply(now=world.now)
    with pytest.raises(RunStopped, match="another HOME goes on as this node") as caught:
        retention.run_due(world.now)
    assert (caught.value.cause, world.types(clip), runs(world)) == ("elsewhere", [], [])
    note(world.home, Elsewhere(position=9, epoch=None, seen=world.now - 8 * DAY))
    assert retention.run_due(world.now) is not None, "it was given up"


def test_usage_that_is_not_known_stops_a_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clip()

    def busy(**_: object) -> None:
        raise CatalogBusy("another process holds log.duckdb and did not let go")

    monkeypatch.setattr(world.keeper, "reading", busy)
    with pytest.raises(RunStopped, match=r"nobody knows what was used lately.*another process holds") as caught:
        world.retention(ALL, **NIGHTLY).run_due(world.now)
    assert caught.value.cause == "ingestion"


def test_a_policy_is_recorded_when_it_changes(world: World) -> None:
    world.clip()
    loose = ExpireRule(name="all", keep_for=6 * 86400, match="all")
    for rules, days in (((ALL,), 0), ((ALL,), 1), ((loose,), 2), ((ALL,), 3)):
        world.retention(*rules, **NIGHTLY).run_due(world.now + days * DAY)
    changed = [data for name, data in world.events() if name == "PolicyChanged"]
    one, two = changed[0]["policy"], changed[1]["policy"]
    assert [(data["policy"], data["previous"]) for data in changed] == [(one, None), (two, one), (one, two)]
    with world.keeper.reading() as reading:
        assert reading.tuples("SELECT policy, expire_rules, grace_us FROM policies LIMIT 1") == [
            (one, 1, 7 * 86400 * 10**6)
        ]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"schedule": "3am"}, "is no time of day"),
        ({"schedule": "12:00", "purge_window": "01:00-05:00"}, "lies outside of retention.purge_window"),
    ],
)
def test_a_schedule_that_cannot_be_is_a_problem_of_the_policy(world: World, section: dict[str, str], said: str) -> None:
    retention = world.retention(ALL, **section)
    with pytest.raises(PolicyError, match=said):
        retention.run_due(world.now)
    with pytest.raises(PolicyError, match=said):
        retention.plan(world.now)
