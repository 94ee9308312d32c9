"""Which backups stay, why, and that nothing goes which another one needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.catalog.backup.nodes import Node
from tests.s3 import S3Server
from tests.soak import some
from voxledger.catalog import platform
from voxledger.catalog.backup import Candidate, Rules, decide
from voxledger.catalog.backup.locks import held
from voxledger.catalog.errors import BackupError

BERLIN = ZoneInfo("Europe/Berlin")
START = datetime(2026, 1, 1, tzinfo=UTC)
ONE = Rules(last=1, daily=0, weekly=0, monthly=0)

_moments = st.lists(st.integers(0, 400 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes)), max_size=40)
_rules = st.builds(
    Rules, last=st.integers(0, 5), daily=st.integers(0, 9), weekly=st.integers(0, 6), monthly=st.integers(0, 5)
)


def _candidates(moments: list[datetime], node: str = "n") -> list[Candidate]:
    return [Candidate(f"{node}{number:03d}", node, moment) for number, moment in enumerate(moments)]


def test_each_rule_keeps_the_newest_of_each_period_that_has_one() -> None:
    days = [START + timedelta(days=day, hours=hour) for day in (0, 1, 5, 40) for hour in (3, 20)]
    rules = Rules(last=1, daily=3, weekly=2, monthly=2)
    decided = decide(_candidates(days), rules, ZoneInfo("UTC"))
    assert [(decision.backup.created.strftime("%m-%d %H"), decision.reasons) for decision in decided] == [
        ("02-10 20", ("1 of the last 1", "day 2026-02-10", "week 2026-W07", "month 2026-02")),
        ("02-10 03", ()),
        ("01-06 20", ("day 2026-01-06", "week 2026-W02", "month 2026-01")),
        ("01-06 03", ()),
        ("01-02 20", ("day 2026-01-02",)),
        ("01-02 03", ()),
        ("01-01 20", ()),
        ("01-01 03", ()),
    ]


def test_a_day_is_one_of_the_zone() -> None:
    evening = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)
    pair = _candidates([evening, evening + timedelta(hours=1)])
    rules = Rules(last=0, daily=5, weekly=0, monthly=0)
    assert [decision.keep for decision in decide(pair, rules, ZoneInfo("UTC"))] == [True, False]
    assert [decision.keep for decision in decide(pair, rules, BERLIN)] == [True, True]


@given(_moments, _rules)
def test_what_always_holds(moments: list[datetime], rules: Rules) -> None:
    candidates = _candidates(moments)
    decided = decide(candidates, rules, BERLIN)
    assert sorted(decision.backup for decision in decided) == sorted(candidates)
    kept = [decision for decision in decided if decision.keep]
    assert not candidates or decided[0].keep  # the newest
    assert len(kept) <= max(1, rules.last + rules.daily + rules.weekly + rules.monthly)
    assert len(kept) >= min(len(candidates), max(1, rules.last))
    days = {decision.backup.created.astimezone(BERLIN).date() for decision in kept}
    wanted = sorted({moment.astimezone(BERLIN).date() for moment in moments}, reverse=True)[: rules.daily]
    assert days >= set(wanted)
    # Pruning twice lets nothing more go.
    again = decide([decision.backup for decision in kept], rules, BERLIN)
    assert all(decision.keep for decision in again)


@given(_moments, _moments, _rules)
def test_nodes_do_not_count_for_each_other(first: list[datetime], second: list[datetime], rules: Rules) -> None:
    both = decide([*_candidates(first, "a"), *_candidates(second, "b")], rules, BERLIN)
    alone = decide(_candidates(first, "a"), rules, BERLIN)
    assert [decision for decision in both if decision.backup.node == "a"] == alone


@pytest.mark.parametrize("key", some(["correct horse", ""]))
def test_what_another_backup_needs_stays(node: Node, key: str) -> None:
    node.use_key(key)
    for _ in range(3):
        node.speak(12)
        node.store_audio(1)
        with node.open() as vox:
            vox.backups.create(with_audio=True)
    before = node.objects()
    with node.backups() as backups:
        plan = backups.prune(rules=ONE)
        assert not plan.applied
        assert [decision.keep for decision in plan.decisions] == [True, False, False]
        assert node.objects() == before
        done = backups.prune(rules=ONE, apply=True)
        assert (done.objects, done.bytes) == (plan.objects, plan.bytes)
        assert done.objects > 0
        assert [checked.intact for checked in backups.verify()] == [True]
        # Everything that is left is needed.
        assert backups.prune(rules=ONE).objects == 0
        with pytest.raises(BackupError, match="keep nothing"):
            backups.prune(rules=Rules(last=0, daily=0, weekly=0, monthly=0))


def test_nobody_prunes_while_a_backup_is_made(rclone_node: Node) -> None:
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
    with rclone_node.backups() as backups:
        bucket = backups.bucket
        with held(bucket.store, bucket.name, "create"):
            with held(bucket.store, bucket.name, "create"):
                pass  # two nodes may
            with pytest.raises(BackupError, match="a backup is being made"):
                backups.prune(apply=True)
            backups.prune()  # looking is free
        with held(bucket.store, bucket.name, "prune"):
            with pytest.raises(BackupError, match="being pruned"):
                backups.prune(apply=True)
            with rclone_node.open() as vox, pytest.raises(BackupError, match="being pruned"):
                vox.backups.create()
        assert list(bucket.store.list(bucket.name, "locks/")) == []
        backups.prune(apply=True)


def test_nobody_prunes_while_a_backup_is_restored(rclone_node: Node, tmp_path: Path) -> None:
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        vox.backups.create()
    refused = []

    def progress(what: str, done: int, total: int | None) -> None:
        if what == "fetching" and not refused:
            with pytest.raises(BackupError, match="a backup is being restored") as caught:
                backups.prune(apply=True)
            refused.append(caught)
            with rclone_node.open() as vox:
                vox.backups.create()  # others may go on making some

    with rclone_node.backups() as backups:
        backups.restore("latest", tmp_path / "new", progress=progress)
        assert refused
        backups.prune(apply=True)
        with held(backups.bucket.store, backups.bucket.name, "prune"), pytest.raises(BackupError, match="being pruned"):
            backups.restore("latest", tmp_path / "newer")
        backups.restore("latest", tmp_path / "newer")


def test_a_key_that_may_only_read_restores_and_verifies(
    ceph_store: S3Server, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(tmp_path / "home", ceph_store, bucket, monkeypatch)
    node.speak(3)
    with node.open() as vox:
        vox.backups.create()
    statement = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::*"}
    reader = ceph_store.user({"Version": "2012-10-17", "Statement": [statement]})
    damaged = next(key for key in node.objects() if key.startswith("data/"))
    with monkeypatch.context() as patch:
        patch.setenv("VOXLEDGER_STORE_ACCESS_KEY", reader.access_key)
        patch.setenv("VOXLEDGER_STORE_SECRET_KEY", reader.secret_key)
        with node.backups() as backups:
            assert backups.restore("latest", tmp_path / "new", catch_up=False).manifest.through == 3
    node.change(damaged, b"something else")
    with monkeypatch.context() as patch:
        patch.setenv("VOXLEDGER_STORE_ACCESS_KEY", reader.access_key)
        patch.setenv("VOXLEDGER_STORE_SECRET_KEY", reader.secret_key)
        with node.backups() as backups:
            (checked,) = backups.verify()
            assert (checked.intact, checked.noted) == (False, False)


def test_the_lock_of_another_machine_counts_and_can_be_lost(rclone_node: Node) -> None:
    with rclone_node.backups() as backups:
        store, name = backups.bucket.store, backups.bucket.name
        theirs = msgspec.json.encode({"work": "prune", "machine": "elsewhere", "pid": 1, "started": 0.0})
        store.put(name, "locks/theirs.json", theirs)
        with pytest.raises(BackupError, match="another machine"), held(store, name, "create"):
            pass
        store.delete(name, "locks/theirs.json")
        with held(store, name, "create") as lock:
            lock.require()
            for info in store.list(name, "locks/"):
                store.delete(name, info.key)
            with pytest.raises(BackupError, match="taken its lock away"):
                lock.require()


def test_one_backup_of_a_home_at_a_time(rclone_node: Node) -> None:
    rclone_node.speak(3)
    with rclone_node.open() as vox:
        with platform.locked(vox.home.path / "backup.lock"), pytest.raises(BackupError, match="another process"):
            vox.backups.create()
        vox.backups.create()


def test_pieces_without_any_backup_are_not_deleted(rclone_node: Node) -> None:
    rclone_node.speak(12)
    with rclone_node.open() as vox:
        made = vox.backups.create()
    name = next(name for name in rclone_node.objects() if name.startswith("backups/"))
    manifest = rclone_node.objects()[name]
    rclone_node.change(name, None)
    before = rclone_node.objects()
    with rclone_node.backups() as backups:
        for apply in (False, True):
            with pytest.raises(BackupError, match="not one backup"):
                backups.prune(rules=ONE, apply=apply)
        assert rclone_node.objects() == before
        # Whoever gives the last one up by name means it.
        rclone_node.change(name, manifest)
        assert backups.prune(drop=[made.manifest.id], apply=True).objects > 0
        assert backups.prune(rules=ONE, apply=True).objects == 0


def test_rules_and_names_do_not_go_together(rclone_node: Node) -> None:
    rclone_node.speak(2)
    with rclone_node.open() as vox:
        made = vox.backups.create()
    with rclone_node.backups() as backups, pytest.raises(BackupError, match="--drop and --keep"):
        backups.prune(rules=ONE, drop=[made.manifest.id], apply=True)
    assert any(name.startswith("backups/") for name in rclone_node.objects())
