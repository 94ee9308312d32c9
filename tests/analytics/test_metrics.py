from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.building import Parts
from voxledger.analytics import metrics
from voxledger.analytics.metrics import METRICS, breakdown, measure
from voxledger.catalog.events import AudioStored, ClipPurged, GenerationFailed, GenerationReused, PurgeStarted, new_id

START = datetime(2026, 11, 2, tzinfo=UTC)
STOP = START + timedelta(days=7)
OUTCOMES = ("completed", "reused", "failed", "cancelled")
SCHEMA = {
    "outcome": pl.String,
    "actor_id": pl.String,
    "duration_us": pl.Int64,
    "saved_us": pl.Int64,
    "synthesis_us": pl.Int64,
    "queue_us": pl.Int64,
    "emotion": pl.String,
    "attempts": pl.Int64,
    "seen_before": pl.Boolean,
}


def frame(*rows):
    defaults = {"actor_id": "ann", "emotion": "happy", "attempts": 1, "seen_before": False, "duration_us": 1_000_000}
    full = [{**dict.fromkeys(SCHEMA), **defaults, **row} for row in rows]
    return pl.DataFrame(full, schema=SCHEMA)


generations = st.lists(
    st.fixed_dictionaries(
        {
            "outcome": st.sampled_from(OUTCOMES),
            "actor_id": st.sampled_from(["ann", "ben", "cyd"]),
            "duration_us": st.integers(0, 2**40),
            "saved_us": st.integers(0, 2**40),
            "emotion": st.sampled_from(["happy", "sad", "neutral"]),
        }
    ),
    max_size=40,
)


def test_every_metric_is_defined_in_one_sentence_and_in_one_way():
    for metric in METRICS.values():
        assert metric.definition.endswith(".")
        assert ". " not in metric.definition
        assert sum(way is not None for way in (metric.expression, metric.query, metric.of)) == 1, metric.name


def test_nothing_gives_zeros_and_no_shares():
    found = measure(frame(), [name for name, metric in METRICS.items() if metric.expression is not None])
    assert found["generations"] == found["audio_us"] == found["active_users"] == 0
    assert found["reuse_rate"] is found["failure_rate"] is found["rtf_p50"] is found["queue_p95_us"] is None


def test_rates_leave_out_what_was_never_answered():
    found = measure(
        frame(*({"outcome": outcome} for outcome in ("completed", "completed", "reused", "failed", "cancelled"))),
        ["reuse_rate", "failure_rate", "generations"],
    )
    assert found == {"reuse_rate": pytest.approx(1 / 3), "failure_rate": pytest.approx(1 / 4), "generations": 5}


def test_percentiles_interpolate_over_new_clips_only():
    rows = [{"outcome": "completed", "synthesis_us": tenth * 100_000, "queue_us": tenth * 100} for tenth in range(11)]
    rows += [{"outcome": "completed", "synthesis_us": 9, "duration_us": 0, "queue_us": 500}, {"outcome": "reused"}]
    found = measure(frame(*rows), ["rtf_p50", "rtf_p95", "queue_p95_us"])
    assert found == {"rtf_p50": pytest.approx(0.5), "rtf_p95": pytest.approx(0.95), "queue_p95_us": 945}


@given(generations)
def test_outcomes_add_up_and_sums_stay_whole(rows):
    found = measure(frame(*rows), ["generations", "clips", "reused", "failed", "cancelled", "audio_us", "saved_us"])
    assert found["generations"] == len(rows) == sum(found[name] for name in ("clips", "reused", "failed", "cancelled"))
    assert found["audio_us"] == sum(row["duration_us"] for row in rows if row["outcome"] == "completed")
    assert found["saved_us"] == sum(row["saved_us"] for row in rows if row["outcome"] == "reused")
    assert all(isinstance(value, int) for value in found.values())


@given(generations)
def test_groups_add_up_to_the_whole(rows):
    groups = breakdown(frame(*rows), ["emotion"], ["generations", "clips", "generation_share", "clip_share"])
    whole = measure(frame(*rows), ["generations", "clips"])
    assert groups["generations"].sum() == whole["generations"]
    assert groups["generation_share"].sum() == pytest.approx(1 if rows else 0)
    assert groups["clip_share"].sum() == pytest.approx(1 if whole["clips"] else 0)
    assert groups["generations"].is_sorted(descending=True)


@given(generations)
def test_summed_rows_give_the_same_metrics(rows):
    single = frame(*rows)
    summed = single.group_by("outcome", "actor_id", "seen_before").agg(
        pl.col("attempts", "duration_us", "saved_us").sum(), pl.col("emotion").first()
    )
    names = [name for name, metric in METRICS.items() if metric.expression is not None and not metric.rows]
    assert measure(summed, names) == measure(single, names)


def test_a_period_holds_its_start_and_not_its_end(parts: Parts):
    for moment in (START - timedelta(microseconds=1), START, STOP - timedelta(microseconds=1), STOP):
        parts.clip(time=moment)
    with parts.keeper.reading() as reading:
        assert metrics.attempts(reading, START, STOP)["time"].to_list() == [START, STOP - timedelta(microseconds=1)]
        assert metrics.rollup(reading, START, STOP)["attempts"].to_list() == [2]


def test_who_was_there_before_returns(parts: Parts):
    parts.clip(actor="ann", time=START - timedelta(days=30))
    parts.clip(actor="ann", time=START)
    parts.clip(actor="ben", time=START)
    parts.clip(actor="ben", time=STOP - timedelta(hours=1))
    parts.clip(actor="cyd", time=STOP)
    with parts.keeper.reading() as reading:
        found = metrics.with_newcomers(metrics.attempts(reading, START, STOP), metrics.first_seen(reading, STOP), START)
    assert measure(found, ["active_users", "new_users", "returning_users"]) == {
        "active_users": 2,
        "new_users": 1,
        "returning_users": 1,
    }


def test_rolled_up_generations_agree_with_their_rows(parts: Parts):
    clip = parts.clip(time=START, duration_us=2_000_000)
    reused = GenerationReused(
        channel="api", features=(), engine="espeak", language="en", emotion="happy", text_length=3,
        duration_us=2_000_000, saved_us=77, actor_label="ben",
    )  # fmt: skip
    failed = GenerationFailed(
        channel="api", engine="espeak", language=None, failure="timeout", stage="queue", emotion="neutral",
        text_length=3, elapsed_us=5, actor_label="ben",
    )  # fmt: skip
    parts.record(reused, clip, actor="ben", time=START)
    parts.record(failed, new_id(), actor="ben", time=START)
    names = [name for name, metric in METRICS.items() if metric.expression is not None and not metric.rows]
    with parts.keeper.reading() as reading:
        seen = metrics.first_seen(reading, STOP)
        rows, summed = (
            measure(metrics.with_newcomers(read(reading, START, STOP), seen, START), names)
            for read in (metrics.attempts, metrics.rollup)
        )
    assert rows == summed
    assert (rows["saved_us"], rows["audio_us"], rows["failed"]) == (77, 2_000_000, 1)


def test_storage_tells_what_came_what_went_and_what_waits(parts: Parts):
    stored = parts.clip(time=START - timedelta(days=9), bytes=1000)
    gone = parts.clip(time=START, bytes=30)
    parts.clip(time=START, bytes=200)
    parts.record(AudioStored(bucket="b", bytes=1000, etag="e", attempts=1, transfer_us=1, waited_us=1, key="k"), stored)
    parts.record(PurgeStarted(plan="p", rule="r", bucket="b"), gone, time=START + timedelta(hours=1))
    parts.record(ClipPurged(plan="p", rule="r", bucket="b", bytes=30), gone, time=START + timedelta(hours=2))
    with parts.keeper.reading() as reading:
        flow = metrics.totals(reading, "storage_flow", start=START, stop=STOP)
        present = metrics.totals(reading, "storage_present")
    assert flow == {"added_clips": 2, "added_bytes": 230, "purged_clips": 1, "purged_bytes": 30, "net_bytes": 200}
    assert (present["stored_bytes"], present["waiting_bytes"], present["waiting_clips"]) == (1000, 200, 1)
    assert present["waiting_since"] == START


def test_the_named_queries_give_every_metric_they_promise(parts: Parts):
    with parts.keeper.reading() as reading:
        columns = {
            "storage_flow": metrics.totals(reading, "storage_flow", start=START, stop=STOP),
            "storage_present": metrics.totals(reading, "storage_present"),
        }
    for metric in METRICS.values():
        if metric.query:
            assert metric.name in columns[metric.query]
