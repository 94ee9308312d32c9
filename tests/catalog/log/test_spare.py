"""Between two readings a process keeps a DuckDB instance, and no file: it holds nobody out, and does not outlive a fork."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from tests import forking
from tests.building import Parts
from voxledger.catalog import duckdb_files
from voxledger.catalog.spill import SPILL

_FORKING = """
import os, signal, sys; sys.path[:0] = [{root!r}]
import voxledger
def ask():
    with voxledger.open({home!r}, store_endpoint="http://127.0.0.1:9", store_close_wait=0, general_actor="ann") as vox:
        return vox.catalog.sql("SELECT count(*) AS clips FROM clips").rows()
print(ask(), flush=True)
pid = os.fork()
if not pid:
    signal.alarm(20)
    print(ask(), flush=True)
    sys.exit(0)
print(os.waitpid(pid, 0)[1], ask())
"""


_CHECKPOINTING = """
import os, signal, threading
import duckdb
base = duckdb.connect(config={{"checkpoint_threshold": "1TB"}})
base.execute("ATTACH '{log}' AS log; CREATE TABLE log.before (i INT); CREATE TABLE log.meanwhile (i INT); CHECKPOINT log")
base.execute("INSERT INTO log.before SELECT unnest(range(10)); SET debug_checkpoint_scan_sleep_ms = 60_000")
meanwhile = base.cursor()
meanwhile.execute("BEGIN; INSERT INTO log.meanwhile VALUES (1)")
written = os.path.getsize("{log}.wal")
threading.Thread(target=base.cursor().execute, args=("CHECKPOINT log",)).start()
while os.path.getsize("{log}.wal") == written:
    pass  # a checkpoint that has begun says so at the end of the write-ahead log; what is committed now goes beside it
meanwhile.execute("COMMIT")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_forked_child_asks_anew_and_ends(tmp_path: Path) -> None:
    code = _FORKING.format(root=str(Path(__file__).parents[3]), home=str(tmp_path / "home"))
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout.splitlines() == ["[{'clips': 0}]", "[{'clips': 0}]", "0 [{'clips': 0}]"], run.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads /proc")
def test_no_file_is_open_between_two_readings(parts: Parts) -> None:
    parts.clip()
    for _ in range(2):
        with parts.keeper.reading() as reading:
            assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]
            assert {"log.duckdb", "catalog.duckdb"} <= _open_files(parts.home.path)
        assert not [name for name in _open_files(parts.home.path) if ".duckdb" in name]
    duckdb.connect(str(parts.home.log)).close()  # whoever comes has it for itself


def test_what_a_process_left_that_was_killed_within_a_checkpoint_is_read(parts: Parts) -> None:
    parts.clip()
    parts.keeper.drain()
    beside = parts.home.log.with_name("log.duckdb.wal.checkpoint")
    code = _CHECKPOINTING.format(log=str(parts.home.log))
    run = forking.run(["-c", code])
    assert run.returncode == -signal.SIGKILL
    assert beside.stat().st_size
    for fresh in (False, True):  # the second one writes, which clears up
        with parts.keeper.reading(fresh=fresh) as reading:
            assert reading.tuples("SELECT count(*) FROM clips") == [(1,)]
            assert reading.tuples("SELECT max(i) FROM log.before") == [(9,)]
            assert reading.tuples("SELECT count(*) FROM log.meanwhile") == [(1,)]
        assert beside.exists() != fresh


def test_a_reading_sees_nothing_of_the_one_before(parts: Parts) -> None:
    parts.clip()
    with parts.keeper.reading() as reading:
        reading.tuples("SELECT 1 FROM clips")
    with pytest.raises(duckdb.Error), parts.keeper.reading() as reading:
        reading.tuples("SELECT nonsense FROM clips")
    parts.clip()
    with parts.keeper.reading() as reading:
        assert reading.tuples("SELECT count(*) FROM clips") == [(2,)]


def test_what_a_reading_spilled_is_gone_after_it(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duckdb_files, "MEMORY", "80MB")
    parts.clip()
    many = (
        "SELECT count(*) FROM (SELECT i, repeat(hash(i)::VARCHAR, 4) AS s FROM range(1_500_000) t(i) ORDER BY s DESC)"
    )
    with parts.keeper.reading() as reading:
        assert reading.tuples(many) == [(1_500_000,)]
        assert (parts.home.path / SPILL).exists()
    assert not (parts.home.path / SPILL).exists()


def test_what_a_killed_process_spilled_is_gone_with_the_next_opening(parts: Parts) -> None:
    parts.clip()
    folder = parts.home.path / SPILL
    spilling = (
        "import duckdb, os; c = duckdb.connect(config={'memory_limit': '60MB', 'threads': 1, 'temp_directory': %r});"
        " c.execute(\"CREATE TABLE t AS SELECT md5(i::VARCHAR) AS m, repeat('x', 100) AS x FROM range(900_000) t(i)\");"
        " os.kill(os.getpid(), 9)"
    )
    assert forking.run(["-c", spilling % str(folder)]).returncode == -signal.SIGKILL
    assert list(folder.iterdir())
    mine, older = folder / f"duckdb_temp_{os.getpid()}_9_owner", folder / f"duckdb_temp_{os.getpid()}_8_owner"
    other, held = folder / "other", folder / "held"
    for path in (mine, older, other, held):
        path.write_bytes(b"words")
    os.utime(older, (1, 1))  # of another process that had this one's number
    with held.open():
        duckdb_files.instance(parts.home.path).close()
        assert set(folder.iterdir()) == {mine, held}
    mine.unlink()
    os.utime(folder, (1, 1))
    duckdb_files.instance(parts.home.path).close()
    assert not folder.exists()


def _open_files(home: Path) -> set[str]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            path = entry.readlink()
        except OSError:  # the listing's own
            continue
        if path.parent == home:
            found.add(path.name)
    return found
