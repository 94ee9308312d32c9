"""Relations beside the clips: marks, purges, holds, voices, models, uploads, deliveries, reports."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from tests.building import completed
from tests.catalog.projections.folded import START, Folded, History
from voxledger.catalog import projections
from voxledger.catalog.events import (
    AudioStored,
    AudioUploadFailed,
    ClipMarked,
    ClipPinned,
    ClipPurged,
    ClipRestored,
    ClipUnmarked,
    DeliveryQuarantined,
    DeliveryRetried,
    HoldPlaced,
    HoldReleased,
    ModelPulled,
    ModelPushed,
    ModelRemoved,
    ModelRolledBack,
    PurgeFailed,
    PurgeStarted,
    ReportDelivered,
    ReportDeliveryFailed,
    ReportPublished,
    SubjectErased,
    VoiceRegistered,
    VoiceWithdrawn,
    new_id,
)

_SHA = "5f" * 32
REGISTERED = VoiceRegistered(
    sha256=_SHA, bytes=4, duration_us=5, speech_us=3, sample_rate=16_000, channels=1, loudness_lufs=-20.0, consent="own",
    consent_sha256=None, scope="internal", expires=START + timedelta(seconds=3), bucket="v", name="Änne", key="k", consent_path=None,
)  # fmt: skip


def at(position: int) -> object:
    return START + timedelta(seconds=position)


def test_a_mark_ends_with_the_next_word_on_it() -> None:
    clip, history = new_id(), History()
    history.add(completed(), clip)
    mark = ClipMarked(plan="p", rule="r", delete_after=START)
    for fact in (mark, ClipUnmarked(plan="p", reason="used"), mark, mark, PurgeStarted(plan="p", rule="r", bucket="b")):
        history.add(fact, clip)
    found = Folded(history).rows("SELECT position, ended, ending FROM marks ORDER BY position")
    assert [(row["position"], row["ended"], row["ending"]) for row in found] == [
        (2, at(3), "used"),
        (4, at(5), "replaced"),
        (5, at(6), "purge"),
    ]


def test_a_purge_gathers_the_answers_of_the_store() -> None:
    clip, history = new_id(), History()
    failed = PurgeFailed(plan="p", bucket="b", failure="AccessDenied")
    for fact in (
        PurgeStarted(plan="p", rule="r", bucket="b"),
        failed,
        failed,
        ClipPurged(plan="p", rule="r", bucket="b", bytes=9),
        ClipRestored(bucket="b", source="versioning", plan=None, bytes=9, key="k"),
        PurgeStarted(plan="q", rule="", bucket="b"),
    ):
        history.add(fact, clip)
    first, second = Folded(history).rows("FROM purges ORDER BY position")
    assert (first["started"], first["purged"], first["failures"], first["failure"]) == (at(1), at(4), 2, "AccessDenied")
    assert (first["bytes"], first["rule"], first["restored"], first["restored_from"]) == (9, "r", at(5), "versioning")
    assert (second["plan"], second["rule"], second["purged"], second["failures"]) == ("q", None, None, 0)


def test_a_hold_is_open_over_or_released() -> None:
    clip, history = new_id(), History()
    for hold, until in (("open", None), ("over", START), ("off", None), ("again", START), ("again", None)):
        history.add(HoldPlaced(hold=hold, kind="ordinary", until=until, review=None, reason="why"), clip)
    history.add(HoldReleased(hold="off", kind="ordinary", reason="done"), clip, actor="bob")
    folded = Folded(history)
    states = {row["hold"]: row["state"] for row in folded.rows("FROM holds WHERE renewed IS NULL")}
    assert states == {"open": "open", "over": "ended", "off": "released", "again": "open"}
    row = folded.row("FROM holds WHERE hold = 'off'")
    assert (row["released"], row["released_by"], row["release_reason"], row["reason"]) == (at(6), "bob", "done", "why")


def test_a_hold_that_is_placed_again_has_a_row_for_each_time() -> None:
    clip, history = new_id(), History()
    later = START + timedelta(days=1)
    for until, reason in ((later, "first"), (START, "second"), (None, "third")):
        history.add(HoldPlaced(hold="h", kind="ordinary", until=until, review=None, reason=reason), clip)
    history.add(HoldReleased(hold="h", kind="ordinary", reason="done"), clip)
    folded = Folded(history)
    query = "SELECT placed, until, reason, renewed, released, state FROM holds ORDER BY position"
    first, second, third = ([*row.values()] for row in folded.rows(query))
    assert first == [at(1), later, "first", at(2), None, "renewed"]
    # The second one was over before it was placed again.
    assert second == [at(2), START, "second", at(3), None, "ended"]
    assert third == [at(3), None, "third", None, at(4), "released"]
    folded.as_of(2)
    assert [row["state"] for row in folded.rows("FROM holds ORDER BY position")] == ["renewed", "ended"]
    assert folded.rows("SELECT reason FROM holds WHERE renewed IS NULL") == [{"reason": "second"}]


def test_a_hold_of_the_past_is_measured_by_the_clock_of_then() -> None:
    clip, history = new_id(), History()
    history.add(completed(), clip)
    history.add(
        HoldPlaced(hold="h", kind="ordinary", until=START + timedelta(seconds=3), review=None, reason="why"), clip
    )
    history.add(HoldReleased(hold="other", kind="ordinary", reason=None), clip)
    folded = Folded(history)
    assert (folded.clip(clip)["held"], folded.row("FROM holds")["state"]) == (False, "ended")
    folded.as_of(2)
    assert (folded.clip(clip)["held"], folded.row("FROM holds")["state"]) == (True, "open")
    folded.as_of(3)
    assert (folded.clip(clip)["held"], folded.row("FROM holds")["state"]) == (False, "ended")


def test_a_hold_ends_by_itself_while_the_tables_stay_open() -> None:
    """`now()` must be asked at every question, not when the tables were made."""
    clip, history = new_id(), History()
    until = datetime.now(UTC) + timedelta(seconds=1.5)
    history.add(completed(), clip)
    history.add(HoldPlaced(hold="h", kind="ordinary", until=until, review=None, reason="why"), clip)
    folded = Folded(history)
    queries = (
        "SELECT held FROM clips",
        "SELECT held FROM clips_at(99)",
        "SELECT state = 'open' FROM holds",
        "SELECT state = 'open' FROM holds_at(99)",
    )
    assert [list(folded.row(query).values()) for query in queries] == [[True]] * 4
    while datetime.now(UTC) <= until:
        time.sleep(0.02)
    assert [list(folded.row(query).values()) for query in queries] == [[False]] * 4


def test_the_past_is_measured_by_the_moment_that_is_asked_for() -> None:
    """Nothing needs to happen for a hold to have ended."""
    clip, history = new_id(), History()
    history.add(completed(), clip)
    history.add(HoldPlaced(hold="h", kind="ordinary", until=START + timedelta(days=1), review=None, reason="why"), clip)
    history.add(ClipPinned(until=START + timedelta(days=1)), clip)
    folded = Folded(history)
    projections.as_of(folded.connection, 3, START + timedelta(hours=1))
    assert folded.clip(clip)["held"]
    assert folded.clip(clip)["pinned"]
    projections.as_of(folded.connection, 3, START + timedelta(days=2))
    assert not folded.clip(clip)["held"]
    assert not folded.clip(clip)["pinned"]


def test_a_voice_stands_until_consent_ends() -> None:
    history = History()
    history.add(REGISTERED, _SHA)
    history.add(VoiceWithdrawn(sha256=_SHA, clips=3, name="Änne", reason="asked"), _SHA)
    history.add(REGISTERED, _SHA)
    folded = Folded(history)
    row = folded.row("FROM voices")
    assert (row["position"], row["withdrawn"], row["state"], row["name"]) == (3, None, "expired", "Änne")
    states = []
    for position in (1, 2, 3):
        folded.as_of(position)
        states.append((folded.row("FROM voices")["state"], folded.row("FROM voices")["withdrawal_reason"]))
    assert states == [("registered", None), ("withdrawn", "asked"), ("expired", None)]


def test_an_erased_voice_loses_its_name_everywhere() -> None:
    clip, history = new_id(), History()
    history.add(REGISTERED, _SHA)
    history.add(completed(voice_sha256=_SHA, voice_name="Änne"), clip)
    history.add(
        SubjectErased(request="e", scope="voice", target=_SHA, clips=1, voices=1, objects=1, bytes=1, reports=0,
                      key_destroyed=False, outcomes={}),
        "e",
    )  # fmt: skip
    folded = Folded(history)
    row = folded.row("FROM voices")
    assert (row["state"], row["name"], row["key"], row["erased"]) == ("erased", None, None, at(3))
    assert folded.clip(clip)["voice"] is None


def test_a_model_version_is_one_row_with_its_ways() -> None:
    model = {"model": "m", "model_version": "1", "manifest": _SHA, "files": 2, "bytes": 8, "elapsed_us": 3}
    history = History()
    history.add(ModelPushed(sent_bytes=5, **model), "m@1")
    history.add(ModelPulled(fetched_bytes=8, **model), "m@1")
    history.add(ModelPushed(sent_bytes=1, **model), "m@1")
    row = Folded(history).row("FROM models")
    assert (row["pushed"], row["pulled"], row["restored"]) == (at(3), at(2), None)
    assert (row["sent_bytes"], row["fetched_bytes"], row["bytes"], row["manifest"]) == (6, 8, 8, _SHA)
    name = {"model": "m", "model_version": "1"}
    history.add(ModelRolledBack(former_version="2", **name), "m@1")
    history.add(ModelRemoved(place="store", forced=True, freed_bytes=0, **name), "m@1")
    history.add(ModelRemoved(place="local", forced=False, freed_bytes=8, **name), "m@1")
    row = Folded(history).row("FROM models")
    assert (row["rolled_back"], row["removed"], row["removed_here"]) == (at(4), at(5), at(6))
    assert (row["manifest"], row["bytes"]) == (_SHA, 8)


def test_what_was_refused_and_taken_later_says_when() -> None:
    first, second, history = new_id(), new_id(), History()
    for event in (first, second):
        history.add(
            DeliveryQuarantined(subscription="mixpanel", refused_type="ClipRated", field="time", reason="early"), event
        )
    history.add(DeliveryRetried(subscription="mixpanel", refused_type="ClipRated"), first)
    folded = Folded(history)
    rows = folded.rows("SELECT event, retried FROM deliveries ORDER BY position")
    assert [tuple(row.values()) for row in rows] == [(first, at(3)), (second, None)]
    assert folded.rows("SELECT count(*) AS open FROM deliveries_at(2) WHERE retried IS NULL") == [{"open": 2}]


def test_answers_of_other_sides_are_rows() -> None:
    clip, event, history = new_id(), new_id(), History()
    history.add(AudioUploadFailed(bucket="b", failure="AccessDenied", attempts=3, key="k"), clip)
    history.add(AudioStored(bucket="b", bytes=9, etag="e", attempts=1, transfer_us=7, waited_us=8, key="k"), clip)
    history.add(
        DeliveryQuarantined(subscription="mixpanel", refused_type="ClipRated", field="time", reason="too old"), event
    )
    history.add(
        ReportPublished(week="2026-W10", revision=2, closed=True, through=3, head=_SHA, head_position=3), "2026-W10"
    )
    history.add(
        ReportDelivered(week="2026-W10", revision=2, channel="mail", attempts=2, elapsed_us=7, waited_us=8), "2026-W10"
    )
    history.add(
        ReportDeliveryFailed(
            week="2026-W10", revision=2, channel="webhook", outcome="unknown", failure="ReadTimeout", attempts=1
        ),
        "2026-W10",
    )
    folded = Folded(history)
    uploads = folded.rows("SELECT outcome, bytes, etag, failure, transfer_us FROM uploads ORDER BY position")
    assert [tuple(row.values()) for row in uploads] == [
        ("refused", None, None, "AccessDenied", None),
        ("stored", 9, "e", None, 7),
    ]
    delivery = folded.row("FROM deliveries")
    assert (delivery["event"], delivery["refused_type"], delivery["reason"]) == (event, "ClipRated", "too old")
    report = folded.row("FROM reports")
    assert (report["week"], report["revision"], report["closed"], report["head"]) == ("2026-W10", 2, True, _SHA)
    assert (report["by"], report["channels"]) == ("schedule", [])
    sent = folded.rows(
        "SELECT channel, outcome, failure, attempts, elapsed_us FROM report_deliveries ORDER BY position"
    )
    assert [tuple(row.values()) for row in sent] == [
        ("mail", "delivered", None, 2, 7),
        ("webhook", "unknown", "ReadTimeout", 1, None),
    ]
