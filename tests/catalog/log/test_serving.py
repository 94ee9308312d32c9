"""One process keeps the log open; the others ask it, and nobody is locked out."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import msgspec
import pytest

from tests import forking
from tests.building import Parts
from voxledger.catalog import CatalogBusy, LogCorrupt, QueryError
from voxledger.catalog.events import ClipPinned
from voxledger.catalog.log import Keeper, answering, link

_SERVER = """
import sys; sys.path[:0] = [{root!r}]
from pathlib import Path; from tests.building import Parts
parts = Parts(Path({home!r}))
with parts.keeper.serving():
    print("serving", flush=True)
    sys.stdin.read()
parts.close()
"""

_ASKER = """
import sys; sys.path[:0] = [{root!r}]
from pathlib import Path; from tests.building import Parts
parts = Parts(Path({home!r}))
with parts.keeper.reading() as reading:
    print("asking", flush=True)
    reading.rows("SELECT count(*) FROM range(100000000000) AS a WHERE sin(a.range) > 2")
"""


@pytest.fixture
def node(parts: Parts) -> Iterator[forking.Process]:
    """Another process that serves this HOME."""
    code = _SERVER.format(root=str(Path(__file__).parents[3]), home=str(parts.home.path))
    with forking.spawn(["-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        yield process
        process.kill()


def _ended(process: forking.Process) -> None:
    process.communicate("")
    assert process.returncode == 0


def test_a_node_answers_the_others_and_they_see_their_own_writes(parts: Parts, node: forking.Process) -> None:
    clip = parts.clip(name="Gezeiten")
    assert parts.rows("SELECT name FROM clips") == [{"name": "Gezeiten"}]
    parts.record(ClipPinned(reason="why"), clip)
    with parts.keeper.reading() as reading:
        assert reading.rows("SELECT pinned FROM clips WHERE id = ?::UUID", [clip]) == [{"pinned": True}]
        assert reading.tuples("SELECT count(*) FROM events WHERE type = $kind", {"kind": "ClipPinned"}) == [(1,)]
    assert parts.keeper.drain() == 2
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(parts.home.log), read_only=True)
    _ended(node)
    assert not link.path(parts.home).exists()
    assert len(parts.rows("SELECT * FROM clips")) == 1


def test_answers_of_one_reading_are_of_one_moment(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]
        parts.clip()
        parts.keeper.drain()
        assert reading.tuples("SELECT (SELECT count(*) FROM clips), (SELECT max(position) FROM events)") == [(1, 1)]
    assert parts.rows("SELECT count(*) AS n FROM clips") == [{"n": 2}]


def test_a_node_answers_nothing_but_a_select(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        for query in (
            "DELETE FROM clips",
            "SELECT 1; COMMIT; DELETE FROM clips",
            "COPY clips TO '/tmp/x.csv'",
            "SELECT * FROM read_text('/etc/hostname')",
            "SELECT nonsense FROM clips",
        ):
            with pytest.raises(QueryError):
                reading.table(query)
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)], "the reading goes on"


def test_large_answers_come_whole(parts: Parts, node: forking.Process) -> None:
    with parts.keeper.reading() as reading:
        table = reading.table("SELECT range AS n, repeat('x', 200) AS t FROM range(200000)")
    assert table.num_rows == 200_000
    assert table.column("n").to_pylist()[-1] == 199_999


def test_a_node_rebuilds_when_asked(parts: Parts, node: forking.Process) -> None:
    clips = {parts.clip() for _ in range(5)}
    steps: list[tuple[int, int]] = []
    assert parts.keeper.rebuild(progress=lambda done, end: steps.append((done, end))) == 5
    assert steps[-1] == (5, 5)
    assert {str(row["id"]) for row in parts.rows("SELECT id FROM clips")} == clips


def test_as_of_works_through_the_node(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        (moment,) = reading.tuples("SELECT max(recorded) FROM events")[0]
    time.sleep(0.002)
    parts.clip()
    with parts.keeper.reading(as_of=moment) as reading:
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]


def test_a_killed_node_leaves_nothing_behind_that_misleads(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    assert len(parts.rows("SELECT * FROM clips")) == 1
    node.send_signal(signal.SIGKILL)
    node.wait()
    parts.clip()
    assert link.path(parts.home).exists()
    assert len(parts.rows("SELECT * FROM clips")) == 2


def test_who_holds_the_port_now_is_not_believed(parts: Parts) -> None:
    parts.clip()
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        pid = os.getpid()
        from voxledger.catalog import platform

        discovery = link.Discovery(
            pid=pid,
            started=platform.started(pid) or 0.0,
            port=stranger.getsockname()[1],
            instance="somebody",
            secret="0" * 64,
        )
        link.path(parts.home).write_bytes(msgspec.json.encode(discovery))

        def answer() -> None:
            for _ in range(2):
                call, _ = stranger.accept()
                with call:
                    call.recv(1000)
                    call.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        assert len(parts.rows("SELECT * FROM clips")) == 1


def test_the_wrong_secret_hears_nothing(parts: Parts, node: forking.Process) -> None:
    discovery = link.found(parts.home)
    assert discovery is not None
    wrong = msgspec.structs.replace(discovery, secret="0" * 64)
    with pytest.raises((EOFError, OSError)):
        link.Link(wrong, 1.0)
    assert link.path(parts.home).stat().st_mode & 0o077 == 0


def test_a_node_that_hangs_is_named(parts: Parts, node: forking.Process, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        reading._ask.__self__._socket.settimeout(0.3)  # type: ignore[attr-defined]
        node.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(CatalogBusy, match=f"process {node.pid}"):
                reading.table("SELECT 1")
        finally:
            node.send_signal(signal.SIGCONT)


def test_a_node_that_stops_breaks_off_what_is_asked(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    told: list[Exception] = []

    def ask() -> None:
        with parts.keeper.reading() as reading:
            ready.set()
            try:
                reading.table(
                    "SELECT count(*) FROM range(10000000) AS a, range(1000000) AS b WHERE a.range + b.range = 7"
                )
            except (QueryError, CatalogBusy) as error:
                told.append(error)

    ready = threading.Event()
    asking = threading.Thread(target=ask)
    asking.start()
    ready.wait(20)
    _ended(node)
    asking.join(20)
    assert told


def test_a_node_stops_though_somebody_keeps_a_reading_open(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]
        node.communicate("", timeout=15)  # it hangs up, and does not wait until it loses patience
        assert node.returncode == 0
        with pytest.raises(CatalogBusy, match="did not answer"):
            reading.table("SELECT 1")


def test_a_long_question_is_waited_for(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    parts.clip()
    other = Keeper(parts.home, parts.recorder)
    monkeypatch.setattr(answering, "_BEAT", 0.1)
    slow = "SELECT count(*) AS n FROM range(100000000) AS a WHERE sin(a.range) > 2"
    with parts.keeper.serving(), other.reading() as reading:
        reading._ask.__self__._socket.settimeout(0.5)  # type: ignore[attr-defined]
        start = time.monotonic()
        assert reading.rows(slow) == [{"n": 0}]
        assert time.monotonic() - start > 0.7


def test_a_question_ends_with_who_asked_it(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    code = _ASKER.format(root=str(Path(__file__).parents[3]), home=str(parts.home.path))
    with forking.spawn(["-c", code], stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline() == "asking\n"
        time.sleep(0.3)
        with pytest.raises(CatalogBusy, match="queries \\(1\\) have been running"):
            parts.keeper.rebuild(patience=0.2)
        asker.kill()
    parts.keeper.rebuild(patience=10)
    assert len(parts.rows("SELECT * FROM clips")) == 1
    _ended(node)


def test_strangers_take_nobodys_turn(parts: Parts, node: forking.Process) -> None:
    parts.clip()
    discovery = link.found(parts.home)
    assert discovery is not None
    strangers = [socket.create_connection(("127.0.0.1", discovery.port)) for _ in range(80)]
    try:
        assert len(parts.rows("SELECT * FROM clips")) == 1
    finally:
        for stranger in strangers:
            stranger.close()


def test_a_damaged_file_under_a_node_is_moved_aside_and_filled_again(parts: Parts) -> None:
    clips = {parts.clip() for _ in range(300)}
    parts.keeper.drain()
    other = Keeper(parts.home, parts.recorder)
    found: set[str] = set()
    corrupt = 0
    with parts.keeper.serving():
        with parts.home.catalog.open("r+b") as file:  # the node has it open, and has read no clip yet
            for at in range(12_288 + 100, parts.home.catalog.stat().st_size, 4096):
                file.seek(at)
                file.write(b"\xff" * 64)
        while not found:
            try:
                with other.reading() as reading:
                    found = {str(row["id"]) for row in reading.rows("SELECT * FROM clips")}
            except LogCorrupt as error:
                assert "moved aside" in str(error)  # noqa: PT017  # told once, then it is mended
                corrupt += 1
                assert corrupt < 3
    assert corrupt
    assert found == clips
    assert list(parts.home.path.glob("catalog.duckdb.damaged-*"))


def test_a_rebuild_that_cannot_take_its_place_leaves_the_node_its_tables(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, where a virus scanner may have the new file open just then."""
    replace = Path.replace

    def refused(path: Path, target: Path) -> Path:
        if path.name == "catalog.duckdb.new":
            raise PermissionError(13, "in use", str(path))
        return replace(path, target)

    parts.clip()
    with parts.keeper.serving():
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", refused)
            with pytest.raises(PermissionError):
                parts.keeper.rebuild()
        parts.clip()
        assert parts.rows("SELECT count(*) AS n FROM clips") == [{"n": 2}]
        parts.keeper.rebuild()
        assert parts.rows("SELECT count(*) AS n FROM clips") == [{"n": 2}]


def test_threads_of_the_node_read_while_it_drains(parts: Parts) -> None:
    with parts.keeper.serving():
        failed: list[Exception] = []
        stop = threading.Event()

        def look() -> None:
            try:
                while not stop.is_set():
                    with parts.keeper.reading(fresh=False) as reading:
                        clips, generations = reading.tuples(
                            "SELECT (SELECT count(*) FROM clips), (SELECT count(*) FROM generations)"
                        )[0]
                        assert clips == generations
            except Exception as error:  # noqa: BLE001  # told by the test
                failed.append(error)

        readers = [threading.Thread(target=look) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(30):
            parts.clip()
            parts.keeper.drain()
        assert parts.keeper.rebuild() == 30
        stop.set()
        for reader in readers:
            reader.join(30)
        assert failed == []


def test_threads_read_while_the_node_begins_and_ends(parts: Parts) -> None:
    parts.clip()
    parts.keeper.drain()
    answers: Counter[str] = Counter()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            try:
                with parts.keeper.reading(fresh=False) as reading:
                    answers[f"{reading.tuples('SELECT count(*) FROM clips')[0][0]} clips"] += 1
            except duckdb.InterruptException:  # broken off, because the node ended
                answers["broken off"] += 1
            except Exception as error:  # noqa: BLE001  # told by the test
                answers[repr(error)] += 1
            time.sleep(0.002)  # locks are not fair: who never lets go keeps the node from beginning

    readers = [threading.Thread(target=look) for _ in range(3)]
    for reader in readers:
        reader.start()
    for _ in range(30):
        with parts.keeper.serving():
            time.sleep(0.02)
    stop.set()
    for reader in readers:
        reader.join(30)
    assert set(answers) <= {"1 clips", "broken off"}, answers
    assert answers["1 clips"] > 0


def test_a_second_keeper_of_the_serving_process_asks_the_first(parts: Parts) -> None:
    with parts.keeper.serving():
        parts.clip()
        other = Keeper(parts.home, parts.recorder)
        with other.reading() as reading:
            assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]


def test_an_hour_of_speaking_locks_nobody_out(parts: Parts) -> None:
    """Somebody who emits and drains all the time lets others in within a moment."""
    stop = threading.Event()
    busy = Parts(parts.home.path)

    def speak() -> None:
        while not stop.is_set():
            busy.clip()
            busy.keeper.drain()

    thread = threading.Thread(target=speak)
    thread.start()
    code = (
        f"import sys; sys.path[:0] = [{str(Path(__file__).parents[3])!r}]\n"
        "from pathlib import Path; from tests.building import Parts\n"
        f"parts = Parts(Path({str(parts.home.path)!r}))\n"
        "for _ in range(5):\n"
        "    assert parts.rows('SELECT count(*) AS n FROM clips')\n"
    )
    try:
        ended = forking.run(["-c", code])
    finally:
        stop.set()
        thread.join()
        busy.close()
    assert ended.returncode == 0, ended.stderr
