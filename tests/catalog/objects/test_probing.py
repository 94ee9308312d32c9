"""Probing: says of real stores what is true, says nothing of what it could not try, and leaves nothing behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import forking
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server, running_rclone, wait_for
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.features import EMBEDDED, Features
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.objects.probing import PREFIX, place, probe, tidy
from voxledger.catalog.objects.probing.probe import greeting
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings

pytestmark = pytest.mark.every_server
PER_RUN = {"endpoint", "probed", "notes", "server", "clock_skew_s", "makes_buckets", "versioned"}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def embedded(home: Home) -> Iterator[Store]:
    store = Store(home, StoreSettings())
    yield store
    assert store.embedded is not None
    store.embedded.stop()
    store.close()


def _verdicts(features: Features) -> dict[str, Any]:
    return {name: getattr(features, name) for name in Features.__struct_fields__ if name not in PER_RUN}


def _probe_buckets(store: Store) -> list[str]:
    found = store.request("LIST", lambda s3: s3.list_buckets()).get("Buckets", [])
    return [each["Name"] for each in found if each["Name"].startswith(place.BUCKET)]


def test_what_is_said_of_the_embedded_store_is_true(embedded: Store) -> None:
    found = probe(embedded)
    assert _verdicts(found) == _verdicts(EMBEDDED)
    assert found.server == EMBEDDED.server
    assert _probe_buckets(embedded) == []


def test_ceph_can_do_all_but_what_it_is_known_not_to(home: Home, ceph_store: S3Server, bucket: str) -> None:
    store = Store(home, ceph_store.settings(audio=bucket))
    found = probe(store)
    lacking = {name for name, works in _verdicts(found).items() if works is not True}
    assert lacking == {"conditional_versioned", "conditional_multipart", "sha256_refused"}
    assert found.never_overwrites
    assert (found.server, found.clock_skew_s, found.notes) == ("Ceph", 0.0, {})
    assert _probe_buckets(store) == []


def test_where_the_bucket_of_clips_keeps_versions_that_is_where_it_is_tried(
    home: Home, ceph_store: S3Server, bucket: str
) -> None:
    store = Store(home, ceph_store.settings(audio=bucket))
    store.ensure_bucket(bucket)
    _keep_versions(store, bucket)
    found = probe(store)
    assert found.versioned
    assert found.conditional_put is False
    assert not found.never_overwrites


def test_keys_that_may_not_make_buckets_try_in_a_folder_and_clear_it(
    home: Home, ceph_store: S3Server, bucket: str
) -> None:
    owner = Store(home, ceph_store.settings(audio=bucket))
    owner.put(bucket, "ann/clip.wav", b"sound")
    settings = Settings(store=owner.settings)
    user = ceph_store.user(policy(["uploader", "reader", "retention", "erasure"], settings))
    found = probe(Store(home, user.settings(audio=bucket)))
    assert found.conditional_put is True
    assert found.multipart is True
    assert found.versioning is None
    assert found.tag_filter is None
    assert found.notes["versioning"] == "the access key may not try it: it would have to make a bucket"
    assert [item.key for item in owner.list(bucket)] == ["ann/clip.wav"]


@pytest.mark.parametrize("versions", [False, True])
def test_keys_that_may_not_delete_leave_nothing_because_they_try_nothing(
    home: Home, ceph_store: S3Server, bucket: str, versions: bool
) -> None:
    owner = Store(home, ceph_store.settings(audio=bucket))
    owner.ensure_bucket(bucket)
    if versions:
        _keep_versions(owner, bucket)
    roles = ["uploader", "reader", "retention"] if versions else ["uploader"]
    user = ceph_store.user(policy(roles, Settings(store=owner.settings)))
    found = probe(Store(home, user.settings(audio=bucket)))
    assert set(_verdicts(found).values()) == {None}
    assert found.notes["tags"] == "the access key may not delete what it would put"
    assert [item.key for item in owner.list(bucket)] == []


def _keep_versions(store: Store, bucket: str) -> None:
    enabled: Any = {"Status": "Enabled"}
    store.request("V", lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled))


def test_keys_that_may_do_nothing_show_nothing(home: Home, ceph_store: S3Server, bucket: str) -> None:
    owner = Store(home, ceph_store.settings(audio=bucket))
    owner.ensure_bucket(bucket)
    user = ceph_store.user(policy(["models"], Settings(store=owner.settings)))
    assert set(_verdicts(probe(Store(home, user.settings(audio=bucket)))).values()) == {None}


def test_wrong_keys_are_an_error_and_no_verdict(home: Home, s3: S3Server, bucket: str) -> None:
    wrong = StoreSettings(endpoint=s3.url, access_key=s3.access_key, secret_key="wrong", audio=bucket)
    with pytest.raises(StoreError) as refused:
        probe(Store(home, wrong))
    assert refused.value.code == "SignatureDoesNotMatch"


def test_a_store_that_is_busy_for_a_moment_is_tried_again(home: Home, rclone_store: S3Server, bucket: str) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        store = Store(home, rclone_store.settings(url=proxy.url, audio=bucket))
        told: list[str] = []

        def disturb(name: str) -> None:
            told.append(name)
            if name in ("ranges", "copy"):
                proxy.faults.append(Fault(method="PUT", busy=True))
            if name == "metadata":
                proxy.faults += [Fault(method="PUT", path="metadata", busy=True)] * 3

        found = probe(store, told=disturb)
    assert (found.ranges, found.copy) == (True, True)
    assert found.metadata is None
    assert found.notes["metadata"] == "the store was too busy (503)" or "SlowDown" in found.notes["metadata"]
    assert "conditional_put" in told


def test_a_store_that_goes_away_meanwhile_is_not_judged(home: Home, rclone_store: S3Server, bucket: str) -> None:
    with FaultProxy(rclone_store.port) as proxy:
        store = Store(home, rclone_store.settings(url=proxy.url, audio=bucket))
        before = _probe_buckets(store)  # other tests leave some, too
        with pytest.raises(StoreUnavailable):
            probe(store, told=lambda name: proxy.down() if name == "ranges" else None)
        proxy.up()
        place_left = [name for name in _probe_buckets(store) if name not in before]
        assert len(place_left) == 2
    _tidied(Store(home, rclone_store.settings(audio=bucket)), place_left)


def test_links_that_protect_nothing_do_not_count(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "anonymous"
    folder.mkdir()
    with running_rclone(folder, anonymous=True) as server:
        found = probe(Store(home, server.settings()))
    assert found.presign is False


def test_a_clock_that_is_wrong_is_measured(
    home: Home, s3: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(home, s3.settings(audio=bucket))
    assert greeting(store)[1] == 0.0
    present = time.time
    monkeypatch.setattr(time, "time", lambda: present() + 600)
    skew = greeting(store)[1]
    assert skew is not None
    assert -602 < skew < -598


_KILLED = """
import os, sys
from pathlib import Path
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.probing import probe
from voxledger.catalog.settings import Store as StoreSettings

def told(name):
    if name == "metadata":
        print("here", flush=True)
        sys.stdin.read()

url, key, secret, bucket, home = sys.argv[1:]
probe(Store(Home.open(Path(home)), StoreSettings(endpoint=url, access_key=key, secret_key=secret, audio=bucket)), told=told)
"""


def test_what_a_killed_probe_leaves_is_removed_by_the_next_one(home: Home, s3: S3Server, bucket: str) -> None:
    store = Store(home, s3.settings(audio=bucket))
    before = _probe_buckets(store)
    child = forking.spawn(
        ["-c", _KILLED, s3.url, s3.access_key, s3.secret_key, bucket, home.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        child.kill()
    left = [name for name in _probe_buckets(store) if name not in before]
    assert len(left) == 2
    store.put(bucket, f"{PREFIX}0123456789ab/left", b"by a probe")
    store.put(bucket, f"{PREFIX}default/clip.wav", b"of an actor with that name")
    store.put(bucket, "ann/clip.wav", b"sound")
    assert tidy(store, [bucket]) == 0  # what is young may belong to somebody who tries the store right now
    assert set(left) <= set(_probe_buckets(store))
    _tidied(store, left)
    assert [item.key for item in store.list(bucket)] == ["ann/clip.wav", f"{PREFIX}default/clip.wav"]


def test_buckets_of_others_with_a_similar_name_are_left_alone(home: Home, rclone_store: S3Server) -> None:
    store = Store(home, rclone_store.settings())
    name = f"{place.BUCKET}of-my-own"
    store.put(name, f"{PREFIX}x/y", b"precious")
    _tidied(store, [])
    assert store.get(name, f"{PREFIX}x/y") == b"precious"


def _tidied(store: Store, buckets: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "LEFT_BEHIND", timedelta(seconds=-5))
        wait_for(
            lambda: [tidy(store, [store.settings.audio])] and not set(buckets) & set(_probe_buckets(store)),
            "all is gone",
        )
