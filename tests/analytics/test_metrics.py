"""The metrics, counted by DuckDB from events that were really recorded."""

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.building import Parts
from voxledger.analytics import metrics
from voxledger.analytics.metrics import METRICS, MetricError, UnknownMetric, breakdown, explain, measure, series
from voxledger.analytics.metrics.metric import WHOLE_ONLY
from voxledger.catalog.catalog import Catalog
from voxledger.catalog.events import (
    AudioAccessed,
    AudioStored,
    ClipPurged,
    GenerationCancelled,
    GenerationFailed,
    GenerationReused,
    PurgeStarted,
    new_id,
)
from voxledger.catalog.log import Reading

START = datetime(2026, 11, 2, tzinfo=UTC)
STOP = START + timedelta(days=7)
EMOTIONS = ("happy", "sad", "neutral")
GROUPED = [(name, way) for name, one in METRICS.items() for way in metrics.dimensions_of(one.source)]


def reused(**changes: Any) -> GenerationReused:
    facts = {
        "channel": "api", "features": ("emotion", "tags"), "engine": "espeak", "language": "en", "emotion": "happy",
        "text_length": 3, "duration_us": 2_000_000, "saved_us": 77, "actor_label": "ben",
    }  # fmt: skip
    return GenerationReused(**{**facts, **changes})


def failed(**changes: Any) -> GenerationFailed:
    facts = {
        "channel": "api", "engine": "espeak", "language": None, "failure": "timeout", "stage": "queue", "emotion": "neutral",
        "text_length": 3, "elapsed_us": 5, "actor_label": "ben",
    }  # fmt: skip
    return GenerationFailed(**{**facts, **changes})


def stored(size: int = 1000) -> AudioStored:
    return AudioStored(bucket="b", bytes=size, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k")


def purge(parts: Parts, clip: str, when: datetime, size: int) -> None:
    parts.record(PurgeStarted(plan="p", rule="r", bucket="b"), clip, time=when - timedelta(hours=1))
    parts.record(ClipPurged(plan="p", rule="r", bucket="b", bytes=size), clip, time=when)


def told(parts: Parts, *names: str, **more: Any) -> dict[str, metrics.Value]:
    with parts.keeper.reading() as reading:
        return dict(measure(reading, names, START, STOP, **more))


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Parts]:
    """Five weeks of a studio, the same each time: four actors, all outcomes, plays, uploads and purges."""
    parts = Parts(tmp_path_factory.mktemp("studio") / "home")
    chance = random.Random(5)
    for _ in range(150):
        when = START - timedelta(weeks=4) + timedelta(seconds=chance.randrange(5 * 7 * 86400))
        actor = chance.choice(["ann", "ben", "cyd", "dee"])
        clip = parts.clip(
            actor=actor, time=when, emotion=chance.choice(EMOTIONS), language=chance.choice(["en", "de"]),
            engine=chance.choice(["espeak", "indextts"]), device=chance.choice(["cpu", "cuda:0"]), channel=chance.choice(["api", "cli"]),
            features=tuple(chance.sample(["emotion", "voice", "tags"], chance.randrange(4))), duration_us=chance.randrange(10**7),
            bytes=chance.randrange(10**6), queue_us=chance.randrange(1000), suspect=chance.choice([(), (), ("clipped",)]),
            voice_name=chance.choice([None, "Ines"]), tags=tuple(chance.sample(["a", "b"], chance.randrange(3))),
        )  # fmt: skip
        later = when + timedelta(hours=chance.randrange(1, 300))
        if chance.random() < 0.7:
            parts.record(stored(), clip, time=when + timedelta(minutes=1))
        if chance.random() < 0.3:
            parts.record(AudioAccessed(channel="api", purpose="play"), clip, actor="dee", time=later)
        if chance.random() < 0.2:
            purge(parts, clip, later + timedelta(hours=2), 10)
        if chance.random() < 0.3:
            parts.record(reused(actor_label=actor), clip, actor=actor, time=later)
        if chance.random() < 0.2:
            parts.record(failed(actor_label=actor), new_id(), actor=actor, time=later)
        if chance.random() < 0.1:
            fact = GenerationCancelled(channel="api", engine="espeak", text_length=9, elapsed_us=5, actor_label=actor)
            parts.record(fact, new_id(), actor=actor, time=later)
    yield parts
    parts.close()


@pytest.fixture(scope="module")
def reading(studio: Parts) -> Iterator[Reading]:
    with studio.keeper.reading() as reading:
        yield reading


some = settings(max_examples=15, deadline=None)
"""Each example asks a real catalog, some milliseconds a question."""
periods = st.tuples(st.integers(0, 5 * 7 * 24), st.integers(0, 5 * 7 * 24)).map(
    lambda hours: tuple(START - timedelta(weeks=4) + timedelta(hours=hour) for hour in sorted(hours))
)
"""Two moments of the studio's five weeks, in order."""


def test_every_metric_is_defined_in_one_sentence_and_in_one_way():
    for metric in METRICS.values():
        assert metric.definition.endswith(".")
        assert ". " not in metric.definition
        assert bool(metric.aggregate) != bool(metric.of), metric.name


def test_nothing_gives_zeros_and_no_rates(parts: Parts):
    with parts.keeper.reading() as reading:
        found = measure(reading, list(METRICS), START, STOP)
        days = series(reading, ["clips", "reuse_rate", "lost_users"], START, STOP, every="day").rows()
        assert breakdown(reading, ["clips", "clip_share"], START, STOP, by=["emotion"]).is_empty()
    assert found == {name: metric.empty for name, metric in METRICS.items()}
    assert days == [(START.date() + timedelta(days=day), 0, None, 0) for day in range(7)]


def test_rates_leave_out_what_was_never_answered(parts: Parts):
    clip = parts.clip(time=START)
    parts.clip(time=START)
    parts.record(reused(), clip, time=START)
    parts.record(failed(), new_id(), time=START)
    cancelled = GenerationCancelled(channel="api", engine="espeak", text_length=9, elapsed_us=5, actor_label="ann")
    parts.record(cancelled, new_id(), time=START)
    assert told(parts, "reuse_rate", "failure_rate", "generations", "answered") == {
        "reuse_rate": pytest.approx(1 / 3),
        "failure_rate": pytest.approx(1 / 4),
        "generations": 5,
        "answered": 3,
    }


def test_percentiles_interpolate_over_new_clips_only(parts: Parts):
    for tenth in range(11):
        parts.clip(time=START, synthesis_us=tenth * 100_000, duration_us=1_000_000, queue_us=tenth * 100)
    silent = parts.clip(time=START, synthesis_us=9, duration_us=0, queue_us=500)
    parts.record(reused(), silent, time=START)
    assert told(parts, "rtf_p50", "rtf_p95", "queue_p95_us") == {
        "rtf_p50": pytest.approx(0.5),
        "rtf_p95": pytest.approx(0.95),
        "queue_p95_us": 945,
    }


def test_a_period_holds_its_start_and_not_its_end(parts: Parts):
    for moment in (START - timedelta(microseconds=1), START, STOP - timedelta(microseconds=1), STOP):
        parts.clip(time=moment)
    assert told(parts, "clips", "added_clips", "funnel_made") == {"clips": 2, "added_clips": 2, "funnel_made": 2}


def test_users_come_return_stay_and_leave(parts: Parts):
    for actor, weeks in {"ann": (-4, 0), "ben": (0,), "cyd": (-1, 0), "dee": (-1,), "eve": (-4,), "fay": (1,)}.items():
        for week in weeks:
            parts.clip(actor=actor, time=START + timedelta(weeks=week, hours=1))
    names = (
        "active_users",
        "new_users",
        "returning_users",
        "retained_users",
        "resurrected_users",
        "lost_users",
        "retention_rate",
    )
    assert tuple(told(parts, *names).values()) == (3, 1, 2, 1, 1, 1, 0.5)
    assert told(parts, "retained_users", "lost_users", before=START - timedelta(weeks=5)) == {
        "retained_users": 2,
        "lost_users": 2,
    }
    with parts.keeper.reading() as reading:
        weeks = series(reading, names[:-1], START - timedelta(weeks=1), STOP + timedelta(weeks=1), every="week")
    assert weeks.rows() == [
        (date(2026, 10, 26), 2, 2, 0, 0, 0, 0),
        (date(2026, 11, 2), 3, 1, 2, 1, 1, 1),
        (date(2026, 11, 9), 1, 1, 0, 0, 0, 3),
    ]


def test_one_user_alone_has_all_shares(parts: Parts):
    parts.clip(time=START)
    with parts.keeper.reading() as reading:
        found = breakdown(reading, ["clips", "clip_share", "user_share"], START, STOP, by=["actor"])
    assert found.rows() == [("ann", 1, 1.0, 1.0)]


def test_storage_tells_what_came_what_went_and_what_waits(parts: Parts):
    old = parts.clip(time=START - timedelta(days=9), bytes=1000)
    gone = parts.clip(time=START, bytes=30)
    parts.clip(time=START, bytes=200)
    parts.record(stored(), old)
    purge(parts, gone, START + timedelta(hours=2), 30)
    assert told(
        parts, "added_clips", "added_bytes", "purged_clips", "purged_bytes", "net_bytes", "stored_bytes", "waiting_bytes", "waiting_clips"
    ) == {
        "added_clips": 2, "added_bytes": 230, "purged_clips": 1, "purged_bytes": 30, "net_bytes": 200,
        "stored_bytes": 1000, "waiting_bytes": 200, "waiting_clips": 1,
    }  # fmt: skip


def test_a_funnel_never_widens(reading: Reading):
    steps = ("funnel_made", "funnel_stored", "funnel_played", "funnel_kept")
    found = measure(reading, steps, START - timedelta(weeks=4), STOP)
    counts = [found[name] or 0 for name in steps]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[1] > counts[2] > counts[3] > 0


@some
@given(periods)
def test_outcomes_add_up_and_sums_stay_whole(reading: Reading, period):
    found = measure(reading, list(METRICS), *period)
    assert found["generations"] == sum(found[name] for name in ("clips", "reused", "failed", "cancelled"))
    assert found["active_users"] == found["new_users"] + found["returning_users"]
    assert found["returning_users"] == found["retained_users"] + found["resurrected_users"]
    for name, value in found.items():
        if METRICS[name].unit in ("count", "us", "bytes", "micro"):
            assert value is None or isinstance(value, int), name
        if METRICS[name].unit == "share":
            assert value is None or 0 <= value <= 1, name


@some
@given(periods, st.sampled_from(GROUPED))
def test_groups_add_up_to_the_whole(reading: Reading, period, grouped):
    name, way = grouped
    groups = breakdown(reading, [name], *period, by=[way])
    if METRICS[name].of is not None and METRICS[name].additive and not metrics.DIMENSIONS[way].several:
        whole = measure(reading, [METRICS[name].of], *period)[METRICS[name].of]
        assert groups[name].sum() == pytest.approx(1 if whole else 0)
    elif METRICS[name].additive and not metrics.DIMENSIONS[way].several:
        assert groups[name].sum() == measure(reading, [name], *period)[name]
    assert groups[name].drop_nulls().is_sorted(descending=True)


@some
@given(
    periods,
    st.sampled_from(
        [name for name, one in METRICS.items() if one.additive and one.source not in (*WHOLE_ONLY, "users")]
    ),
)
def test_days_add_up_to_the_whole_in_any_zone(reading: Reading, period, name):
    if period[0] < period[1] and METRICS[name].of is None:
        days = series(reading, [name], *period, every="day", zone="America/New_York")
        assert days[name].sum() == measure(reading, [name], *period)[name]


@some
@given(periods, st.sampled_from(EMOTIONS))
def test_known_groups_leave_out_what_does_not_tell(reading: Reading, period, emotion):
    found = breakdown(reading, ["generations", "generation_share"], *period, by=["language"], known=True)
    assert found["language"].null_count() == 0
    assert found["generation_share"].sum() == pytest.approx(1 if found.height else 0)


@pytest.mark.parametrize("name", METRICS)
def test_the_explained_query_gives_the_very_number(studio: Parts, reading: Reading, name):
    catalog = Catalog(
        studio.home, studio.recorder, studio.keeper, lambda: pytest.fail("no store"), actor="ann", channel="python"
    )

    def asked(**more):
        return catalog.sql(explain(name, START, STOP, **more), fresh=False).pl()

    assert asked().rows() == [(measure(reading, [name], START, STOP)[name],)]
    ways = metrics.dimensions_of(METRICS[name].source)
    for way in ways[list(METRICS).index(name) % len(ways) :][:1] if ways else ():  # all of them over all metrics
        assert asked(by=[way]).equals(breakdown(reading, [name], START, STOP, by=[way]))
        if METRICS[name].source not in WHOLE_ONLY:
            days = series(reading, [name], START, STOP, every="day", by=[way])
            assert asked(every="day", by=[way]).rows() == days.rows()


def test_weeks_are_those_of_the_zone_across_a_clock_change(parts: Parts):
    zone = ZoneInfo("America/New_York")
    for moment in (
        datetime(2026, 11, 1, 23, 59, tzinfo=zone),
        datetime(2026, 11, 2, tzinfo=zone),
        datetime(2026, 11, 8, 23, 59, tzinfo=zone),
    ):
        parts.clip(time=moment)
    with parts.keeper.reading() as reading:
        found = series(
            reading,
            ["clips"],
            datetime(2026, 10, 26, tzinfo=zone),
            datetime(2026, 11, 9, tzinfo=zone),
            every="week",
            zone=str(zone),
        )
    assert found.rows() == [(date(2026, 10, 26), 1), (date(2026, 11, 2), 2)]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Beirut", "UTC"])
def test_every_hour_lies_in_its_own_day_across_clock_changes(parts: Parts, zone: str):
    here = ZoneInfo(zone)
    begin, end = datetime(2026, 3, 20, tzinfo=here).astimezone(UTC), datetime(2026, 4, 10, tzinfo=here).astimezone(UTC)
    hours = [begin + timedelta(hours=number) for number in range(int((end - begin) / timedelta(hours=1)))]
    for hour in hours:
        parts.record(failed(), new_id(), time=hour)
    with parts.keeper.reading() as reading:
        days = series(reading, ["failed"], begin, end, every="day", zone=zone)
    counted = [sum(hour.astimezone(here).date() == day for hour in hours) for day in days["stretch"]]
    assert days["failed"].to_list() == counted


def test_months_are_whole_and_all_other_groups_are_one(parts: Parts):
    for moment, actor in ((datetime(2026, 1, 31, 23, tzinfo=UTC), "ann"), (datetime(2026, 2, 1, tzinfo=UTC), "o'ben"),
                          (datetime(2026, 2, 28, tzinfo=UTC), "cleo")):  # fmt: skip
        parts.record(failed(actor_label=actor), new_id(), time=moment)
    span = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    with parts.keeper.reading() as reading:
        months = series(reading, ["failed"], *span, every="month")
        groups = series(reading, ["failed"], *span, every="month", by=["actor"], among=["o'ben"])
    assert months.rows() == [(date(2026, 1, 1), 1), (date(2026, 2, 1), 2)]
    assert set(groups.rows()) == {
        (date(2026, 1, 1), None, 1),
        (date(2026, 2, 1), None, 1),
        (date(2026, 2, 1), "o'ben", 1),
    }


def test_shares_of_a_week_are_of_that_week(parts: Parts):
    parts.clip(time=START - timedelta(weeks=1), features=("emotion",))
    parts.clip(time=START, features=("emotion", "tags"))
    parts.clip(time=START, features=())
    with parts.keeper.reading() as reading:
        found = series(reading, ["clip_share"], START - timedelta(weeks=1), STOP, every="week", by=["feature"])
    assert found.rows() == [
        (date(2026, 10, 26), "emotion", 1.0),
        (date(2026, 11, 2), "emotion", 0.5),
        (date(2026, 11, 2), "tags", 0.5),
    ]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda reading: measure(reading, ["clpis"], START, STOP), "no metric 'clpis'; did you mean 'clips'"),
        (
            lambda reading: measure(reading, ["forecast"], START, STOP),
            "forecast is a table and no metric: `voxledger report weekly --json`",
        ),
        (lambda reading: breakdown(reading, ["clips"], START, STOP, by=["emotoin"]), "did you mean 'emotion'"),
        (lambda reading: breakdown(reading, ["new_users"], START, STOP, by=["emotion"]), "only told as a whole"),
        (
            lambda reading: breakdown(reading, ["plays"], START, STOP, by=["emotion"]),
            "it can be by actor_id, channel, purpose",
        ),
        (
            lambda reading: breakdown(reading, ["clips", "plays"], START, STOP, by=["channel"]),
            "counted from different rows",
        ),
        (lambda reading: series(reading, ["stored_bytes"], START, STOP, every="day"), "told of a period as a whole"),
        (lambda reading: series(reading, ["clips"], STOP, START, every="day"), "must begin before it ends"),
        (
            lambda reading: series(reading, ["clips"], START - timedelta(days=9000), STOP, every="day"),
            "more than 800 days",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_a_reason(reading: Reading, ask, said):
    with pytest.raises(MetricError, match=said):
        ask(reading)
    assert issubclass(UnknownMetric, MetricError)


def test_a_naive_moment_is_refused(reading: Reading):
    with pytest.raises(ValueError, match="has no time zone"):
        measure(reading, ["clips"], START.replace(tzinfo=None), STOP)


def test_features_are_taken_up_kept_and_dropped(parts: Parts):
    for actor, week, used in (
        ("ann", -1, "emotion"), ("ann", 0, "emotion tags"), ("ben", -1, "emotion"), ("cyd", -12, "tags"), ("cyd", 0, "tags"),
    ):  # fmt: skip
        parts.clip(actor=actor, time=START + timedelta(weeks=week, hours=1), features=tuple(used.split()))
    names = ["adopters", "new_adopters", "returning_adopters", "dropped_adopters"]
    with parts.keeper.reading() as reading:
        found = breakdown(reading, names, START, STOP, by=["feature"])
        assert list(measure(reading, names, START, STOP).values()) == [2, 2, 1, 1]
    assert found.rows() == [("tags", 2, 2, 0, 0), ("emotion", 1, 0, 1, 1)], "after eight weeks a feature is new again"


PRICES = metrics.Prices(
    currency="EUR", gb_month=20_000, uploads=5_000, devices=(("cuda:1", 7_200_000), ("cuda", 3_600_000))
)


def test_cost_is_room_uploads_and_engine_time(parts: Parts):
    clip = parts.clip(
        time=START - timedelta(days=3),
        bytes=90 * 10**9,
        device="cuda:0",
        synthesis_us=5_000_000,
        duration_us=3_600_000_000,
    )
    parts.record(stored(90 * 10**9), clip, time=START - timedelta(days=2))
    for device in ("cuda:0", "cuda:1", "cpu"):
        parts.clip(time=START, device=device, synthesis_us=2_000_000, duration_us=1_800_000_000)
    fact = AudioStored(bucket="indextts-audio", bytes=1, etag="e", attempts=3, transfer_us=1, waited_us=1, key="k")
    parts.record(fact, parts.clip(time=START, bytes=1, synthesis_us=0, duration_us=0), time=START)
    purge(parts, clip, START + timedelta(days=1), 90 * 10**9)
    parts.record(reused(saved_us=5_000_000), clip, time=START)
    names = (
        "cost_micro",
        "room_cost_micro",
        "upload_cost_micro",
        "engine_cost_micro",
        "cost_per_hour_micro",
        "saved_micro",
        "saved_gpu_us",
    )
    room, engine = 90 * 20_000 // 30, 2_000 + 4_000
    with parts.keeper.reading() as reading:
        found = measure(reading, names, START, STOP, prices=PRICES)
        parted = breakdown(reading, ["cost_micro"], START, STOP, by=["part", "item"], prices=PRICES).rows()
        asked = reading.frame(explain("cost_micro", START, STOP, prices=PRICES)).item()
    assert list(found.values()) == [
        room + 15 + engine,
        room,
        15,
        engine,
        (room + 15 + engine) * 2 // 3,
        5_000,
        5_000_000,
    ]
    assert parted[:3] == [("room", "indextts-audio", room), ("engine", "cuda:1", 4_000), ("engine", "cuda:0", 2_000)]
    assert asked == found["cost_micro"]


def test_cohorts_say_who_came_again(parts: Parts):
    for actor, weeks in {"ann": (-2, -1, 0), "ben": (-2, 0), "cyd": (0,), "dee": (-30, 0)}.items():
        for week in weeks:
            parts.clip(actor=actor, time=START + timedelta(weeks=week, hours=1))
    with parts.keeper.reading() as reading:
        found = metrics.cohorts(reading, STOP)
        in_apia = metrics.cohorts(reading, STOP, zone="Pacific/Apia")
    assert found.rows() == [
        (date(2026, 10, 19), 0, 2, 1.0),
        (date(2026, 10, 19), 1, 1, 0.5),
        (date(2026, 10, 19), 2, 2, 1.0),
        (date(2026, 11, 2), 0, 1, 1.0),
    ]
    assert in_apia["users"].sum() == 6


def test_a_funnel_tells_each_step_of_all_and_of_the_one_before(parts: Parts):
    clips = [parts.clip(time=START) for _ in range(4)]
    for clip in clips[:2]:
        parts.record(stored(), clip, time=START)
    parts.record(AudioAccessed(channel="api", purpose="play"), clips[0], time=START)
    with parts.keeper.reading() as reading:
        steps = metrics.funnel(reading, START, STOP)
        nothing = metrics.funnel(reading, STOP, STOP + timedelta(days=7))
    assert [(step.clips, step.share, step.share_of_previous) for step in steps] == [
        (4, 1.0, 1.0), (2, 0.5, 0.5), (1, 0.25, 0.5), (1, 0.25, 1.0)
    ]  # fmt: skip
    assert {(step.clips, step.share, step.share_of_previous) for step in nothing} == {(0, None, None)}


def test_a_forecast_follows_the_trend_and_not_the_odd_week(parts: Parts):
    prices = metrics.Prices(currency="EUR", gb_month=10**9, uploads=0)
    with parts.keeper.reading() as reading:
        empty = metrics.forecast(reading, STOP)
    assert (empty.history, empty.expected, empty.interval) == ((), None, None)
    for week, size in enumerate((7, 100, 100, 900, 100, 100, 100)):
        parts.clip(time=START + timedelta(weeks=week - 6, hours=1), bytes=size)
    purge(parts, parts.clip(time=START - timedelta(weeks=2), bytes=50), START - timedelta(hours=3), 50)
    with parts.keeper.reading() as reading:
        found = metrics.forecast(reading, STOP + timedelta(days=2), prices=prices)
        few = metrics.forecast(reading, START - timedelta(weeks=2))
    assert found.at == STOP
    assert found.history == (107, 207, 1107, 1207 + 50, 1307, 1407), "the first week was not whole"
    assert found.expected is not None
    assert found.interval is not None
    assert found.interval.low <= 1807 <= found.interval.high
    assert found.cost_micro == found.expected
    assert (few.history, few.expected) == ((107, 207, 1107), None), "three weeks are too few"
