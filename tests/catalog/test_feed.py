"""The feed: every event once and in order, from any place on, wherever it lies by then, and each new one as it comes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from tests.building import Parts
from tests.catalog.query.test_pages import catalog_of
from voxledger.catalog import CatalogBusy, QueryError, VoxledgerError, feed
from voxledger.catalog.commands import events as commands
from voxledger.catalog.errors import JournalError
from voxledger.catalog.events import ClipRated, ClipTagged, Event, new_id, to_cloudevent
from voxledger.catalog.exchange import exported
from voxledger.catalog.feed import Feed
from voxledger.catalog.log import Keeper
from voxledger.ledger import Ledger


def record(parts: Parts, count: int) -> None:
    actor = parts.vault.actor("ann")
    parts.journal.emit(
        *(parts.recorder.draft(ClipRated(rating=1 + n % 5), subject=new_id(), actor=actor) for n in range(count))
    )


def positions(events: Iterator[Event] | list[Event]) -> list[int]:
    return [event.position for event in events]


def let_go(parts: Parts, through: int) -> None:
    """The journal no longer has these; the log does."""
    parts.keeper.drain()
    parts.journal.prune(through)


@pytest.mark.parametrize("pruned", [0, 10, 25, 40])
def test_it_is_what_export_writes_wherever_the_events_lie(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, pruned: int
) -> None:
    record(parts, 30)
    parts.record(ClipTagged(tag="a secret"), new_id())
    parts.clip(text=os.urandom(20_000).hex())
    record(parts, 3)
    let_go(parts, pruned)
    monkeypatch.setattr(feed, "_PAGE", 7)
    monkeypatch.setattr(feed, "_PAGE_BYTES", 20_000)
    whole = list(exported(parts.keeper))
    catalog = catalog_of(parts)
    assert [to_cloudevent(event) for event in catalog.events()] == whole
    assert [to_cloudevent(event) for event in catalog.events(since=30)] == whole[29:]
    assert positions(catalog.events(types=["GenerationCompleted", "ClipTagged"])) == [31, 32]
    assert not any(b"a secret" in event for event in whole)


def test_a_moment_is_that_of_recording(parts: Parts) -> None:
    record(parts, 3)
    time.sleep(0.002)
    between = datetime.now(UTC)
    time.sleep(0.002)
    parts.record(ClipRated(rating=1), new_id(), time=between - timedelta(days=400))
    assert positions(catalog_of(parts).events(since=between)) == [4]
    assert positions(catalog_of(parts).events(since=datetime.now(UTC))) == []
    assert positions(catalog_of(parts).events(since=between - timedelta(days=1))) == [1, 2, 3, 4]


def test_who_follows_hears_each_new_event_though_the_journal_lets_go(parts: Parts) -> None:
    record(parts, 5)
    let_go(parts, 5)
    with (
        closing(catalog_of(parts).events(follow=True)) as new,
        closing(catalog_of(parts).events(since=4, follow=True)) as old,
    ):
        assert positions([next(old), next(old)]) == [4, 5]
        threading.Timer(0.1, record, (parts, 3)).start()
        assert positions([next(new) for _ in range(3)]) == [6, 7, 8]
        record(parts, 4)
        let_go(parts, 11)  # also what one of them has not seen
        assert positions([next(new) for _ in range(4)]) == [9, 10, 11, 12]
        assert positions([next(old) for _ in range(7)]) == [6, 7, 8, 9, 10, 11, 12]


def test_a_new_event_needs_no_turn_at_the_log(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(catalog_of(parts).events(follow=True)) as events:
        record(parts, 1)
        monkeypatch.setattr(Keeper, "reading", None)
        monkeypatch.setattr(Keeper, "drain", None)
        assert next(events).position == 1


def test_a_name_remembers_what_was_dealt_with(parts: Parts) -> None:
    record(parts, 9)
    catalog = catalog_of(parts)
    for event in catalog.events(name="far"):
        if event.position == 4:
            break  # not dealt with, as far as anybody knows
    assert parts.journal.cursor("stream-far") == 3
    assert positions(catalog.events(name="far", since=None)) == [4, 5, 6, 7, 8, 9]
    assert positions(catalog.events(name="far")) == []
    assert positions(catalog.events(name="other", since=8)) == [8, 9]
    record(parts, 2)
    assert positions(catalog.events(name="far", types=["ClipTagged"])) == []
    assert parts.journal.cursor("stream-far") == 11
    with pytest.raises(QueryError, match="goes on after position 11"):
        catalog.events(name="far", since=1)


def test_a_page_is_remembered_only_when_the_next_one_is_asked_for(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_PAGE", 4)
    monkeypatch.setattr(feed, "_REMEMBER", 0.0)
    record(parts, 9)
    pages = Feed(parts.keeper, name="far").pages()
    seen = []
    for page in pages:
        seen.append((len(page), parts.journal.cursor("stream-far")))
    assert seen == [(4, 0), (4, 4), (1, 8)]
    assert parts.journal.cursor("stream-far") == 9


def test_one_at_a_time_reads_under_a_name(parts: Parts) -> None:
    record(parts, 2)
    catalog = catalog_of(parts)
    first = catalog.events(name="far")
    next(first)
    with pytest.raises(CatalogBusy, match="'far' is being read already"):
        next(catalog.events(name="far"))
    assert positions(catalog.events(name="near")) == [1, 2]


def test_a_ledger_closed_too_early_only_forgets(parts: Parts, tmp_path: Path) -> None:
    other = Parts(tmp_path / "other")
    record(other, 3)
    events = catalog_of(other).events(name="far")
    assert positions([next(events), next(events)]) == [1, 2]
    other.close()
    events.close()
    with pytest.raises(JournalError):
        next(catalog_of(other).events())


def test_positions_that_are_known_to_be_lost_are_passed_over(parts: Parts) -> None:
    record(parts, 3)
    parts.journal.begin_epoch(50_000_000, "restored")
    record(parts, 2)
    assert positions(catalog_of(parts).events()) == [1, 2, 3, 50_000_000, 50_000_001]
    let_go(parts, 50_000_001)
    assert positions(catalog_of(parts).events()) == [1, 2, 3, 50_000_000, 50_000_001]


@pytest.mark.parametrize(
    "error", [CatalogBusy("the node did not answer (it hung up)"), QueryError("DuckDB refused the query: Interrupted!")]
)
def test_a_node_that_stops_meanwhile_is_only_a_pause(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, error: VoxledgerError
) -> None:
    record(parts, 5)
    let_go(parts, 5)
    reading, failed = Keeper.reading, []

    def fails_once(self: Keeper, **options: Any) -> Any:
        if not failed:
            failed.append(True)
            raise error
        return reading(self, **options)

    monkeypatch.setattr(Keeper, "reading", fails_once)
    assert positions(Feed(parts.keeper).each()) == [1, 2, 3, 4, 5]
    assert failed


# On the command line.


@pytest.fixture
def line(parts: Parts, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    app = App(result_action="return_value")
    commands.Commands(lambda **options: Ledger(parts.home.path, overrides=options)).add_to(app)

    def run(*arguments: str) -> str:
        app(["events", *arguments])
        return capsys.readouterr().out

    return run


def test_the_command_writes_what_export_writes(parts: Parts, line: Callable[..., str]) -> None:
    record(parts, 5)
    parts.clip(text="nobody reads this")
    assert line("stream") == line("export")
    assert line("stream", "--since", "5") == line("export", "--after", "4")
    assert line("stream", "--since", "1h", "--type", "GenerationCompleted") == line("export", "--after", "5")
    assert line("stream", "--since", "7") == ""
    assert len(line("stream", "--name", "far").splitlines()) == 6
    assert line("stream", "--name", "far") == ""
    record(parts, 1)
    assert json.loads(line("stream", "--name", "far"))["position"] == "7"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--since", "9"), "position 9 lies beyond the end of the log, which is at 3"),
        (("--since", "2999-01-01"), "lies in the future"),
        (("--since", "soon"), "--since 'soon' is no moment"),
        (("--type", "ClipRate"), "'ClipRate' is no type of event; did you mean ClipRated"),
        (("--name", "Far away"), "'Far away' is no name for a stream"),
        (("--name", "far", "--since", "1"), "goes on after position 3"),
        (("--follow", "--since", "-1"), "is no moment"),
    ],
)
def test_a_mistake_is_one_clear_error(
    parts: Parts, line: Callable[..., str], arguments: tuple[str, ...], message: str
) -> None:
    record(parts, 3)
    line("stream", "--name", "far")
    with pytest.raises(VoxledgerError, match=message):
        line("stream", *arguments)


def _following(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "voxledger", "--home", str(home), "events", "stream", "--follow", *arguments]
    # A process of a test runner in the background may have been told to ignore Ctrl-C.
    code = f"import os, signal; signal.signal(signal.SIGINT, signal.default_int_handler); os.execv({command[0]!r}, {command!r})"
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_follower_lives_through_a_node_and_ends_with_ctrl_c(parts: Parts) -> None:
    record(parts, 2)
    with _following(parts.home.path, "--name", "far") as process:
        assert process.stdout is not None
        seen = [json.loads(process.stdout.readline())["position"] for _ in range(2)]
        with parts.keeper.serving():
            record(parts, 1)
            seen.append(json.loads(process.stdout.readline())["position"])
            let_go(parts, 3)
        record(parts, 1)
        seen.append(json.loads(process.stdout.readline())["position"])
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err, seen) == (0, "", "", ["1", "2", "3", "4"])
    assert parts.journal.cursor("stream-far") == 4


def test_a_follower_ends_when_nobody_reads_any_more_though_nothing_comes(parts: Parts) -> None:
    record(parts, 1)
    with _following(parts.home.path, "--since", "1") as process:
        assert isinstance(process.stdout, io.TextIOBase)
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=30) == 141
        assert process.stderr is not None
        assert process.stderr.read() == ""
