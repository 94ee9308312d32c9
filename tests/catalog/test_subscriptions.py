"""Subscriptions: cursors over the log."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from tests import forking
from voxledger.catalog.errors import LogCorrupt
from voxledger.catalog.events import AudioAccessed, ClipTagged, Draft, ReportPublished, new_id
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import ActorKey, Vault

_HOLDER = """
import sys
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import Vault
home = Home.open(sys.argv[1])
with Subscription("far", Keeper(home, Recorder(Journal(home.journal), Vault(home.vault)))).exclusively() as held:
    print(held, flush=True)
    sys.stdin.read()
"""


@dataclass
class World:
    home: Home
    recorder: Recorder
    keeper: Keeper
    ann: ActorKey

    def draft(self, week: str = "2026-W01") -> Draft:
        fact = ReportPublished(week=week, revision=1, closed=True, through=7)
        return self.recorder.draft(fact, subject=week, actor=self.ann)

    def record(self, count: int) -> None:
        self.recorder.journal.emit(*(self.draft() for _ in range(count)))

    def subscription(self, name: str = "far") -> Subscription:
        return Subscription(name, self.keeper)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    home = Home.open(tmp_path / "home")
    journal, vault = Journal(home.journal), Vault(home.vault)
    recorder = Recorder(journal, vault)
    yield World(home=home, recorder=recorder, keeper=Keeper(home, recorder), ann=vault.actor("ann"))
    journal.close()
    vault.close()


def test_waiting_counts_without_opening_the_log(world: World) -> None:
    far = world.subscription()
    assert far.waiting() == 0
    world.record(3)
    assert far.waiting() == 3
    assert not world.home.log.exists()


def test_batches_come_in_order_and_follow_the_cursor(world: World) -> None:
    world.record(5)
    far = world.subscription()
    first = far.batch(3)
    assert [event.position for event in first.events] == [1, 2, 3]
    assert (first.after, first.through) == (0, 3)
    assert far.batch(3) == first, "nothing moves before it is acknowledged"
    far.advance(first.through)
    assert [event.position for event in far.batch(3).events] == [4, 5]
    far.advance(5)
    assert far.batch(3).events == ()
    assert far.waiting() == 0


def test_an_event_arrives_as_it_was_recorded_without_its_sealed_part(world: World) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 891011, tzinfo=UTC)
    clip = new_id()
    world.recorder.journal.emit(
        world.recorder.draft(ClipTagged(tag="CANARY"), subject=clip, actor=world.ann, time=moment),
        world.recorder.draft(AudioAccessed(channel="web", purpose="play"), subject=clip, actor=world.ann),
    )
    tagged, played = world.subscription().batch(10).events
    assert (tagged.type, tagged.subject, tagged.actor, tagged.version) == ("ClipTagged", clip, world.ann.id, 1)
    assert tagged.time == moment
    assert tagged.data == {}
    assert played.data == {"channel": "web", "purpose": "play", "expires": None}
    assert "CANARY" not in repr(tagged)


def test_a_batch_is_bounded_in_bytes_but_never_empty(world: World) -> None:
    journal = world.recorder.journal
    journal.emit(world.draft("w" * 5000), world.draft("w" * 100), world.draft("w" * 100), world.draft("w" * 5000))
    far = world.subscription()
    sizes = []
    while events := (batch := far.batch(10, max_bytes=1000)).events:
        sizes.append(len(events))
        far.advance(batch.through)
    assert sizes == [1, 2, 1]


def test_the_log_is_free_while_a_batch_is_dealt_with(world: World) -> None:
    world.record(2)
    assert world.subscription().batch(2).events
    duckdb.connect(str(world.home.log), read_only=False).close()


def test_the_cursor_never_goes_back_nor_beyond_the_head(world: World) -> None:
    world.record(4)
    far = world.subscription()
    far.advance(3)
    far.advance(1)
    assert far.cursor == 3
    with pytest.raises(ValueError, match="the journal ends at 4"):
        far.advance(5)
    assert far.cursor == 3


def test_cursors_of_different_names_do_not_meet(world: World) -> None:
    world.record(2)
    world.subscription("far").advance(2)
    assert world.subscription("near").waiting() == 2


def test_drafts_are_recorded_with_the_move_or_not_at_all(world: World) -> None:
    world.record(2)
    far = world.subscription()
    with pytest.raises(AttributeError):
        far.advance(2, drafts=[world.draft(), None])  # type: ignore[list-item]
    assert (far.cursor, world.recorder.journal.head()) == (0, 2)
    events = far.advance(2, drafts=[world.draft("2026-W09")])
    assert [(event.position, event.subject) for event in events] == [(3, "2026-W09")]
    assert (far.cursor, far.waiting()) == (2, 1)


def test_a_remark_stays_until_the_next_move(world: World) -> None:
    world.record(2)
    far = world.subscription()
    far.remark("the other side is down")
    assert (far.state().position, far.state().note) == (0, "the other side is down")
    far.advance(1)
    assert (far.state().position, far.state().note) == (1, None)
    far.remark("down again")
    assert far.cursor == 1


def test_one_delivers_at_a_time_and_a_killed_one_lets_go(world: World) -> None:
    far = world.subscription()
    with far.exclusively() as held, world.subscription().exclusively() as twice:
        assert (held, twice) == (True, False)
    holder = forking.spawn(["-c", _HOLDER, world.home.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == "True"
        with far.exclusively() as held:
            assert not held
        with world.subscription("near").exclusively() as held:
            assert held
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with far.exclusively() as held:
        assert held


def test_a_hole_in_the_log_is_named(world: World) -> None:
    world.record(5)
    world.keeper.drain()
    with duckdb.connect(str(world.home.log)) as connection:
        connection.execute("DELETE FROM events WHERE position = 3")
    assert len(world.subscription().batch(10).events) == 5, "the journal still had it"
    with duckdb.connect(str(world.home.log)) as connection:
        connection.execute("DELETE FROM events WHERE position = 3")
    with contextlib.closing(sqlite3.connect(world.home.journal)) as journal:
        journal.execute("DELETE FROM events WHERE position = 3")
        journal.commit()
    with pytest.raises(LogCorrupt, match="lost position 3"):
        world.subscription().batch(10)


@pytest.mark.parametrize("name", ["", "Far", "a/b", "..", "x" * 65])
def test_a_name_that_is_no_file_name_is_refused(world: World, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a subscription"):
        world.subscription(name)
