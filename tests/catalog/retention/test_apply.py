from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.soak import examples
from voxledger.catalog import platform
from voxledger.catalog.commands.retention.applying import print_applied
from voxledger.catalog.errors import PolicyError, StoreUnavailable
from voxledger.catalog.events import AudioStored, ClipPinned, ClipUntagged, HoldPlaced, decode
from voxledger.catalog.objects.deleting import Answer
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.retention import Retention
from voxledger.catalog.retention.applying import executor
from voxledger.catalog.settings import ExpireRule

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL = ExpireRule(name="all", keep_for=5 * 86400, match="all")
HOLD = HoldPlaced(hold="h1", kind="ordinary", until=None, review=None, reason="a case")
SCRATCH = ExpireRule(name="scratch", keep_for=86400, tag="scratch", allow_unseen=True)


def marked_and_due(world: World, *rules: ExpireRule, **section: Any) -> tuple[Retention, Any]:
    """Retention whose marks are set, and the time at which their grace is over."""
    retention = world.retention(*(rules or (ALL,)), **section)
    retention.apply(now=world.now)
    return retention, world.now + 8 * DAY


def test_a_clip_is_marked_first_and_purged_after_its_grace(world: World) -> None:
    clip, young = world.clip(), world.clip(age=DAY)
    retention = world.retention(ALL)
    first = retention.apply(now=world.now)
    assert (first.marked, first.purged) == (1, 0)
    assert retention.apply(now=world.now + 6 * DAY).purged == 0
    assert world.types(young) == ["ClipMarked"]
    world.pin(young)
    done = retention.apply(now=world.now + 7 * DAY)
    assert (done.purged, done.freed_bytes, done.unmarked, done.skipped, done.failed) == (1, 5, 1, (), ())
    assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]
    assert world.types(young) == ["ClipMarked", "ClipUnmarked"]
    assert {key for key in world.store.names() | world.cached() if clip in key} == set()
    assert {key for key in world.cached() if young in key}


def test_what_waits_in_its_grace_is_told_with_its_end(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.clip(), world.clip(), world.clip(age=4 * DAY)
    retention = world.retention(ALL)
    ends = world.now + 7 * DAY
    first = retention.apply(now=world.now)
    assert (first.marked, first.in_grace, first.grace_ends) == (2, 2, (ends, ends))
    again = retention.apply(now=world.now + DAY)
    assert (again.marked, again.in_grace, again.grace_ends) == (1, 3, (ends, ends + DAY))
    last = retention.apply(now=world.now + 2 * DAY)
    assert (last.marked, last.in_grace, last.grace_ends) == (0, 3, (ends, ends + DAY))
    print_applied(first)
    print_applied(last)
    one, several = (" ".join(part.split()) for part in capsys.readouterr().out.split("0 marked"))
    assert f"2 clips wait in their grace, which ends at {ends:%Y-%m-%d %H:%M} UTC" in one
    day = ends + DAY
    assert (
        f"3 clips wait in their grace, which ends at {ends:%Y-%m-%d %H:%M} UTC for the first and at {day:%Y-%m-%d %H:%M} UTC"
        in several
    )
    assert retention.apply(now=ends + 2 * DAY).grace_ends is None


def test_a_pin_with_an_end_keeps_until_then(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL)
    world.record(ClipPinned(reason=None, until=world.now + 3 * DAY), clip)
    assert retention.apply(now=world.now + 3 * DAY - timedelta(seconds=1)).marked == 0
    assert retention.apply(now=world.now + 3 * DAY).marked == 1


def test_a_hold_takes_a_mark_back_and_says_so(world: World) -> None:
    clip = world.clip()
    retention, later = marked_and_due(world)
    world.record(HOLD, clip)
    assert retention.apply(now=later).unmarked == 1
    assert world.events(clip)[-1][1]["reason"] == "held"


def test_events_name_plan_rule_and_end_of_grace(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL, SCRATCH, grace=3600.0)
    plan = retention.plan(now=world.now)
    retention.apply(plan.id, now=world.now)
    retention.apply(now=world.now + 2 * DAY)
    facts = dict(world.events(clip))
    assert facts["ClipMarked"] | {"delete_after": None} == {"plan": plan.id, "rule": "all", "delete_after": None}
    assert facts["ClipMarked"]["delete_after"].startswith((world.now + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M"))
    assert facts["PurgeStarted"] == {"plan": plan.id, "rule": "all", "bucket": "indextts-audio"}
    assert facts["ClipPurged"] == {
        "plan": plan.id, "rule": "all", "bucket": "indextts-audio", "bytes": 5, "answer": "Deleted", "versions": [],
        "kept_bytes": 0,
    }  # fmt: skip


def test_applying_twice_is_applying_once(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL)
    plan = retention.plan(now=world.now)
    assert retention.apply(plan.id, now=world.now).marked == 1
    assert retention.apply(plan.id, now=world.now).marked == 0
    assert retention.apply(now=world.now + 8 * DAY).purged == 1
    assert retention.apply(now=world.now + 8 * DAY).purged == 0
    assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"]


def test_a_plan_of_another_situation_is_refused(world: World) -> None:
    clip = world.clip()
    retention = world.retention(ALL)
    plan = retention.plan(now=world.now)
    world.pin(clip)
    with pytest.raises(PolicyError, match=f"the plan is stale: {plan.id}"):
        retention.apply(plan.id, now=world.now)
    assert world.types(clip) == []


def test_planning_changes_nothing(world: World) -> None:
    world.clip()
    before = world.recorder.journal.head()
    plan = world.retention(ALL).plan(now=world.now)
    assert plan.position == before == world.recorder.journal.head()
    assert world.store.asked == []


@pytest.mark.parametrize(
    ("fuse", "sentence"),
    [
        ({"max_clips": 1}, r"would mark 2 clips, more than retention\.max_clips = 1 .*VOXLEDGER_RETENTION_MAX_CLIPS"),
        ({"max_bytes": 7}, r"would mark 10 B, more than retention\.max_bytes = 7 B"),
        ({"max_percent": 50.0}, r"would mark 66\.67 % of all clips, more than retention\.max_percent = 50 %"),
    ],
)
def test_a_blown_fuse_stops_everything(world: World, fuse: dict[str, Any], sentence: str) -> None:
    clips = [world.clip(), world.clip(), world.clip(age=DAY)]
    with pytest.raises(PolicyError, match=sentence) as caught:
        world.retention(ALL, **fuse).apply(now=world.now)
    assert "2 of 3 clips" in str(caught.value)
    assert "by rule: 'all' 2" in str(caught.value)
    assert [world.types(clip) for clip in clips] == [[], [], []]


def test_fuses_hold_purges_too(world: World) -> None:
    clips = [world.clip(), world.clip(), world.clip(age=timedelta(0))]
    _, later = marked_and_due(world)
    with pytest.raises(PolicyError, match="would purge 2 clips"):
        world.retention(ALL, max_clips=1).apply(now=later)
    assert [world.types(clip) for clip in clips] == [["ClipMarked"], ["ClipMarked"], []]


def test_without_rules_nothing_is_applied_but_marks_are_taken_back(world: World) -> None:
    clip = world.clip()
    empty = world.retention()
    assert empty.plan(now=world.now).problems[0].startswith("there are no rules: nothing can expire")
    with pytest.raises(PolicyError, match="there are no rules"):
        empty.apply(now=world.now)
    _, later = marked_and_due(world)
    assert empty.apply(now=later).unmarked == 1
    assert world.types(clip) == ["ClipMarked", "ClipUnmarked"]
    assert world.events(clip)[-1][1]["reason"] == "policy"


def test_a_use_after_the_mark_takes_it_back(world: World) -> None:
    clip = world.clip()
    retention, later = marked_and_due(world)
    world.play(clip)
    done = retention.apply(now=later)
    assert (done.unmarked, done.purged) == (1, 0)
    assert world.events(clip)[-1] == ("ClipUnmarked", {"plan": done.plan, "reason": "used"})
    assert retention.apply(now=later).marked == 1
    assert retention.apply(now=later + DAY).purged == 0


def test_a_use_before_the_mark_does_not(world: World) -> None:
    clip = world.clip()
    world.play(clip)
    assert world.retention(ALL).apply(now=world.now + 6 * DAY).marked == 1
    assert world.retention(ALL).apply(now=world.now + 14 * DAY).purged == 1
    assert world.types(clip)[-1] == "ClipPurged"


class Meanwhile:
    """A store that lets something happen when it is first asked: after the plan, before the purge starts."""

    def __init__(self, world: World, happens: Any) -> None:
        self._world = world
        self._happens = happens

    def head(self, bucket: str, key: str) -> object | None:
        if self._happens:
            happens, self._happens = self._happens, None
            happens()
        return self._world.store.head(bucket, key)

    def purge(self, bucket: str, keys: Iterable[str], *, perhaps: Iterable[str] = ()) -> dict[str, Answer]:
        return self._world.store.purge(bucket, keys, perhaps=perhaps)


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lambda world, clip: world.pin(clip), "it was pinned after the plan was made"),
        (lambda world, clip: world.play(clip), "it was used after the plan was made"),
        (lambda world, clip: world.record(ClipUntagged(tag="x"), clip), "its tags changed after the plan was made"),
        (lambda world, clip: world.record(HOLD, clip), "a hold was placed on it after the plan was made"),
    ],
)
def test_what_happens_after_the_plan_saves_the_clip(world: World, happens: Any, reason: str) -> None:
    saved, other = world.clip(), world.clip()
    retention, later = marked_and_due(world)
    retention._store = lambda: Meanwhile(world, lambda: happens(world, saved))
    done = retention.apply(now=later)
    assert [(note.clip, note.reason) for note in done.skipped] == [(saved, reason)]
    assert done.purged == 1
    assert world.types(saved) == ["ClipMarked"]
    assert world.types(other)[-1] == "ClipPurged"


def test_a_pruned_journal_means_that_nothing_is_sure(world: World) -> None:
    clip = world.clip()
    retention, later = marked_and_due(world)

    def prune() -> None:
        world.pin(clip)
        world.record(ClipUntagged(tag="x"), "another subject")
        world.recorder.journal.prune(world.recorder.journal.head())

    retention._store = lambda: Meanwhile(world, prune)
    done = retention.apply(now=later)
    assert "pruned" in done.skipped[0].reason
    assert clip in str(world.store.names())


def test_a_running_upload_is_waited_for_a_while_and_then_not_disturbed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, other = world.clip(stored=False, task=True), world.clip()
    retention, later = marked_and_due(world)
    [task] = world.recorder.journal.lease("upload", limit=1, seconds=60)
    monkeypatch.setattr(executor, "UPLOAD_WAIT", 0.05)
    done = retention.apply(now=later)
    assert (done.purged, [note.clip for note in done.skipped]) == (1, [clip])
    assert "upload is running" in done.skipped[0].reason
    assert world.types(other)[-1] == "ClipPurged"
    with world.recorder.journal.transaction() as write:
        assert write.release_task(task)
    assert retention.apply(now=later).purged == 1
    assert world.recorder.journal.lease("upload", limit=1, seconds=60) == []


def test_an_upload_that_ends_while_it_is_waited_for_saves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = world.clip(stored=False, task=True)
    retention, later = marked_and_due(world)
    [task] = world.recorder.journal.lease("upload", limit=1, seconds=60)
    [key] = world.cached()

    def end(seconds: float) -> None:
        world.store.put("indextts-audio", key, b"audio")
        world.record(
            AudioStored(bucket="indextts-audio", bytes=5, etag="e", attempts=1, transfer_us=1, waited_us=1, key=key),
            clip,
        )
        with world.recorder.journal.transaction() as write:
            write.finish_task(task)

    monkeypatch.setattr(executor.time, "sleep", end)
    done = retention.apply(now=later)
    assert (done.purged, done.skipped) == (1, ())
    assert clip not in str(world.store.names())


def test_old_versions_that_stay_count_until_they_are_gone(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    key = "ann/default/versions.wav"
    clip = world.clip(key=key)
    retention, later = marked_and_due(world)
    world.store.answers = {key: Answer(key=key, code="ObjectLocked", reason="forbidden by object lock", kept_bytes=9)}
    done = retention.apply(now=later)
    assert (done.purged, done.freed_bytes, [note.clip for note in done.kept]) == (1, 0, [clip])
    assert done.kept[0].reason == "old versions of it, 9 bytes, stay in the store: forbidden by object lock"
    proof = "SELECT plan, rule, key, answer, versions, kept_bytes, purged IS NOT NULL FROM purges"
    with world.keeper.reading() as reading:
        assert reading.tuples(proof) == [(done.plan, "all", key, "ObjectLocked", [], 9, True)]
    assert retention.apply(now=later).freed_bytes == 0
    world.store.answers = {key: Answer(key=key, versions=("v2", "v1"))}
    gone = retention.apply(now=later)
    assert (gone.freed_bytes, gone.versions) == (5, 2)
    print_applied(done)
    print_applied(gone)
    out = " ".join(capsys.readouterr().out.split())
    assert "1 purged (0 B freed; old versions of 1 clip stay)" in out
    assert "0 purged (5 B freed, 2 versions went with it)" in out
    with world.keeper.reading() as reading:
        assert reading.tuples(proof) == [(done.plan, "all", key, "Deleted", ["v2", "v1"], 0, True)]
    assert world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged", "ClipPurged"]


def test_the_key_in_the_proof_is_sealed_for_whoever_made_the_clip(world: World) -> None:
    clip = world.clip(key="ann/default/mine.wav")
    retention, later = marked_and_due(world)
    retention.apply(now=later)
    [event] = [
        event for _, body in world.recorder.journal.read(0, 1000) if (event := decode(body)).type == "ClipPurged"
    ]
    assert (event.subject, event.actor) == (clip, world.recorder.vault.actor("ann").id)
    assert world.recorder.unsealed(event) == {"key": "ann/default/mine.wav"}


def test_a_plan_is_recorded_when_it_is_applied(world: World) -> None:
    world.clip()
    world.pin(world.clip())
    retention = world.retention(ALL)
    plan = retention.plan(now=world.now)
    retention.apply(plan.id, now=world.now)
    retention.apply(plan.id, now=world.now)
    [(name, planned)] = world.events(plan.id)
    assert name == "RetentionPlanned"
    assert (planned["through"], planned["considered"], planned["clips"], planned["bytes"], planned["held"]) == (
        plan.position, 2, 1, 5, 1,
    )  # fmt: skip


def test_a_clip_that_never_reached_the_store_goes_with_its_task(world: World) -> None:
    clip = world.clip(stored=False, task=True)
    retention, later = marked_and_due(world)
    assert retention.apply(now=later).purged == 1
    assert world.recorder.journal.open_tasks("upload", [clip]) == 0
    assert world.cached() == set()


def test_a_purged_clip_never_answers_a_request_again(world: World) -> None:
    clip = world.clip()
    journal = world.recorder.journal
    with journal.transaction() as write:
        write.claim("fingerprint", clip=clip, actor="a")
        write.answer("fingerprint", b"sealed")
    retention, later = marked_and_due(world)
    retention.apply(now=later)
    with journal.transaction() as write:
        assert write.fingerprint("fingerprint") is None


def test_outside_the_purge_window_nothing_is_purged_and_the_result_says_when(world: World) -> None:
    clip, fresh = world.clip(), world.clip(age=DAY)
    retention, _ = marked_and_due(world, purge_window="01:00-05:00")
    noon = (world.now + 8 * DAY).replace(hour=12, minute=0)
    done = retention.apply(now=noon)
    assert (done.purged, done.marked, done.waiting) == (0, 1, 1)
    assert done.opens == (noon + DAY).replace(hour=1, second=0, microsecond=0)
    assert (world.types(clip), world.types(fresh)) == (["ClipMarked"], ["ClipMarked"])
    assert world.store.asked == []
    assert retention.apply(now=done.opens).purged == 1


def test_an_absent_store_stops_the_run_before_it_begins(world: World) -> None:
    old = world.clip()
    retention, later = marked_and_due(world)
    fresh = world.clip()
    world.store.down = True
    with pytest.raises(StoreUnavailable):
        retention.apply(now=later)
    assert (world.types(old), world.types(fresh)) == (["ClipMarked"], [])
    assert {old, fresh} <= {clip for clip in (old, fresh) if clip in str(world.cached())}


def test_marking_needs_no_store(world: World) -> None:
    world.clip()
    world.store.down = True
    assert world.retention(ALL).apply(now=world.now).marked == 1
    assert world.store.asked == []


def test_a_store_that_keeps_an_object_is_reported_and_tried_again(world: World) -> None:
    clip, other = world.clip(key="ann/default/stubborn.wav"), world.clip()
    retention, later = marked_and_due(world)
    world.store.stubborn = {"ann/default/stubborn.wav"}
    done = retention.apply(now=later)
    assert (done.purged, [note.clip for note in done.failed]) == (1, [clip])
    assert "still has" in done.failed[0].reason
    assert world.events(clip)[-1] == (
        "PurgeFailed",
        {"plan": done.plan, "bucket": "indextts-audio", "failure": "StillThere"},
    )
    world.store.stubborn = set()
    assert world.retention().apply(now=later).purged == 1
    assert world.types(clip) == ["ClipMarked", "PurgeStarted", "PurgeFailed", "ClipPurged"]
    assert world.types(other).count("ClipPurged") == 1


def test_a_store_that_goes_away_half_way_is_finished_by_the_next_run(world: World) -> None:
    clips = [world.clip() for _ in range(9)]
    retention, later = marked_and_due(world)
    answer, asked = world.store._ask, []

    def tired(what: str, key: str) -> None:
        asked.append(key)
        world.store.down = len(asked) > 12
        answer(what, key)

    world.store._ask = tired  # type: ignore[method-assign]
    done = retention.apply(now=later)
    assert done.failed
    assert done.purged + len(done.failed) == 9
    world.store._ask = answer  # type: ignore[method-assign]
    world.store.down = False
    assert retention.apply(now=later).purged == len(done.failed)
    assert all(world.types(clip).count("ClipPurged") == 1 for clip in clips)
    assert world.store.names() == world.cached() == set()


def test_the_record_beside_an_object_goes_too_and_empty_folders_with_the_files(world: World) -> None:
    clip = world.clip(key="ann/only/one.wav")
    world.clip(age=DAY, key="ann/other/two.wav")
    assert record_key("ann/only/one.wav") in world.store.names()
    retention, _ = marked_and_due(world)
    retention.apply(now=world.now + 7 * DAY)
    assert world.types(clip)[-1] == "ClipPurged"
    assert record_key("ann/only/one.wav") not in world.store.names()
    assert not (world.home.cache / "ann/only").exists()
    assert (world.home.cache / "ann/other/two.wav").exists()


def test_files_outside_the_cache_are_never_deleted(world: World, tmp_path: Path) -> None:
    outside = tmp_path / "home" / "precious.wav"
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "linked.wav").write_bytes(b"mine")
    (world.home.cache / "link").symlink_to(folder)
    clips = [
        world.clip(path=str(outside)),
        world.clip(path=str(world.home.cache / ".." / "up.wav")),
        world.clip(path=str(world.home.cache / "link" / "linked.wav")),
    ]
    retention, later = marked_and_due(world)
    assert retention.apply(now=later).purged == 3
    assert all(world.types(clip)[-1] == "ClipPurged" for clip in clips)
    assert outside.exists()
    assert (world.home.path / "up.wav").exists()
    assert (folder / "linked.wav").exists()


def test_two_runs_at_once_are_one(world: World) -> None:
    world.clip()
    with (
        platform.locked(world.home.path / "retention.lock"),
        pytest.raises(PolicyError, match="another retention run"),
    ):
        world.retention(ALL).apply(now=world.now)


def test_the_catalog_shows_the_state_and_a_rebuild_agrees(world: World) -> None:
    purged, marked = world.clip(), world.clip(age=DAY)
    retention, later = marked_and_due(world)
    retention.apply(now=world.now + 5 * DAY)
    retention.apply(now=later)
    query = "SELECT id::VARCHAR, state, path IS NULL, mark_rule FROM clips ORDER BY id"
    for _ in range(2):
        with world.keeper.reading() as reading:
            assert reading.tuples(query) == [
                (purged, "purged", True, "all"),
                (marked, "marked", False, "all"),
            ]
        world.keeper.rebuild()


def test_batches_follow_each_other(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "BATCH", 2)
    clips = [world.clip() for _ in range(5)]
    heard: list[tuple[int, int]] = []
    retention, later = marked_and_due(world)
    assert retention.apply(now=later, progress=lambda at, end: heard.append((at, end))).purged == 5
    assert heard == [(number, 5) for number in range(1, 6)]
    assert all(world.types(clip) == ["ClipMarked", "PurgeStarted", "ClipPurged"] for clip in clips)


STEPS = st.lists(
    st.sampled_from(["plan and apply", "a day passes", "a week passes", "pin", "unpin", "play", "tag", "new"]),
    min_size=4,
    max_size=12,
)


@settings(max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_whatever_people_do_pins_hold_and_the_young_stay(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], request: Any
) -> None:
    from voxledger.catalog.events import ClipUnpinned

    world: World = type(request.getfixturevalue("world"))(tmp_path_factory.mktemp("world"))
    retention = world.retention(SCRATCH, ALL, grace=3 * 86400.0)
    clips, now, pinned = {world.clip(): world.now - 10 * DAY, world.clip(age=DAY): world.now - DAY}, world.now, set()
    for number, step in enumerate([*steps, "plan and apply", "plan and apply"]):
        clip = list(clips)[number % len(clips)]
        gone = "PurgeStarted" in world.types(clip)
        if step == "plan and apply":
            before = {clip: world.types(clip) for clip in clips}
            retention.apply(retention.plan(now=now).id, now=now)
            for clip, made in clips.items():
                new = world.types(clip)[len(before[clip]) :]
                assert not (clip in pinned and {"ClipMarked", "PurgeStarted", "ClipPurged"} & set(new))
                assert "ClipMarked" not in new or now - made >= 2 * DAY
                assert "PurgeStarted" not in new or before[clip][-1] == "ClipMarked"
        elif step.endswith("passes"):
            now += (1 if "day" in step else 7) * DAY
        elif step == "new":
            clips[world.clip(age=timedelta(0))] = world.now
        elif gone:
            continue
        elif step == "pin":
            world.pin(clip)
            pinned.add(clip)
        elif step == "unpin":
            world.record(ClipUnpinned(), clip)
            pinned.discard(clip)
        else:
            world.play(clip) if step == "play" else world.tag(clip, "scratch")
    world.close()
