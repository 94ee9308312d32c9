"""The weekly report's numbers, from events that were really recorded."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.building import Parts
from voxledger.analytics.report import Change, InvalidWeek, Week, WeeklyReport, build, changes
from voxledger.analytics.report.build import change
from voxledger.analytics.report.samples import choose
from voxledger.catalog.events import (
    AudioStored,
    ClipMarked,
    ClipPurged,
    ClipUnmarked,
    GenerationCancelled,
    GenerationFailed,
    GenerationReused,
    PurgeStarted,
    new_id,
)
from voxledger.catalog.settings import General, Report, Settings

ZONE = "America/New_York"
WEEK = Week.parse("2026-W45", ZONE)
"""2 to 8 November 2026; the Sunday before it, clocks went back."""
MONDAY = datetime(2026, 11, 2, tzinfo=ZoneInfo(ZONE))
Y2K = datetime(2000, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 11, 20, tzinfo=UTC)
NEW_YORK = Settings(general=General(time_zone=ZONE), report=Report(samples=3))


def reused(**changes):
    facts = {
        "channel": "api", "features": ("emotion", "tags"), "engine": "espeak", "language": "en", "emotion": "happy",
        "text_length": 20, "duration_us": 1_500_000, "saved_us": 20_000, "actor_label": "ann",
    }  # fmt: skip
    return GenerationReused(**{**facts, **changes})


def failed(failure="engine_failed", stage="synthesis", actor="ann", **changes):
    facts = {"channel": "cli", "engine": "espeak", "language": "en", "emotion": "neutral", "text_length": 9}
    return GenerationFailed(**{**facts, **changes}, failure=failure, stage=stage, elapsed_us=5, actor_label=actor)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Two weeks: ann alone, then ann and ben; with events on both sides of every boundary. Nobody adds to it."""
    parts = Parts(tmp_path_factory.mktemp("fortnight") / "home")
    parts.clip(time=MONDAY - timedelta(days=7), duration_us=1_000_000, synthesis_us=100_000)
    parts.clip(time=MONDAY - timedelta(microseconds=1), duration_us=1_000_000, synthesis_us=100_000, language="de")
    first = parts.clip(time=MONDAY, duration_us=2_000_000, synthesis_us=200_000, queue_us=400, voice_name="Ines")
    parts.clip(
        actor="ben", time=MONDAY + timedelta(days=2, hours=23, minutes=59), duration_us=6_000_000,
        synthesis_us=3_000_000, emotion="sad", emotion_effective=(0.0, 0.0, 0.4, 0.0, 0.0, 0.0, 0.0, 0.0), language="fr", channel="web",
        engine="indextts", bytes=1_000, features=("emotion", "voice"),
    )  # fmt: skip
    parts.record(reused(), first, time=MONDAY + timedelta(days=6, hours=23))
    parts.record(failed(), new_id(), time=MONDAY + timedelta(days=1))
    parts.record(failed(actor="ben"), new_id(), actor="ben", time=MONDAY + timedelta(days=1))
    cancelled = GenerationCancelled(channel="api", engine="espeak", text_length=9, elapsed_us=5, actor_label="ann")
    parts.record(cancelled, new_id(), time=MONDAY + timedelta(days=1))
    parts.clip(actor="cyd", time=MONDAY + timedelta(days=7))
    parts.keeper.drain()
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def told(recorded: Parts) -> Callable[[Week], WeeklyReport]:
    """The report of a week of these, made once: it takes half a second of CPU."""
    return cache(lambda week: build(recorded.keeper, NEW_YORK, week=week, now=LATER))


@pytest.fixture
def fortnight(recorded: Parts, tmp_path: Path) -> Iterator[Parts]:
    """The same two weeks in a HOME of its own, to which more may be added."""
    shutil.copytree(recorded.home.path, tmp_path / "fortnight")
    parts = Parts(tmp_path / "fortnight")
    yield parts
    parts.close()


def values(report: WeeklyReport, field: str = "value"):
    return {headline.metric: getattr(headline, field) for headline in report.headlines}


def test_headlines_count_the_week_and_compare_it_with_the_one_before(told: Callable[[Week], WeeklyReport]):
    report = told(WEEK)
    assert values(report) == {
        "clips": 2,
        "audio_us": 8_000_000,
        "active_users": 2,
        "returning_users": 1,
        "generations": 6,
        "reuse_rate": pytest.approx(1 / 3),
        "saved_us": 20_000,
        "failure_rate": pytest.approx(2 / 5),
        "suspect_rate": 0.0,
        "rtf_p95": pytest.approx(0.48),
        "latency_p95_us": 2_863_530,
        "queue_p95_us": 380,
    }
    previous, moved = values(report, "previous"), values(report, "change")
    assert (previous["clips"], previous["audio_us"], previous["active_users"]) == (2, 2_000_000, 1)
    assert (moved["clips"], moved["audio_us"], moved["active_users"]) == (0.0, 3.0, 1.0)
    assert moved["saved_us"] is None, "there is no percentage of nothing"
    assert moved["reuse_rate"] == pytest.approx(1 / 3), "shares move by points"
    assert report.compared_week == "2026-W44"
    assert report.closed


def test_changes_are_the_numbers_of_the_week_that_differ_and_nothing_of_the_moment(
    fortnight: Parts, told: Callable[[Week], WeeklyReport]
):
    before = told(WEEK)
    fortnight.clip(time=MONDAY + timedelta(days=15))
    again = build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER + timedelta(days=40))
    assert changes(before, again) == (), "what else came since does not change the week"
    assert changes(None, again) == ()
    fortnight.clip(actor="dot", time=MONDAY + timedelta(days=1), duration_us=1_000_000, emotion="calm")
    after = build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER)
    found = changes(before, after)
    assert found[0] == Change(section="headlines", row="clips", field="value", before=2, after=3)
    assert Change(section="emotions", row="calm", field="emotions.clips", before=None, after=1) in found
    assert Change(section="days", row="2026-11-03", field="completed", before=0, after=1) in found
    assert not {change.section for change in found} & {"quality", "provenance", "retention", "samples"}
    back = changes(after, before)
    assert {(change.before, change.after) for change in back} == {(change.after, change.before) for change in found}
    read = msgspec.json.decode(msgspec.json.encode(before), type=WeeklyReport)
    assert changes(read, before) == (), "a report that was written and read again is the same"


def test_one_more_clip_of_the_engines_own_voice_changes_its_numbers_and_no_others(
    fortnight: Parts, told: Callable[[Week], WeeklyReport]
):
    fortnight.clip(time=MONDAY + timedelta(days=1))
    found = changes(told(WEEK), build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER))
    voices = {
        (change.row, change.field): (change.before, change.after) for change in found if change.section == "voices"
    }
    assert voices["(none)", "clips"] == (1, 2)
    assert not {change for change in found if change.before is None and change.section in ("voices", "engines")}


def test_history_has_eight_weeks_and_nothing_before_the_first(told: Callable[[Week], WeeklyReport]):
    report = told(WEEK)
    assert report.history_weeks[0] == "2026-W38"
    assert report.headline("clips").history == (None,) * 6 + (2, 2)
    following = told(WEEK.following().following())
    assert following.headline("clips").history == (None,) * 4 + (2, 2, 1, 0)
    assert following.empty


def test_days_are_those_of_the_zone_across_a_clock_change(told: Callable[[Week], WeeklyReport]):
    report = told(WEEK)
    assert [day.date for day in report.days] == [f"2026-11-0{day}" for day in range(2, 9)]
    assert [day.completed for day in report.days] == [1, 0, 1, 0, 0, 0, 0]
    assert [day.reused for day in report.days] == [0, 0, 0, 0, 0, 0, 1]
    assert (report.days[1].failed, report.days[1].cancelled, report.days[2].audio_us) == (2, 1, 6_000_000)
    before = told(WEEK.previous())
    assert [day.completed for day in before.days] == [1, 0, 0, 0, 0, 0, 1]


def test_sections_say_who_what_and_how(told: Callable[[Week], WeeklyReport]):
    report = told(WEEK)
    mix = {row.emotion: (row.clips, row.clip_share, row.clip_share_before) for row in report.emotions.emotions}
    assert mix == {"happy": (1, 0.5, 1.0), "sad": (1, 0.5, 0.0)}
    assert sum(row.audio_share or 0 for row in report.emotions.emotions) == pytest.approx(1)
    assert report.emotions.effective_mean == pytest.approx((0.4, 0, 0.2, 0, 0, 0, 0, 0), abs=1e-6)
    assert [(user.actor, user.generations, user.new) for user in report.users.top] == [
        ("ann", 4, False),
        ("ben", 2, True),
    ]
    assert (report.users.active, report.users.new, report.users.returning) == (2, 1, 1)
    features = {row.feature: (row.generations, row.generation_share, row.user_share) for row in report.features}
    assert features == {
        "emotion": (3, 1.0, 1.0),
        "tags": (1, pytest.approx(1 / 3), 0.5),
        "voice": (1, pytest.approx(1 / 3), 0.5),
    }
    assert {row.name: row.generations for row in report.languages.top} == {"en": 4, "fr": 1}
    assert {row.name: row.clips for row in report.voices.top} == {"": 1, "Ines": 1}
    assert {row.name: row.generations for row in report.channels} == {"api": 2, "cli": 2, "python": 1, "web": 1}
    assert {(row.engine, row.device): (row.clips, row.failed, row.rtf_p50) for row in report.engines} == {
        ("espeak", "cpu"): (1, 0, 0.1),
        ("espeak", None): (0, 2, None),
        ("indextts", "cpu"): (1, 0, 0.5),
    }
    assert [(row.failure, row.stage, row.count, row.users) for row in report.failures] == [
        ("engine_failed", "synthesis", 2, 2)
    ]
    assert sum(found.clips for found in report.loudness) == 2


def test_the_first_week_has_nothing_to_compare_with(told: Callable[[Week], WeeklyReport]):
    report = told(WEEK.previous())
    assert report.first_week
    assert report.compared_start is None
    assert set(values(report, "change").values()) == set(values(report, "previous").values()) == {None}
    assert {row.clip_share_before for row in report.emotions.emotions} == {None}


def test_a_running_week_is_compared_with_the_same_stretch_of_the_one_before(recorded: Parts):
    now = MONDAY + timedelta(days=3)
    report = build(recorded.keeper, NEW_YORK, now=now)
    assert (report.week, report.closed) == ("2026-W45", False)
    assert report.through == now
    assert report.compared_end == MONDAY - timedelta(days=4)
    assert values(report)["clips"] == 2
    assert values(report, "previous")["clips"] == 1, "the clip of the last microsecond does not count yet"


def test_without_events_there_is_a_report_all_the_same(parts: Parts):
    report = build(parts.keeper, NEW_YORK, now=LATER)
    assert report.empty
    assert report.first_week
    assert values(report)["clips"] == 0
    assert report.provenance.chain_digest is None
    assert len(report.days) == 7


def test_storage_retention_and_provenance(fortnight: Parts):
    clips = [
        fortnight.clip(time=MONDAY + timedelta(hours=5), bytes=10, name=name)
        for name in ("late", "soon", "spared", "gone", "stored")
    ]
    late, soon, spared, gone, stored = clips
    for clip, hours in ((late, 90), (soon, 3), (spared, 5)):
        fact = ClipMarked(plan="p", rule="old", delete_after=LATER + timedelta(hours=hours))
        fortnight.record(fact, clip, time=MONDAY + timedelta(hours=6))
    fortnight.record(ClipUnmarked(plan="p", reason="pinned"), spared, time=MONDAY + timedelta(hours=7))
    fortnight.record(ClipMarked(plan="p", rule="scratch", delete_after=MONDAY), gone, time=MONDAY + timedelta(hours=7))
    fortnight.record(PurgeStarted(plan="p", rule="scratch", bucket="b"), gone, time=MONDAY + timedelta(hours=8))
    fortnight.record(ClipPurged(plan="p", rule="scratch", bucket="b", bytes=10), gone, time=MONDAY + timedelta(hours=9))
    fact = AudioStored(bucket="b", bytes=10, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")
    fortnight.record(fact, stored, time=MONDAY + timedelta(hours=9))
    report = build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER)
    assert [clip.name for clip in report.retention.expiring] == ["soon", "late"]
    assert report.retention.expiring[0].delete_after == LATER + timedelta(hours=3)
    assert report.retention.marked_clips == 2
    assert [(row.rule, row.clips, row.bytes) for row in report.retention.purged] == [("scratch", 1, 10)]
    assert report.storage.added_clips == 7
    assert report.storage.added_bytes == 66_194 + 1_000 + 50
    assert report.storage.net_bytes == report.storage.added_bytes - 10
    assert (report.storage.stored_clips, report.storage.waiting_clips) == (1, 8)
    assert report.quality.position == report.provenance.chain_position == fortnight.journal.head()
    assert gone not in {sample.clip for sample in report.samples}
    newest = fortnight.rows("SELECT digest FROM batches ORDER BY last DESC LIMIT 1")[0]["digest"]
    assert report.provenance.chain_digest == bytes(newest).hex()


def test_a_report_of_the_past_knows_nothing_of_what_was_recorded_since(fortnight: Parts):
    before = build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER)
    newest = fortnight.rows("SELECT max(recorded) AS moment FROM events")[0]["moment"]
    clip = fortnight.clip(time=MONDAY + timedelta(hours=5))
    fortnight.record(ClipMarked(plan="p", rule="old", delete_after=LATER), clip, time=MONDAY + timedelta(hours=6))
    assert values(build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER))["clips"] == values(before)["clips"] + 1
    again = build(fortnight.keeper, NEW_YORK, week=WEEK, now=LATER, as_of=newest)
    assert again.quality.mixpanel is None, "nobody knows what waited then"
    assert msgspec.structs.replace(again, quality=before.quality) == before


def test_a_report_is_the_same_whenever_it_is_made(recorded: Parts, told: Callable[[Week], WeeklyReport]):
    first = told(WEEK)
    assert first == build(recorded.keeper, NEW_YORK, week=WEEK, now=LATER)
    assert msgspec.json.decode(msgspec.json.encode(first), type=WeeklyReport) == first


def test_samples_differ_before_they_repeat(recorded: Parts, told: Callable[[Week], WeeklyReport]):
    report = told(WEEK)
    assert {(sample.actor, sample.emotion) for sample in report.samples} == {("ann", "happy"), ("ben", "sad")}
    none = msgspec.structs.replace(NEW_YORK, report=Report(samples=0))
    assert build(recorded.keeper, none, week=WEEK, now=LATER).samples == ()


@given(
    st.lists(st.tuples(st.sampled_from("hsc"), st.sampled_from(["en", "de"]), st.sampled_from("ab")), max_size=30),
    st.integers(0, 9),
)
def test_a_choice_shows_as_many_emotions_as_it_can(kinds, count):
    rows = [
        {"clip": str(place), "emotion": emotion, "language": language, "actor_id": actor}
        for place, (emotion, language, actor) in enumerate(kinds)
    ]
    chosen = choose(rows, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(rows))
    assert len({kinds[int(clip)][0] for clip in chosen}) == min(len(chosen), len({kind[0] for kind in kinds}))


def test_a_week_that_has_not_begun_is_refused(parts: Parts):
    with pytest.raises(InvalidWeek, match=r"2027-W01 has not begun; the newest week .* is 2026-W47"):
        build(parts.keeper, NEW_YORK, week=Week.parse("2027-W01"), now=LATER)


def test_a_naive_moment_is_refused(parts: Parts):
    with pytest.raises(ValueError, match="has no time zone"):
        build(parts.keeper, NEW_YORK, now=LATER.replace(tzinfo=None))


@pytest.mark.parametrize(
    "text", ["", "2026", "2026-W00", "2026-W54", "2025-W53", "0099-W10", "2026-47", "９２６-W01", "2026-W4"]
)
def test_what_is_no_week_is_refused(text):
    with pytest.raises(InvalidWeek, match=r"2026-W47|there is no week"):
        Week.parse(text)


@pytest.mark.parametrize(
    ("text", "zone", "hours"),
    [
        ("2026-W44", ZONE, 169),
        ("2026-W10", ZONE, 167),
        ("2026-W45", ZONE, 168),
        ("2018-W44", "America/Sao_Paulo", 167),
    ],
)
def test_a_week_is_as_long_as_its_clocks_say(text, zone, hours):
    week = Week.parse(text, zone)
    assert week.end.astimezone(UTC) - week.start.astimezone(UTC) == timedelta(hours=hours)
    assert not week.closed(week.end.astimezone(UTC) - timedelta(microseconds=1))
    assert week.closed(week.end)


@given(
    st.integers(0, 6_200_000_000).map(lambda seconds: Y2K + timedelta(seconds=seconds)),
    st.sampled_from(["UTC", ZONE, "Asia/Kathmandu", "Pacific/Apia"]),
)
def test_every_moment_lies_in_its_week_and_in_no_other(moment, zone):
    week = Week.of(moment, zone)
    assert week.start.astimezone(UTC) <= moment < week.end.astimezone(UTC)
    assert week.previous().end == week.start
    assert week.following().previous() == week == Week.parse(str(week), zone)
    assert week.days[0] == week.monday == date.fromisocalendar(week.year, week.number, 1)


def test_a_change_of_nothing_is_no_number():
    assert change(5, 0) is None
    assert change(None, 3) is None
    assert change(0.3, 0.1, share=True) == pytest.approx(0.2)


def test_the_json_keeps_its_fields():
    """A field that goes or changes its type breaks whoever reads the JSON: then `weekly.SCHEMA` must be raised."""
    found = msgspec.json.schema(WeeklyReport)["$defs"]
    fields = "\n".join(f"{name}: {', '.join(sorted(part['properties']))}" for name, part in sorted(found.items()))
    golden = Path(__file__).with_name("weekly_report_fields.txt")
    assert fields == golden.read_text(encoding="utf-8").strip()
