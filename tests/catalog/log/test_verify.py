"""`verify` names what is wrong with the log, and says what it cannot prove."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.building import NOBODY, Parts
from voxledger.catalog import QueryError
from voxledger.catalog.events import digest
from voxledger.catalog.log import Head, Keeper, sealing
from voxledger.catalog.log.columns import bodies
from voxledger.catalog.log.heads import name, named, parse
from voxledger.catalog.log.verify import Verdict, verify
from voxledger.catalog.log.writer import chained, chained_at_once
from voxledger.cli import main


@pytest.fixture(scope="module")
def twelve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A HOME with twelve events in three batches."""
    parts = Parts(tmp_path_factory.mktemp("twelve") / "home")
    for _ in range(3):
        for _ in range(4):
            parts.clip()
        parts.keeper.drain()
    parts.close()
    return parts.home.path


@pytest.fixture
def drained(twelve: Path, tmp_path: Path) -> Iterator[Parts]:
    """A copy of it."""
    shutil.copytree(twelve, tmp_path / "drained")
    parts = Parts(tmp_path / "drained")
    yield parts
    parts.close()


def _tamper(parts: Parts, *statements: str) -> None:
    with duckdb.connect(str(parts.home.log)) as connection:
        for statement in statements:
            connection.execute(statement)


def _found(verdict: Verdict) -> list[tuple[str, int, int]]:
    return [(found.kind, found.first, found.last) for found in verdict.findings]


def _forge(parts: Parts, position: int) -> None:
    """Alter an event as an owner of the folder could who knows how the chain is made."""
    with duckdb.connect(str(parts.home.log)) as connection:
        connection.execute(f"UPDATE events SET subject = 'forged' WHERE position = {position}")
        rows = connection.sql("SELECT * FROM events ORDER BY position").to_arrow_table()
        for at, body, _ in bodies(rows):
            connection.execute("UPDATE events SET digest = ? WHERE position = ?", (digest(body), at))
        previous = bytes(32)
        for first, last in connection.execute("SELECT first, last FROM batches ORDER BY last").fetchall():
            found = connection.execute(
                "SELECT digest FROM events WHERE position BETWEEN ? AND ? ORDER BY position", (first, last)
            ).fetchall()
            head = chained(previous, [bytes(row[0]) for row in found])
            connection.execute("UPDATE batches SET digest = ?, previous = ? WHERE last = ?", (head, previous, last))
            previous = head


def test_an_untouched_log_is_intact(drained: Parts) -> None:
    verdict = verify(drained.keeper)
    assert verdict.intact
    assert (verdict.events, verdict.batches, verdict.position) == (12, 3, 12)
    assert verdict.digest == drained.keeper.head().digest


@pytest.mark.parametrize(
    ("column", "value"),
    [("data", "'{}'"), ("subject", "'x'"), ("actor", "'x'"), ("time", "TIMESTAMPTZ '2020-01-01'"), ("sealed", "NULL")],
)
def test_an_altered_event_is_named(drained: Parts, column: str, value: str) -> None:
    _tamper(drained, f"UPDATE events SET {column} = {value} WHERE position = 6")
    assert _found(verify(drained.keeper)) == [("altered", 6, 6)]


def test_an_event_altered_with_its_digest_gives_its_batch_away(drained: Parts) -> None:
    _tamper(drained, "UPDATE events SET subject = 'x' WHERE position = 6")
    with drained.keeper.reading(fresh=False) as reading:
        rows = reading.table("SELECT * FROM log.events WHERE position = 6")
    ((_, body, _),) = list(bodies(rows))
    _tamper(drained, f"UPDATE events SET digest = from_hex('{digest(body).hex()}') WHERE position = 6")
    assert _found(verify(drained.keeper)) == [("altered", 5, 8)]


def test_a_segment_tells_which_event_was_altered(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL", 6)
    for _ in range(12):
        parts.clip()
    parts.keeper.drain()
    _forge(parts, 4)
    verdict = verify(parts.keeper)
    assert verdict.segments == 2
    assert _found(verdict) == [("altered", 4, 4)]


def test_lost_events_are_named(drained: Parts) -> None:
    _tamper(drained, "DELETE FROM events WHERE position BETWEEN 6 AND 7")
    assert ("lost", 6, 7) in _found(verify(drained.keeper))


def test_a_lost_end_is_named(drained: Parts) -> None:
    _tamper(drained, "DELETE FROM events WHERE position > 8", "DELETE FROM batches WHERE last > 8")
    assert _found(verify(drained.keeper)) == [("lost", 9, 12)]
    drained.keeper = Keeper(drained.home, drained.recorder)
    drained.keeper.drain()
    assert verify(drained.keeper).intact, "the journal still had them"


def test_inserted_events_are_named(drained: Parts) -> None:
    _tamper(drained, "INSERT INTO events SELECT * FROM events WHERE position = 3")
    assert _found(verify(drained.keeper)) == [("inserted", 3, 3)]
    _tamper(drained, "INSERT INTO events SELECT * REPLACE (40 AS position) FROM events WHERE position = 12")
    assert _found(verify(drained.keeper)) == [("inserted", 3, 3), ("inserted", 40, 40)]


def test_a_batch_that_follows_no_other_is_named(drained: Parts) -> None:
    _tamper(drained, "UPDATE batches SET previous = from_hex(repeat('00', 32)) WHERE last = 8")
    assert ("chain", 5, 8) in _found(verify(drained.keeper))


def test_a_log_chained_batch_by_batch_as_it_once_was_is_intact(drained: Parts) -> None:
    with duckdb.connect(str(drained.home.log)) as connection:
        previous = bytes(32)
        for first, last in connection.execute("SELECT first, last FROM batches ORDER BY last").fetchall():
            found = connection.execute(
                "SELECT digest FROM events WHERE position BETWEEN ? AND ? ORDER BY position", (first, last)
            ).fetchall()
            head = chained_at_once(previous, [bytes(row[0]) for row in found])
            connection.execute("UPDATE batches SET digest = ?, previous = ? WHERE last = ?", (head, previous, last))
            previous = head
    assert verify(drained.keeper).intact
    drained.clip()
    drained.keeper.drain()
    assert verify(drained.keeper).intact, "the new way goes on from there"


def test_only_a_head_from_outside_shows_a_chain_made_anew(drained: Parts) -> None:
    kept = drained.keeper.head()
    _forge(drained, 2)
    assert verify(drained.keeper).intact, "it is consistent in itself"
    verdict = verify(drained.keeper, [kept])
    assert _found(verdict) == [("head", 1, 12)]
    assert verdict.heads == 1


def test_a_head_beyond_the_end_is_told(drained: Parts) -> None:
    assert _found(verify(drained.keeper, [Head(position=13, digest="ab" * 32)])) == [("head", 13, 13)]
    assert verify(drained.keeper, [drained.keeper.head()]).intact


def test_heads_hold_whatever_batches_the_events_come_in(drained: Parts) -> None:
    rows = drained.rows("SELECT last, digest FROM batches ORDER BY last")
    heads = [Head(position=row["last"], digest=row["digest"].hex()) for row in rows]
    for file in drained.home.path.glob("log.duckdb*"):
        file.unlink()
    drained.keeper = Keeper(drained.home, drained.recorder)
    assert drained.rows("SELECT count(*) AS n FROM batches") == [{"n": 1}]
    assert verify(drained.keeper, heads).intact
    wrong = Head(position=8, digest=heads[0].digest)
    assert _found(verify(drained.keeper, [*heads, wrong])) == [("head", 1, 8)]
    _tamper(drained, "UPDATE events SET subject = 'x' WHERE position = 5")
    assert ("head", 8, 8) in _found(verify(drained.keeper, heads))


def test_a_damaged_segment_is_named(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "SEAL", 6)
    for _ in range(12):
        parts.clip()
    parts.keeper.drain()
    path = parts.keeper.segments.all()[0].path
    path.write_bytes(path.read_bytes()[:-20])
    assert _found(verify(parts.keeper)) == [("segment", 1, 6)]


def test_what_waits_in_the_journal_is_said_and_left_there(drained: Parts) -> None:
    drained.clip()
    assert verify(drained.keeper).waiting == 1


def test_windows_and_tiny_batches_agree(drained: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    from voxledger.catalog.log import verify as module

    monkeypatch.setattr(module, "WINDOW", 3)
    assert verify(drained.keeper).intact
    _tamper(drained, "UPDATE events SET subject = 'x' WHERE position IN (1, 12)")
    assert _found(verify(drained.keeper)) == [("altered", 1, 1), ("altered", 12, 12)]


def test_a_head_is_read_as_people_write_it() -> None:
    head = parse(f" 12 : {'AB' * 32} ", origin="paper")
    assert (head.position, head.digest, head.origin) == (12, "ab" * 32, "paper")
    assert named(name(head), node="n", origin="s") == Head(position=12, digest="ab" * 32, node="n", origin="s")
    assert named("notes.txt", node="n", origin="s") is None
    for wrong in ("12", "12:abc", "x:" + "ab" * 32, ""):
        with pytest.raises(QueryError, match="POSITION:DIGEST"):
            parse(wrong, origin="paper")


def test_the_command_says_what_it_protects_against(
    drained: Parts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOXLEDGER_STORE_ENDPOINT", NOBODY)
    home = str(drained.home.path)
    head = drained.keeper.head()
    told = _run(capsys, home, "verify", "--no-store")
    assert told[0] == 0
    assert "intact" in told[1]
    assert "not against the owner" in " ".join(told[1].split())
    assert f"{head.position}:{head.digest}" in told[1]
    told = _run(capsys, home, "verify", "--no-store", "--head", f"{head.position}:{head.digest}")
    assert told[0] == 0
    assert "not against" not in told[1]
    _tamper(drained, "UPDATE events SET subject = 'x' WHERE position = 6")
    told = _run(capsys, home, "verify", "--no-store")
    assert told[0] == 1
    assert "not intact" in told[1]
    assert "altered" in told[1]


def _run(capsys: pytest.CaptureFixture[str], home: str, *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["--home", home, *arguments])
    return int(ended.value.code or 0), capsys.readouterr().out
