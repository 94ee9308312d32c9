"""Deleting many keys: the answer about each is read, what passes is tried again, and absence is seen, of versions too."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store, patience
from voxledger.catalog.objects.deleting import KEPT, LOCKED, Answer, Deleter
from voxledger.catalog.objects.features import Features, keep_features, normal
from voxledger.catalog.objects.policies import policy
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def store(s3: S3Server, home: Home) -> Iterator[Store]:
    keep_features(home, Features(endpoint=normal(s3.url), versioning=s3.keeps_metadata))
    made = Store(home, s3.settings())
    yield made
    made.close()


@pytest.fixture
def ceph(ceph_store: S3Server, home: Home) -> Iterator[Store]:
    made = Store(home, ceph_store.settings())
    yield made
    made.close()


@pytest.fixture
def proxy(rclone_store: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(rclone_store.port) as made:
        yield made


@pytest.fixture
def proxied(rclone_store: S3Server, proxy: FaultProxy, home: Home) -> Store:
    return Store(home, rclone_store.settings(url=proxy.url))


def fill(store: Store, bucket: str, *keys: str, versions: int = 0) -> None:
    store.ensure_bucket(bucket)
    if versions:
        store.request(
            "VERSIONING",
            lambda s3: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        )
    for number in range(versions or 1):
        for key in keys:
            store.put(bucket, key, b"x" * (number + 1))


def all_versions(store: Store, bucket: str) -> list[str]:
    page = store.request("VERSIONS", lambda s3: s3.list_object_versions(Bucket=bucket))
    return sorted(found["Key"] for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])])


def removed(store: Store, bucket: str, *keys: str, perhaps: tuple[str, ...] = ()) -> dict[str, Answer]:
    return Deleter(store, wait=lambda seconds: None).delete(bucket, keys, perhaps=perhaps)


@pytest.mark.every_server
def test_many_go_and_their_neighbours_stay(store: Store, bucket: str) -> None:
    keys = [f"ann/x/{number:03}.wav" for number in range(90)]
    fill(store, bucket, *keys, "ann/x/010.wav.vox.json", "ann/x/0100.wav", "ann/x/z.wav")
    records = tuple(f"{key}.vox.json" for key in keys)
    answers = removed(store, bucket, *keys, "ann/x/never.wav", perhaps=records)
    assert set(answers) == {*keys, "ann/x/never.wav", *records}
    assert all(answer.gone for answer in answers.values())
    assert [found.key for found in store.list(bucket)] == ["ann/x/0100.wav", "ann/x/z.wav"]


@pytest.mark.every_server
def test_a_bucket_that_is_not_there_is_no_proof_that_something_is_gone(store: Store, bucket: str) -> None:
    answer = removed(store, bucket, "a", "b", perhaps=("c",))["b"]
    assert (answer.gone, answer.nowhere) == (False, True)
    assert f"bucket {bucket} is not at {store.endpoint}; did the endpoint" in answer.reason


def test_all_versions_and_markers_go(ceph: Store, bucket: str) -> None:
    mine = [f"a/{number:03}.wav" for number in range(30)]
    fill(ceph, bucket, *mine, "a/000.wav.vox.json", "a/00", "a/0005.wav", versions=3)
    ceph.delete(bucket, mine[3])
    answers = removed(ceph, bucket, *mine, "a/never")
    assert {key: len(answer.versions) for key, answer in answers.items()} == {
        **dict.fromkeys(mine, 3), mine[3]: 4, "a/never": 0,
    }  # fmt: skip
    assert all(answer.gone for answer in answers.values())
    assert set(all_versions(ceph, bucket)) == {"a/000.wav.vox.json", "a/00", "a/0005.wav"}


def test_a_locked_version_stays_unread_and_its_bytes_count(ceph: Store, bucket: str) -> None:
    ceph.request("CREATE", lambda s3: s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True))
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
    ceph.put(bucket, "locked", b"12345")
    ceph.put(bucket, "free", b"123")
    ceph.request(
        "LOCK",
        lambda s3: s3.put_object_retention(
            Bucket=bucket, Key="locked", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
        ),
    )
    answers = removed(ceph, bucket, "locked", "free")
    assert answers["free"].gone
    assert (answers["locked"].code, answers["locked"].kept_bytes, answers["locked"].hidden) == (LOCKED, 5, True)
    for _ in range(2):
        assert not ceph.exists(bucket, "locked")
        assert all_versions(ceph, bucket) == ["locked", "locked"]
        assert removed(ceph, bucket, "locked")["locked"].versions == ()


def test_a_key_that_may_not_see_versions_hides_them(ceph_store: S3Server, ceph: Store, bucket: str, home: Home) -> None:
    fill(ceph, bucket, "a.wav", versions=2)
    settings = Settings(store=StoreSettings(audio=bucket))
    limited = Store(home, ceph_store.user(policy(["retention"], settings)).settings())
    answer = removed(limited, bucket, "a.wav", perhaps=("a.wav.vox.json",))["a.wav"]
    assert (answer.code, answer.kept_bytes, answer.gone) == (KEPT, None, False)
    assert not ceph.exists(bucket, "a.wav")
    assert len(all_versions(ceph, bucket)) == 3


def rewritten(key: str, told: str) -> Fault:
    """What the store says about a key is another thing."""
    line = re.compile(rf"<Deleted>\s*<Key>{key}</Key>.*?</Deleted>".encode(), re.DOTALL)
    return Fault(method="POST", rewrite=lambda body: line.sub(told.encode(), body))


def test_a_listing_that_fails_or_breaks_off_lets_nothing_be_deleted(
    ceph_store: S3Server, ceph: Store, bucket: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(ceph, bucket, "a.wav", versions=2)
    monkeypatch.setattr(patience, "_FIRST", 0.0)
    with FaultProxy(ceph_store.port) as proxy:
        store = Store(home, ceph_store.settings(url=proxy.url))
        proxy.faults = [Fault(method="GET", path="versions", busy=True)] * 9
        assert removed(store, bucket, "a.wav")["a.wav"].code == "SlowDown"
        proxy.faults = [Fault(method="GET", path="versions", rewrite=lambda body: b"")] * 9
        assert removed(store, bucket, "a.wav")["a.wav"].away
        assert proxy.count("POST") == 0
    assert len(all_versions(ceph, bucket)) == 2
    assert ceph.exists(bucket, "a.wav")


def refusing(key: str, code: str = "InternalError") -> Fault:
    return rewritten(key, f"<Error><Key>{key}</Key><Code>{code}</Code></Error>")


def test_exactly_what_was_refused_for_now_is_tried_again(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    fill(proxied, bucket, "a", "b", "c")
    proxy.faults = [refusing("b"), refusing("b", "SlowDown")]
    assert all(answer.gone for answer in removed(proxied, bucket, "a", "b", "c").values())
    asked = [[key for key in ("a", "b", "c") if f"<Key>{key}</Key>".encode() in seen.body] for seen in proxy.seen]
    assert [keys for keys in asked if keys] == [["a", "b", "c"], ["b"], ["b"]]


def test_what_is_refused_to_the_end_is_reported_with_its_code(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    fill(proxied, bucket, "a", "b")
    proxy.faults = [refusing("b", "AccessDenied")]
    answers = removed(proxied, bucket, "a", "b")
    assert (answers["a"].gone, answers["b"].gone, answers["b"].code) == (True, False, "AccessDenied")
    proxy.faults = [refusing("a", "InternalError") for _ in range(9)]
    assert removed(proxied, bucket, "a")["a"].code == "InternalError"


def test_an_answer_that_is_silent_about_a_key_is_no_yes(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    fill(proxied, bucket, "a", "b")
    proxy.faults = [rewritten("b", "") for _ in range(9)]
    answers = removed(proxied, bucket, "a", "b")
    assert (answers["a"].gone, answers["b"].code) == (True, "NoAnswer")


def test_a_store_that_stays_busy_is_named_for_each_key(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    fill(proxied, bucket, "a", "b")
    proxy.faults = [Fault(method="POST", path="delete", busy=True)] * 9
    assert {answer.code for answer in removed(proxied, bucket, "a", "b").values()} == {"SlowDown"}
    assert proxied.exists(bucket, "a")


def test_a_store_that_is_away_answers_for_each_key(home: Home, bucket: str) -> None:
    away = Store(home, StoreSettings(endpoint="http://127.0.0.1:9", access_key="a", secret_key="b"))
    answers = removed(away, bucket, "a", "b")
    assert [answer.away for answer in answers.values()] == [True, True]
