"""Real S3 servers for tests: rclone's, which forgets metadata and tags, and Ceph's gateway, which keeps everything.

Nothing here talks to the network beyond loopback. Each server ends with the process that started it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.soak import FULL
from voxledger.catalog import platform
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects.embedded import signed
from voxledger.catalog.objects.embedded.owner import free_port, serve_command
from voxledger.catalog.objects.embedded.rclone import find_rclone
from voxledger.catalog.objects.probing import probe
from voxledger.catalog.objects.store import Store
from voxledger.catalog.settings import Store as StoreSettings

OTHER = "VOXLEDGER_TEST_S3"
"""http://key:secret@host:port of another store that tests run against too; on this machine, or forwarded to it, where they
put a proxy in between."""
_BUCKETS: list[str] = []
EVERY_SERVER = "every_server"
"""The mark of tests that run on every server in `make test` too: where servers differ in what is tested."""
CEPH_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph")
_CEPH = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
ms bind ipv6 = false
ms mon client mode = crc
public addr = 127.0.0.1
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
mon data = {folder}/mon
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = {room}
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
; A pool waits for the monitor's next proposal, one second otherwise, and the gateway makes a dozen pools.
paxos propose interval = 0.02
paxos min wait = 0.01
mon data avail crit = 1
mon data avail warn = 1
osd heartbeat grace = 600
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw lc debug interval = 10
rgw thread pool size = 64
"""


@dataclass(frozen=True)
class S3Server:
    """A running server, and settings that lead to it."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    keeps_metadata: bool
    ceph: Path | None = None
    """Ceph's configuration, where it is Ceph."""

    @property
    def port(self) -> int:
        """On loopback."""
        return int(self.url.rpartition(":")[2])

    def user(self, policy: dict[str, Any]) -> S3Server:
        """The same Ceph through the eyes of a new user, who may do what an IAM policy says and nothing else."""
        import boto3

        assert self.ceph is not None
        name, access_key, secret_key = (f"{kind}{secrets.token_hex(8)}" for kind in ("user", "TEST", "secret"))
        made = subprocess.run(
            ["radosgw-admin", "user", "create", f"--uid={name}", f"--display-name={name}", f"--access-key={access_key}",
             f"--secret-key={secret_key}", "--max-buckets=-1"],
            env={**os.environ, "CEPH_CONF": str(self.ceph)}, capture_output=True, text=True, timeout=60, cwd=self.ceph.parent,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        iam = boto3.client(
            "iam", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )  # fmt: skip
        iam.put_user_policy(UserName=name, PolicyName="voxledger", PolicyDocument=json.dumps(policy))
        return replace(self, access_key=access_key, secret_key=secret_key)

    def settings(self, *, url: str | None = None, **more: Any) -> StoreSettings:
        """Settings of the section [store]; `url` leads through a proxy."""
        return StoreSettings(endpoint=url or self.url, access_key=self.access_key, secret_key=self.secret_key, **more)


@contextmanager
def running_rclone(folder: Path, *, port: int = 0, anonymous: bool = False) -> Iterator[S3Server]:
    """Rclone's S3 server over a folder; an anonymous one takes any key."""
    access_key, secret_key = f"TEST{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    chosen = free_port(port)
    key = {} if anonymous else {"RCLONE_AUTH_KEY": f'"{access_key},{secret_key}"'}
    with ExitStack() as stack:
        _child(stack, serve_command(find_rclone(), folder, chosen), {**os.environ, **key}, folder.with_suffix(".log"))
        ready = _listens if anonymous else lambda port: signed.is_ours(port, access_key, secret_key)
        wait_for(lambda: ready(chosen), "rclone answers", seconds=10)
        yield S3Server(f"http://127.0.0.1:{chosen}", access_key, secret_key, keeps_metadata=False)


@contextmanager
def running_ceph(folder: Path, *, room: int = 2 << 30) -> Iterator[S3Server]:
    """Ceph's S3 gateway with one monitor and one store in memory; about 2 s to start."""
    access_key, secret_key = f"TEST{secrets.token_hex(8).upper()}", secrets.token_hex(20)
    ports = (free_port(), free_port())
    config = folder / "ceph.conf"
    fsid = str(uuid.uuid4())
    config.write_text(_CEPH.format(fsid=fsid, folder=folder, mon_port=ports[0], port=ports[1], room=room))
    environ = {**os.environ, "CEPH_CONF": str(config)}

    def run(*argv: str) -> None:
        done = subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=60, cwd=folder)
        assert done.returncode == 0, f"{argv}: {done.stderr or done.stdout}"

    with ExitStack() as stack:
        run("monmaptool", "--create", "--addv", "a", f"[v2:127.0.0.1:{ports[0]}]", "--fsid", fsid, "monmap")
        run("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")
        _child(stack, ["ceph-mon", "-f", "-i", "a"], environ, folder / "mon.out")
        wait_for(lambda: _listens(ports[0]), "the monitor listens", seconds=15)
        (folder / "osd").mkdir()
        identity = str(uuid.uuid4())
        run("ceph", "--connect-timeout", "15", "osd", "new", identity)
        run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", identity)
        _child(stack, ["ceph-osd", "-f", "-i", "0"], environ, folder / "osd.out")
        run(
            "radosgw-admin", "user", "create", "--uid=test", "--display-name=test", f"--access-key={access_key}",
            f"--secret-key={secret_key}", "--caps=user-policy=*",
        )  # fmt: skip
        _child(stack, ["radosgw", "-f", "-n", "client.rgw"], environ, folder / "rgw.out")
        wait_for(lambda: signed.is_ours(ports[1], access_key, secret_key), "the gateway answers", seconds=30)
        yield S3Server(f"http://127.0.0.1:{ports[1]}", access_key, secret_key, keeps_metadata=True, ceph=config)


@pytest.fixture(scope="session")
def rclone_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Rclone's S3 server for the whole session; use fresh buckets."""
    folder = tmp_path_factory.mktemp("rclone") / "store"
    folder.mkdir()
    with running_rclone(folder) as server:
        yield server


@pytest.fixture(scope="session")
def ceph_store() -> Iterator[S3Server]:
    """Ceph's S3 gateway for the whole session; use fresh buckets. Skipped where Ceph is missing, but not in CI."""
    missing = _missing()
    if missing:
        message = f"Ceph is not installed ({', '.join(missing)}): apt-get install radosgw ceph-mon ceph-osd ceph-common"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with ExitStack() as stack:
        # Its sockets have long names, and pytest's folders are deep.
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="rgw-", ignore_cleanup_errors=True))
        yield stack.enter_context(running_ceph(Path(folder)))


@pytest.fixture(scope="session")
def other_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """The store of VOXLEDGER_TEST_S3; the buckets that tests have made there are removed at the end."""
    parts = urlsplit(os.environ[OTHER])
    if not parts.username or not parts.password or not parts.hostname:
        pytest.fail(f"{OTHER} must read http://ACCESS_KEY:SECRET_KEY@HOST:PORT")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    url = f"{parts.scheme}://{parts.hostname}:{port}"
    server = S3Server(url, unquote(parts.username), unquote(parts.password), keeps_metadata=True)
    store = Store(Home.open(tmp_path_factory.mktemp("other") / "home"), server.settings())
    try:
        yield replace(server, keeps_metadata=probe(store).metadata is True)
    finally:
        for name in _BUCKETS:
            empty_bucket(store, name)


def _missing() -> list[str]:
    """The programs of Ceph that are not installed."""
    return [program for program in CEPH_PROGRAMS if shutil.which(program) is None]


def spared(items: Sequence[pytest.Item]) -> set[pytest.Item]:
    """The tests that `make test` leaves to `make soak`: those on the one of rclone and Ceph that was not chosen for them.

    What is tested is the same on both, unless the test bears the mark `every_server`. Which one is chosen hangs on the test's
    name and the case alone. Where Ceph is missing it is rclone; CI is not asked, and fails on Ceph's tests (`ceph_store`).
    """
    if FULL:
        return set()
    servers = ["rclone"] if _missing() and not os.environ.get("CI") else ["rclone", "ceph"]
    return {item for item in items if isinstance(item, pytest.Function) and _spared(item, servers)}


def _spared(item: pytest.Function, servers: Sequence[str]) -> bool:
    case = getattr(item, "callspec", None)
    if case is None or item.get_closest_marker(EVERY_SERVER):
        return False
    server = case.params.get("s3")
    if server not in ("rclone", "ceph"):
        return False
    others = sorted((name, index) for name, index in case.indices.items() if name != "s3")
    chosen = zlib.crc32(f"{item.path.name} {item.originalname} {others}".encode()) % len(servers)
    return bool(server != servers[chosen])


def empty_bucket(store: Store, bucket: str) -> None:
    """Remove a bucket with all versions of what is in it; one that is not there is fine."""

    def versions(s3: Any) -> None:
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
            for found in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                s3.delete_object(Bucket=bucket, Key=found["Key"], VersionId=found["VersionId"])

    with suppress(StoreError):  # of a store that has none
        store.request(f"VERSIONS of {bucket}", versions)
    with suppress(StoreError):
        for found in store.list(bucket):
            store.delete(bucket, found.key)
        store.request(f"DELETE {bucket}", lambda s3: s3.delete_bucket(Bucket=bucket))


@pytest.fixture(params=["rclone", "ceph", *(["other"] if os.environ.get(OTHER) else [])])
def s3(request: pytest.FixtureRequest) -> S3Server:
    """Each of the servers in turn; `make test` takes one of them for each test (see `spared`)."""
    server: S3Server = request.getfixturevalue(f"{request.param}_store")
    return server


@pytest.fixture
def bucket() -> str:
    """A bucket name nobody has used."""
    _BUCKETS.append(name := f"test-{secrets.token_hex(6)}")
    return name


def _child(stack: ExitStack, argv: list[str], environ: dict[str, str], log: Path) -> subprocess.Popen[bytes]:
    sink = stack.enter_context(log.open("ab"))
    process = subprocess.Popen(
        argv, env=environ, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, cwd=log.parent,
        preexec_fn=platform.die_with_parent if sys.platform == "linux" else None,
    )  # fmt: skip
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nothing it holds is worth a farewell."""
    process.kill()
    process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 20.0) -> None:
    """Look until a condition holds; fails with what was waited for."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s in vain until {what}"
        time.sleep(0.01)
