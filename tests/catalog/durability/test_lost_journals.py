"""A journal that was restored, cut, copied or lost: through the whole way to the log, no event is dropped or doubled in silence."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import voxledger
from tests.building import NOBODY, completed
from tests.catalog.durability.nursery import Nursery
from voxledger.catalog import JournalError, LogCorrupt
from voxledger.catalog.events import Event, new_id
from voxledger.catalog.log import sealing
from voxledger.catalog.log.verify import Verdict, verify
from voxledger.catalog.subscriptions import Subscription


@contextlib.contextmanager
def opened(home: Path) -> Iterator[Any]:
    with voxledger.open(home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as vox:
        yield vox


def emit(vox: Any, count: int) -> list[Event]:
    actor = vox.vault.actor("ann")
    drafts = [vox.recorder.draft(completed(), subject=new_id(), actor=actor) for _ in range(count)]
    return [vox.journal.emit(draft)[0] for draft in drafts]


def grown(home: Path, *, drained: int, waiting: int = 0) -> list[Event]:
    """A process that emits, drains, emits some more and ends."""
    with opened(home) as vox:
        events = emit(vox, drained)
        vox.keeper.drain()
        return events + emit(vox, waiting)


def kept(home: Path) -> dict[str, bytes]:
    """The journal as a backup would keep it."""
    return {path.name: path.read_bytes() for path in home.glob("journal.sqlite*")}


def put_back(home: Path, journal: dict[str, bytes]) -> None:
    remove(home, "journal.sqlite*")
    for name, content in journal.items():
        (home / name).write_bytes(content)


def remove(home: Path, *patterns: str) -> None:
    found = [path for pattern in patterns for path in home.glob(pattern)]
    assert found
    for path in found:
        path.unlink()


def logged(vox: Any) -> dict[int, str]:
    """What the log holds, each event at its position."""
    rows = vox.catalog.sql("SELECT position, id::VARCHAR AS id FROM events ORDER BY position").rows()
    found = {row["position"]: row["id"] for row in rows}
    assert len(found) == len(rows) == len(set(found.values()))
    clips = vox.catalog.sql("SELECT count(*) AS n FROM clips").rows()[0]["n"]
    assert clips == len(rows), "the tables and the log differ"
    return found


def epochs(vox: Any) -> list[tuple[Any, ...]]:
    """The epochs of the log."""
    with vox.keeper.reading() as reading:
        return reading.tuples("SELECT reason, first, lost_first, lost_last FROM log.epochs ORDER BY first")


def by_position(*events: Event) -> dict[int, str]:
    return {event.position: event.id for event in events}


def judged(vox: Any) -> Verdict:
    vox.keeper.drain()
    verdict = verify(vox.keeper)
    assert verdict.intact, verdict.findings
    return verdict


def test_an_older_journal_goes_on_where_the_log_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = grown(tmp_path, drained=5)
    copy = kept(tmp_path)
    before += grown(tmp_path, drained=3)
    put_back(tmp_path, copy)
    with opened(tmp_path) as vox:
        after = emit(vox, 2)
        assert logged(vox) == by_position(*before, *after)
        assert [event.position for event in after] == [9, 10]
        assert after[0].source != before[-1].source
        assert [epoch[1:] for epoch in epochs(vox)] == [(1, None, None), (9, None, None)], "the log had what is missing"
        assert judged(vox).told == ()
    assert "the acknowledged positions 6 to 8 are not in it" in caplog.text


def test_an_older_journal_without_its_mark_is_noticed_by_the_log(tmp_path: Path) -> None:
    before = grown(tmp_path, drained=5)
    copy = kept(tmp_path)
    before += grown(tmp_path, drained=3)
    put_back(tmp_path, copy)
    remove(tmp_path, "journal.mark")
    with opened(tmp_path) as vox:
        vox.keeper.drain()
        after = emit(vox, 2)
        assert logged(vox) == by_position(*before, *after)
        assert [event.position for event in after] == [9, 10]
        assert judged(vox).told == ()


def test_a_position_that_was_given_twice_is_named_and_nothing_changes(tmp_path: Path) -> None:
    before = grown(tmp_path, drained=5)
    copy = kept(tmp_path)
    before += grown(tmp_path, drained=3)
    put_back(tmp_path, copy)
    remove(tmp_path, "journal.mark")
    with opened(tmp_path) as vox:
        (twice,) = emit(vox, 1)  # nobody has asked the log yet
        assert twice.position == 6
        for _ in range(2):
            with pytest.raises(
                LogCorrupt, match="position 6 in the journal is not the event that the log holds"
            ) as caught:
                vox.keeper.drain()
            assert caught.value.position == 6
        with vox.keeper.reading(fresh=False) as reading:
            found = reading.tuples("SELECT position, id::VARCHAR FROM events ORDER BY position")
        assert dict(found) == by_position(*before)


def test_a_cut_journal_says_what_is_lost(tmp_path: Path, nursery: Nursery, caplog: pytest.LogCaptureFixture) -> None:
    before = grown(tmp_path, drained=5)
    child = nursery.start("write", tmp_path, life=1, pause=0)
    child.until("told", 30)
    child.kill()
    wal = tmp_path / "journal.sqlite-wal"
    os.truncate(wal, wal.stat().st_size // 2)
    with opened(tmp_path) as vox:
        head, given = vox.journal.head(), vox.journal.mark().position
        assert 5 < head < given
        (after,) = emit(vox, 1)
        assert after.position == given + 1
        verdict = judged(vox)
        assert verdict.told == ((head + 1, given, "truncated"),)
        assert epochs(vox)[-1] == ("truncated", given + 1, head + 1, given)
        rows = vox.catalog.sql("SELECT position, id::VARCHAR AS id FROM events ORDER BY position").rows()
        assert [row["position"] for row in rows] == [*range(1, head + 1), given + 1]
        told = {int(line[2]): line[3] for line in child.said() if line[0] == "told"}
        assert {row["position"]: row["id"] for row in rows}.items() >= {
            position: event for position, event in told.items() if position <= head
        }.items()
        assert rows[0]["id"] == before[0].id
    assert f"positions {head + 1} to {given} were acknowledged and are lost" in caplog.text


def test_what_a_lost_journal_held_is_known_to_be_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    events = grown(tmp_path, drained=5, waiting=3)
    remove(tmp_path, "journal.sqlite*")
    with opened(tmp_path) as vox:
        after = emit(vox, 2)
        assert [event.position for event in after] == [9, 10]
        assert logged(vox) == by_position(*events[:5], *after)
        assert epochs(vox)[-1] == ("recreated", 9, 6, 8)
        assert judged(vox).told == ((6, 8, "recreated"),)
        vox.keeper.rebuild()
        assert logged(vox) == by_position(*events[:5], *after)
    assert "positions 6 to 8 were acknowledged and are lost with the journal that held them" in caplog.text

    caplog.clear()
    with opened(tmp_path) as vox:  # told once, known for ever
        emit(vox, 1)
        assert judged(vox).told == ((6, 8, "recreated"),)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_subscriptions_pass_over_what_is_lost(tmp_path: Path) -> None:
    events = grown(tmp_path, drained=5, waiting=3)
    remove(tmp_path, "journal.sqlite*")
    with opened(tmp_path) as vox:
        events = events[:5] + emit(vox, 2)
        for limit in (1, 2, 3, 100):
            far, heard = Subscription(f"far-{limit}", vox.keeper), []
            while batch := far.batch(limit).events:
                heard += [event.id for event in batch]
                far.advance(batch[-1].position)
            assert heard == [event.id for event in events]
            assert far.waiting() == 0


def test_a_lost_journal_whose_events_are_in_the_log_loses_nothing(tmp_path: Path) -> None:
    events = grown(tmp_path, drained=5)
    remove(tmp_path, "journal.*")
    with opened(tmp_path) as vox:
        events += emit(vox, 1)
        assert logged(vox) == by_position(*events)
        assert epochs(vox)[-1] == ("recreated", 6, None, None)
        assert judged(vox).told == ()


@pytest.mark.parametrize("gone", [["journal.sqlite*"], ["journal.*"], ["journal.*", "catalog.duckdb*"]])
def test_segments_alone_bring_the_log_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: list[str]) -> None:
    """Journal and log are lost together: what was sealed comes back, and no position is given again."""
    monkeypatch.setattr(sealing, "SEAL", 4)
    events = grown(tmp_path, drained=8)
    remove(tmp_path, "log.duckdb*", *gone)
    with opened(tmp_path) as vox:
        (after,) = emit(vox, 1)
        assert after.position == 9
        assert logged(vox) == by_position(*events, after)
        assert judged(vox).told == ()


def test_both_sides_of_a_clone_go_on_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ours, clone = tmp_path / "ours", tmp_path / "clone"
    before = grown(ours, drained=5, waiting=2)
    shutil.copytree(ours, clone)
    sources = set()
    for home in (ours, clone):
        with opened(home) as vox:
            after = emit(vox, 3)
            assert [event.position for event in after] == [8, 9, 10]
            assert logged(vox) == by_position(*before, *after)
            assert judged(vox).told == ()
            sources.add(after[0].source)
            nodes = {event.source.partition("/")[0] for event in (*before, *after)}
            assert len(nodes) == 1
    assert len(sources) == 2, "nobody could tell their events apart"
    assert f"{clone / 'journal.sqlite'} was copied or moved here" in caplog.text


def test_the_journal_of_another_node_is_refused(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    events = grown(ours, drained=3)
    grown(theirs, drained=6)
    own = kept(ours)
    put_back(ours, kept(theirs))
    before = kept(ours)
    with pytest.raises(JournalError, match="belongs to node"), opened(ours):
        pass
    assert kept(ours) == before
    remove(ours, "journal.mark")
    with opened(ours) as vox, pytest.raises(LogCorrupt, match="is not the event that the log holds"):
        vox.keeper.drain()
    put_back(ours, own)
    remove(ours, "journal.mark")
    with opened(ours) as vox:
        events += emit(vox, 1)
        assert logged(vox) == by_position(*events)
        assert judged(vox).told == ()
