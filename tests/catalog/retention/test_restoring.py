"""Restoring: from wherever the same bytes still are, proved, with everything that stood beside them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.s3 import S3Server
from voxledger.catalog.backup import Backups, Source
from voxledger.catalog.errors import ClipNotFound, PolicyError
from voxledger.catalog.events import AudioStored, ErasureRequested, ObjectMissing, SubjectErased
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.retention import Retention
from voxledger.catalog.retention.applying import restoring
from voxledger.catalog.settings import Backup as BackupSettings
from voxledger.catalog.settings import ExpireRule, Settings
from voxledger.catalog.settings import Retention as Section
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
SHA = hashlib.sha256(b"audio").hexdigest()
ALL = Section(rules=(ExpireRule(name="all", keep_for=5 * 86400, match="all"),), max_percent=100.0)


@pytest.fixture
def store(world: World) -> Iterator[Store]:
    made = Store(world.home, StoreSettings())
    yield made
    made.close()
    assert made.embedded is not None
    made.embedded.stop()


@pytest.fixture
def ceph(world: World, ceph_store: S3Server, bucket: str) -> Iterator[Store]:
    made = Store(world.home, ceph_store.settings(audio=bucket))
    made.ensure_bucket(bucket)
    yield made
    made.close()


def retention(world: World, store: Store, backups: Backups | None = None) -> Retention:
    found = Settings(retention=ALL, store=store.settings)
    return Retention(
        world.home, found, world.recorder, world.keeper, lambda: store, backups=(lambda: backups) if backups else None
    )


def stored(world: World, store: Store, bucket: str = "indextts-audio", **fields: Any) -> tuple[str, str]:
    """A clip that the store has; its id and its key."""
    before = world.cached()
    clip = world.clip(stored=False, sha256=SHA, bucket=bucket, **fields)
    [key] = world.cached() - before
    etag = store.put(bucket, key, b"audio", tags={"app": "voxledger"})
    world.record(AudioStored(bucket=bucket, bytes=5, etag=etag, attempts=1, transfer_us=1, waited_us=1, key=key), clip)
    return clip, key


def purge(world: World, mine: Retention) -> str:
    mine.apply(now=world.now)
    done = mine.apply(now=world.now + 8 * DAY)
    assert done.purged
    return done.plan


def restored(world: World, clip: str) -> list[dict[str, Any]]:
    return [data for name, data in world.events(clip) if name == "ClipRestored"]


def test_in_grace_the_mark_is_taken_back_without_asking_the_store(world: World, store: Store) -> None:
    clip, _ = stored(world, store)
    mine = retention(world, store)
    plan = mine.apply(now=world.now).plan
    mine._store = lambda: pytest.fail("the store was asked")
    done = mine.restore(clip[-8:])
    assert [(back.clip, back.source) for back in done.restored] == [(clip, "grace")]
    assert restored(world, clip) == [{"bucket": "indextts-audio", "source": "grace", "plan": plan, "bytes": 5}]
    with world.keeper.reading() as reading:
        assert reading.tuples("SELECT state, mark_plan FROM clips") == [("stored", None)]
    assert retention(world, store).restore(clip).there == (clip,)


def test_what_somebody_else_deleted_comes_back_although_nobody_had_noticed(world: World, store: Store) -> None:
    (clip, key), (other, _), local = stored(world, store), stored(world, store), world.clip(stored=False)
    store.delete("indextts-audio", key)
    done = retention(world, store).restore(clip, other, local)
    assert [(back.clip, back.source) for back in done.restored] == [(clip, "cache")]
    assert set(done.there) == {other, local}
    assert store.get("indextts-audio", key) == b"audio"


def test_a_clip_that_a_delete_marker_hides_comes_back_from_its_old_version(
    world: World, ceph: Store, bucket: str
) -> None:
    ceph.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}))
    clip, key = stored(world, ceph, bucket)
    (world.home.cache / key).unlink()
    ceph.delete(bucket, key)
    mine = retention(world, ceph)
    done = mine.restore(clip)
    assert [(back.clip, back.source) for back in done.restored] == [(clip, "versioning")]
    assert (done.there, ceph.get(bucket, key)) == ((), b"audio")
    assert mine.restore(clip).there == (clip,)
    assert [data["source"] for data in restored(world, clip)] == ["versioning"]


def test_old_versions_that_a_purge_left_come_back_with_metadata_and_tags(
    world: World, ceph: Store, ceph_store: S3Server, bucket: str
) -> None:
    ceph.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}))
    clip, key = stored(world, ceph, bucket)
    limited = Store(
        world.home,
        ceph_store.user(policy(["retention"], Settings(store=ceph.settings))).settings(audio=bucket),
    )
    purge(world, retention(world, limited))
    assert not ceph.exists(bucket, key)
    assert key not in world.cached()
    done = retention(world, ceph).restore(clip)
    assert [(back.source, back.bytes) for back in done.restored] == [("versioning", 5)]
    found = ceph.head(bucket, key)
    assert found is not None
    assert (found.metadata["sha256"], found.metadata["clip"]) == (SHA, clip)
    tags = ceph.request("T", lambda s3: s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"])
    assert {"Key": "app", "Value": "voxledger"} in tags
    answer = world.recorder.journal.fingerprint("ef")
    assert answer is not None
    assert (answer.clip, answer.answer is not None) == (clip, True)
    with world.keeper.reading() as reading:
        assert reading.tuples("SELECT state, purged, purge_started FROM clips") == [("stored", None, None)]
        assert reading.tuples("SELECT restored IS NOT NULL, restored_from FROM purges") == [(True, "versioning")]


def test_old_versions_that_the_key_may_not_see_are_not_called_gone(
    world: World, ceph: Store, ceph_store: S3Server, bucket: str
) -> None:
    ceph.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}))
    clip, key = stored(world, ceph, bucket)
    (world.home.cache / key).unlink()
    ceph.delete(bucket, key)
    may = ["s3:GetObject", "s3:PutObject", "s3:ListBucket"]
    for rights in (may, [*may, "s3:ListBucketVersions"]):
        where = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": rights, "Resource": where}]}
        limited = Store(world.home, ceph_store.user(allowed).settings(audio=bucket))
        [note] = retention(world, limited).restore(clip).failed
        assert "nothing that the access key may look at has its bytes" in note.reason
        assert "the access key may not look at its old versions" in note.reason
        limited.close()
    assert [back.source for back in retention(world, ceph).restore(clip).restored] == ["versioning"]


def test_a_purge_that_took_all_versions_leaves_nothing_and_says_where_it_looked(
    world: World, ceph: Store, bucket: str
) -> None:
    ceph.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}))
    clip, _ = stored(world, ceph, bucket)
    mine = retention(world, ceph)
    plan = purge(world, mine)
    done = mine.restore(plan=plan)
    assert [note.clip for note in done.failed] == [clip]
    assert done.failed[0].reason == (
        f"nothing has its bytes any more: not in the cache, not in {bucket}, no old version of it, under no other clip,"
        " in no backup: there are none here"
    )
    assert restored(world, clip) == []


def test_what_was_lost_comes_back_from_the_cache_and_from_a_clip_with_the_same_bytes(
    world: World, store: Store
) -> None:
    (clip, key), (other, second) = stored(world, store), stored(world, store)
    store.delete("indextts-audio", key)
    world.record(
        ObjectMissing(bucket="indextts-audio", bytes=5, key=key, state="absent", found_bytes=None, found_etag=None),
        clip,
    )
    mine = retention(world, store)
    assert [back.source for back in mine.restore(clip).restored] == ["cache"]
    assert store.get("indextts-audio", key) == b"audio"
    world.pin(other)
    # Being back counts as a use.
    assert mine.apply(now=world.now).marked == 0
    mine.apply(now=world.now + 8 * DAY)
    mine.apply(now=world.now + 16 * DAY)
    assert world.types(clip)[-1] == "ClipPurged"
    assert [back.source for back in mine.restore(clip).restored] == ["store"]
    assert store.get("indextts-audio", key) == b"audio"
    assert store.exists("indextts-audio", second)


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_backup_with_audio_brings_back_what_was_purged(world: World, store: Store, passphrase: str) -> None:
    clip, key = stored(world, store)
    settings = Settings(backup=BackupSettings(key=passphrase))
    backups = Backups(world.home, settings, lambda: store, source=Source(world.recorder, lambda: world.keeper, "1"))
    backups.create(with_audio=True)
    mine = retention(world, store, backups)
    purge(world, mine)
    assert [back.source for back in mine.restore(clip).restored] == ["backup"]
    assert store.get("indextts-audio", key) == b"audio"
    assert not (world.home.path / "restoring").exists()


def test_other_bytes_are_never_taken_for_the_clip(world: World, store: Store) -> None:
    clip, key = stored(world, store)
    mine = retention(world, store)
    purge(world, mine)
    store.put("indextts-audio", key, b"other")
    [note] = mine.restore(clip).failed
    assert "not in indextts-audio (Damaged)" in note.reason
    assert store.get("indextts-audio", key) == b"other"


def test_the_erased_never_come_back(world: World, store: Store) -> None:
    clip, key = stored(world, store)
    mine = retention(world, store)
    purge(world, mine)
    store.put("indextts-audio", key, b"audio")
    world.recorder.vault.destroy(world.recorder.vault.actor("ann").id)
    [note] = mine.restore(clip).failed
    assert note.reason == "it was erased, and what was erased never comes back"


@pytest.mark.parametrize("which", ["voice_sha256", "emotion_sha256"])
@pytest.mark.parametrize("told", [True, False])
def test_what_was_made_with_an_erased_recording_never_comes_back(
    world: World, store: Store, which: str, told: bool
) -> None:
    recording = "ab" * 32
    clip, _ = stored(world, store, **{which: recording})
    other, _ = stored(world, store)
    mine = retention(world, store)
    asked = ErasureRequested(
        request="r", scope="voice", target=recording, plan="p", clips=1, bytes=5, held=0, reason=None
    )
    erased = SubjectErased(
        request="r", scope="voice", target=recording, clips=1, voices=1, objects=1, bytes=5, reports=0,
        key_destroyed=False, outcomes={},
    )  # fmt: skip
    mine.apply(now=world.now)
    world.recorder.emit(erased if told else asked, subject="r", actor=world.recorder.vault.actor("voxledger"))
    world.keeper.drain()
    done = mine.restore(clip, other)
    assert [back.clip for back in done.restored] == [other]
    assert [note.clip for note in done.failed] == [clip]
    assert ("it was erased" if told else "its erasure was asked for") in done.failed[0].reason


@pytest.mark.parametrize("place", ["retrieve.after_fetch", "retrieve.after_upload"])
def test_who_is_erased_while_a_clip_is_restored_stays_erased(
    world: World, store: Store, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    clip, key = stored(world, store)
    world.record(
        ObjectMissing(bucket="indextts-audio", bytes=5, key=key, state="absent", found_bytes=None, found_etag=None),
        clip,
    )
    store.delete("indextts-audio", key)
    ann = world.recorder.vault.actor("ann").id
    monkeypatch.setattr(restoring, "failpoint", lambda at: world.recorder.vault.destroy(ann) if at == place else None)
    [note] = retention(world, store).restore(clip).failed
    assert note.reason == "it was erased, and what was erased never comes back"
    assert list(store.list("indextts-audio")) == []
    assert restored(world, clip) == []


def test_what_names_nothing_is_an_error(world: World, store: Store) -> None:
    stored(world, store)
    mine = retention(world, store)
    with pytest.raises(ClipNotFound, match="there is no clip 'ffffffff'"):
        mine.restore("ffffffff")
    with pytest.raises(PolicyError, match="no clip is marked or gone because of plan 'never'"):
        mine.restore(plan="never")
    with pytest.raises(PolicyError, match="nothing was named"):
        mine.restore()
