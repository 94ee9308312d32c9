"""The store, against rclone's server and Ceph's gateway."""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import voxledger
from tests.building import NOBODY
from tests.fault_proxy import Fault, FaultProxy
from tests.s3 import S3Server
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store, client, direct
from voxledger.catalog.objects.object_info import from_head
from voxledger.catalog.settings import Store as StoreSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

pytestmark = pytest.mark.every_server
CONTENT = secrets.token_bytes(5000)
MD5 = hashlib.md5(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def store(s3: S3Server, home: Home) -> Iterator[Store]:
    made = Store(home, s3.settings())
    yield made
    made.close()


@pytest.fixture
def proxy(rclone_store: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(rclone_store.port) as made:
        yield made


@pytest.fixture
def proxied(rclone_store: S3Server, proxy: FaultProxy, home: Home) -> Store:
    return Store(home, rclone_store.settings(url=proxy.url))


def test_object_comes_back_as_it_was_put(store: Store, bucket: str, tmp_path: Path) -> None:
    etag = store.put(bucket, "a/b.wav", CONTENT, content_type="audio/wav", md5=MD5)
    found = store.head(bucket, "a/b.wav")
    assert found is not None
    assert (found.bytes, found.etag, found.md5, found.content_type) == (5000, MD5, etag, "audio/wav")
    assert found.modified.tzinfo is not None
    assert store.get(bucket, "a/b.wav") == CONTENT
    path = store.download(bucket, "a/b.wav", tmp_path / "copy", sha256=SHA256)
    assert path.read_bytes() == CONTENT


def test_file_is_put_like_bytes(store: Store, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert store.put(bucket, "file", tmp_path / "file", md5=MD5) == MD5


def test_metadata_is_kept_in_ascii_whatever_its_script(store: Store, bucket: str) -> None:
    store.put(bucket, "key", b"x", metadata={"Name": "會議 100%", "empty": ""})
    found = store.head(bucket, "key")
    assert found is not None
    assert found.metadata == {"name": "%E6%9C%83%E8%AD%B0 100%25"}


def test_tags_are_written_in_allowed_characters(ceph_store: S3Server, home: Home, bucket: str) -> None:
    store = Store(home, ceph_store.settings())
    store.put(bucket, "key", b"x", tags={"emotion": "happy & calm?", "langue": "français", "none": ""})
    answer = client.make_client(ceph_store.settings(), None, connections=1).get_object_tagging(Bucket=bucket, Key="key")
    assert {tag["Key"]: tag["Value"] for tag in answer["TagSet"]} == {"emotion": "happy _ calm_", "langue": "français"}


def test_wrong_md5_is_refused_and_leaves_nothing(store: Store, bucket: str) -> None:
    with pytest.raises(StoreError, match="BadDigest"):
        store.put(bucket, "key", b"something else", md5=MD5)
    assert not store.exists(bucket, "key")


def test_what_is_not_there_is_none_for_head_and_an_error_for_get(store: Store, bucket: str, tmp_path: Path) -> None:
    assert store.head(bucket, "key") is None
    assert list(store.list(bucket)) == []
    store.put(bucket, "other", b"x")
    assert store.head(bucket, "key") is None
    for get in (lambda: store.get(bucket, "key"), lambda: store.download(bucket, "key", tmp_path / "none")):
        with pytest.raises(StoreError) as refused:
            get()
        assert refused.value.code == "NoSuchKey"
    assert list(tmp_path.glob("*none*")) == []


def test_deleting_is_idempotent(store: Store, bucket: str) -> None:
    store.put(bucket, "key", b"x")
    store.delete(bucket, "key")
    store.delete(bucket, "key")
    assert not store.exists(bucket, "key")


def test_many_are_listed_and_deleted_over_several_pages(store: Store, bucket: str) -> None:
    keys = [f"one/{number:03}" for number in range(40)]
    for key in [*keys, "two/0"]:
        store.put(bucket, key, b"x")
    assert [found.key for found in store.list(bucket, "one/")] == keys
    assert store.delete_many(bucket, [*keys, "never"]) == {}
    assert [(found.key, found.bytes) for found in store.list(bucket)] == [("two/0", 1)]


def test_bucket_that_vanished_is_made_again(store: Store, bucket: str) -> None:
    store.put(bucket, "key", b"x")
    store.delete(bucket, "key")
    client.make_client(store.settings, None, connections=1).delete_bucket(Bucket=bucket)
    store.put(bucket, "key", b"y")
    assert store.get(bucket, "key") == b"y"


def test_presigned_link_opens_without_keys(store: Store, bucket: str) -> None:
    store.put(bucket, "ö/a b.wav", CONTENT)
    with urllib.request.urlopen(store.presign(bucket, "ö/a b.wav", 60)) as answer:
        assert answer.read() == CONTENT


def test_wrong_keys_are_an_error_that_says_what_to_do_and_no_secret(s3: S3Server, home: Home, bucket: str) -> None:
    wrong = StoreSettings(endpoint=s3.url, access_key=s3.access_key, secret_key="hunter2" * 6)
    with pytest.raises(StoreError, match=r"check store\.secret_key") as refused:
        Store(home, wrong).put(bucket, "key", b"x")
    assert refused.value.code == "SignatureDoesNotMatch"
    assert "hunter2" not in str(refused.value)
    assert Store(home, wrong).answers()


def test_nobody_at_the_endpoint_is_unavailable(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    assert proxied.answers()
    proxy.down()
    with pytest.raises(StoreUnavailable, match=r"nobody answers at http.*store\.endpoint"):
        proxied.get(bucket, "key")
    assert not proxied.answers()


def test_download_that_breaks_off_leaves_no_file(
    proxied: Store, proxy: FaultProxy, bucket: str, tmp_path: Path
) -> None:
    proxied.put(bucket, "key", CONTENT)
    proxy.faults.append(Fault(method="GET", cut=2000))
    with pytest.raises(StoreUnavailable):
        proxied.download(bucket, "key", tmp_path / "copy")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_altered_object_is_not_taken_for_the_recorded_one(store: Store, bucket: str, tmp_path: Path) -> None:
    store.put(bucket, "key", b"altered")
    with pytest.raises(StoreError, match="altered") as refused:
        store.download(bucket, "key", tmp_path / "copy", sha256=SHA256)
    assert refused.value.code == "Damaged"
    assert not (tmp_path / "copy").exists()


def test_busy_store_is_a_passing_failure(proxied: Store, proxy: FaultProxy, bucket: str) -> None:
    proxied.ensure_bucket(bucket)
    proxy.faults.append(Fault(method="PUT", busy=True))
    with pytest.raises(StoreError) as refused:
        proxied.put(bucket, "key", b"x")
    assert client.is_transient(refused.value)
    assert proxied.put(bucket, "key", b"x")


def test_making_a_store_contacts_nobody(home: Home) -> None:
    store = Store(home, StoreSettings(endpoint="http://127.0.0.1:9", access_key="a" * 20, secret_key="b" * 20))
    assert store.endpoint == "http://127.0.0.1:9"
    assert store.environment()["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert "b" * 20 not in repr(store)
    assert not store.is_embedded
    assert not store.wants_records


def test_connections_suffice_for_whoever_transfers_over_most(home: Home) -> None:
    with voxledger.open(home.path, store_endpoint=NOBODY, store_upload_threads=2, models_threads=40) as vox:
        assert vox.store.request("POOL", lambda s3: s3.meta.config.max_pool_connections) >= 40 + 2
    with voxledger.open(home.path, store_endpoint=NOBODY, store_upload_threads=60) as vox:
        assert vox.store.request("POOL", lambda s3: s3.meta.config.max_pool_connections) >= 60 + 60


@pytest.mark.parametrize("key", ["plain.wav", "a b/ü+ë=&?#%20~'()*!.wav", "x~y/.z-w_.wav", "日本/語.wav"])
def test_a_look_gives_what_boto3_gives(store: Store, bucket: str, key: str) -> None:
    store.put(bucket, key, CONTENT, content_type="audio/wav", metadata={"Emotion": "glücklich", "empty": ""})
    found = store.head(bucket, key)
    the_long_way = store.request("HEAD", lambda s3: s3.head_object(Bucket=bucket, Key=key))
    assert found == from_head(key, the_long_way)
    assert found is not None
    assert found.bytes == 5000


def test_a_look_that_is_refused_is_told_as_boto3_tells_it(s3: S3Server, home: Home, bucket: str) -> None:
    wrong = Store(home, S3Server(s3.url, s3.access_key, "wrong", keeps_metadata=True).settings())
    with pytest.raises(StoreError) as quick:
        wrong.head(bucket, "a")
    with pytest.raises(StoreError) as long:
        wrong.request(f"HEAD {bucket}/a", lambda s3: s3.head_object(Bucket=bucket, Key="a"))
    assert (quick.value.code, str(quick.value)) == (long.value.code, str(long.value))


@pytest.mark.parametrize("key", ["plain.wav", "a b/ü+ë=&?#%20~'()*!.wav", "x~y/.z-w_.wav", "日本/語.wav"])
def test_what_is_put_lies_there_as_boto3_puts_it(store: Store, bucket: str, key: str) -> None:
    facts = {"content_type": "audio/wav", "metadata": {"Emotion": "a, b; 100%"}, "tags": {"mood": "a b"}, "md5": MD5}
    store.put(bucket, key, CONTENT, **facts)  # type: ignore[arg-type]
    quick = store.request("HEAD", lambda s3: s3.head_object(Bucket=bucket, Key=key))
    store.request(
        "PUT",
        lambda s3: s3.put_object(
            Bucket=bucket, Key=key, Body=CONTENT, ContentType="audio/wav", Metadata={"emotion": "a, b; 100%25"}
        ),
    )
    long = store.request("HEAD", lambda s3: s3.head_object(Bucket=bucket, Key=key))
    assert [quick[name] for name in ("ETag", "ContentType", "ContentLength", "Metadata")] == [
        long[name] for name in ("ETag", "ContentType", "ContentLength", "Metadata")
    ]


@pytest.mark.parametrize("trouble", ["wrong key", "no bucket", "damage", "taken"])
def test_a_put_that_is_refused_is_told_as_boto3_tells_it(s3: S3Server, home: Home, bucket: str, trouble: str) -> None:
    secret = "wrong" if trouble == "wrong key" else s3.secret_key
    store = Store(home, S3Server(s3.url, s3.access_key, secret, keeps_metadata=True).settings())
    where = f"{bucket}-none" if trouble == "no bucket" else bucket
    options = {"damage": {"ContentMD5": base64.b64encode(bytes(16)).decode()}, "taken": {"IfNoneMatch": "*"}}.get(
        trouble, {}
    )
    if trouble == "taken":
        store.put(where, "a", CONTENT)

    def told(put: Callable[[S3Client], object]) -> tuple[str | None, str]:
        try:
            store.request("PUT", put)
        except StoreError as error:
            return error.code, str(error)
        return "", "it was taken"

    quick = told(lambda s3: direct.put(s3, where, "a", CONTENT, options))
    assert quick == told(lambda s3: s3.put_object(Bucket=where, Key="a", Body=CONTENT, **options))  # type: ignore[arg-type]
    assert quick[0] or trouble == "taken"  # which rclone does not honour


@pytest.mark.parametrize(("size", "rate"), [(8_000_000, 6_000_000), (900_000, 1_000_000)])
def test_a_clip_comes_through_a_slow_line(home: Home, monkeypatch: pytest.MonkeyPatch, size: int, rate: int) -> None:
    monkeypatch.setattr(client, "CONNECT_TIMEOUT", 0.3)
    content = secrets.token_bytes(size)
    with _SlowServer(rate) as server:
        slow = Store(home, StoreSettings(endpoint=server.url, access_key="k", secret_key="s"))
        slow.put("clips", "a", content)
    assert server.received == [len(content)]


class _SlowServer:
    """Takes whatever is put, at so many bytes a second."""

    def __init__(self, rate: int) -> None:
        self.received: list[int] = []
        self._rate = rate
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _SlowServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while stream.readline():
                    length = 0
                    while (line := stream.readline()).strip():
                        name, _, value = line.partition(b":")
                        length = int(value) if name.lower() == b"content-length" else length
                        if name.lower() == b"expect":
                            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                    left = length
                    while left:
                        left -= len(stream.read(min(left, 50_000)))
                        time.sleep(50_000 / self._rate)
                    if length:
                        self.received.append(length)
                    connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: "e"\r\n\r\n')
