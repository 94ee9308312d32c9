"""The exchange of events with files: what goes out comes in again, once, whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cyclopts import App

from tests.building import Parts, completed
from tests.catalog.events.examples import EXAMPLES, subject_of
from voxledger.catalog import EventRejected, VoxledgerError, exchange, terminal
from voxledger.catalog.commands.events import Commands
from voxledger.catalog.events import AudioAccessed, ClipRated, ClipTagged, Draft, new_id, now
from voxledger.catalog.events.cloudevent_files import Format, written
from voxledger.catalog.exchange import exported, take_in
from voxledger.ledger import Ledger

_START = datetime(2026, 11, 1, tzinfo=UTC)
_SUNG = {"specversion": "1.0", "id": "1", "source": "/choir", "type": "com.example.sung", "data": {"bars": 12}}


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Parts]:
    """Another HOME."""
    made = Parts(tmp_path / "other")
    yield made
    made.close()


def everything(parts: Parts) -> list[dict[str, Any]]:
    return parts.rows("SELECT id, type, subject, time, actor, version, data, sealed FROM events ORDER BY position")


def out(parts: Parts, format: Format = "cloudevents", **options: Any) -> io.BytesIO:
    return io.BytesIO(b"".join(written(exported(parts.keeper, **options), format)))


def lines(*events: Any) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(event) + "\n" for event in events).encode())


def record_all(parts: Parts) -> None:
    for number, fact in enumerate(EXAMPLES):
        parts.record(fact, subject_of(type(fact)), time=_START + timedelta(hours=number))


@pytest.mark.parametrize("format", ["cloudevents", "cloudevents-batch"])
def test_another_log_takes_in_what_was_written(parts: Parts, other: Parts, format: Format) -> None:
    record_all(parts)
    file = out(parts, format)
    other.record(ClipRated(rating=2), new_id())
    taken = take_in(file, other.recorder, other.keeper, actor="importer")
    assert (taken.recorded, taken.known) == (len(EXAMPLES), 0)
    assert everything(other)[1:] == everything(parts)
    sources = [{row["source"] for row in one.rows("SELECT source FROM events")} for one in (parts, other)]
    assert len(sources[1]) == 1
    assert not sources[0] & sources[1]
    assert other.rows("SELECT clip FROM generations WHERE outcome = 'completed'")


def test_what_is_known_is_not_recorded_again_even_after_it_left_the_journal(parts: Parts) -> None:
    record_all(parts)
    file = out(parts)
    parts.journal.prune(parts.journal.head())
    again = take_in(file, parts.recorder, parts.keeper, actor="importer")
    assert (again.recorded, again.known) == (0, len(EXAMPLES))
    twice = io.BytesIO(lines(_SUNG, _SUNG).getvalue())
    assert take_in(twice, parts.recorder, parts.keeper, actor="importer").recorded == 1
    assert len(everything(parts)) == len(EXAMPLES) + 1


def test_one_bad_line_and_nothing_is_recorded(parts: Parts) -> None:
    events = [{**_SUNG, "id": str(number)} for number in range(5000)]
    with pytest.raises(EventRejected, match=r"line 5002: .*id: is missing; nothing was recorded") as caught:
        take_in(lines(*events, _SUNG, {"specversion": "1.0"}), parts.recorder, parts.keeper, actor="importer")
    assert caught.value.field == "id"
    assert parts.journal.head() == 0


def test_a_line_of_ten_megabytes_is_refused(parts: Parts) -> None:
    with pytest.raises(EventRejected, match=r"line 2: .*more than an event may have"):
        take_in(lines(_SUNG, {**_SUNG, "data": "x" * 10_000_000}), parts.recorder, parts.keeper, actor="importer")
    assert parts.journal.head() == 0


def test_a_sealed_part_that_does_not_open_is_refused(parts: Parts) -> None:
    parts.record(ClipTagged(tag="on-air"), new_id())
    event = json.loads(out(parts).getvalue())
    for changed in (
        {"id": new_id()},
        {"sealed": event["sealed"][:-4] + "AAAA"},
        {"sealed": "AAAA"},
        {"sealed": "A" * 64},
    ):
        with pytest.raises(EventRejected, match=r"line 1: the sealed part of event .* was altered") as caught:
            take_in(lines({**event, **changed}), parts.recorder, parts.keeper, actor="importer")
        assert caught.value.field == "sealed"
    foreign = {**event, "id": new_id(), "actor": new_id()}
    assert take_in(lines(foreign), parts.recorder, parts.keeper, actor="importer").recorded == 1
    assert len(everything(parts)) == 2


def test_sealed_fields_that_do_not_fit_are_refused(parts: Parts) -> None:
    ann, identity = parts.vault.actor("ann"), new_id()
    sealed = parts.recorder.seal({"label": "x"}, actor=ann, about=identity)
    draft = Draft(
        id=identity, type="ClipTagged", subject=new_id(), time=now(), actor=ann.id, version=1, data=b"{}", sealed=sealed
    )
    parts.journal.emit(draft)
    file = out(parts)
    with pytest.raises(EventRejected, match=r"line 1: ClipTagged cannot be recorded: .*`label`"):
        take_in(file, parts.recorder, parts.keeper, actor="importer")


def test_odd_but_valid_data_do_not_stop_the_log(parts: Parts) -> None:
    odd = [{"a\u0000b": "\u0000", "ü": "😀"}, "text", None, 10**40, [[[]]], {"": 1e-300}, {"x": '\\"\n'}]
    events = [{**_SUNG, "id": f"{number} \u2028", "data": data} for number, data in enumerate(odd)]
    assert take_in(lines(*events), parts.recorder, parts.keeper, actor="importer").recorded == len(odd)
    assert [json.loads(row["data"]) for row in everything(parts)] == odd
    assert [json.loads(line)["data"] for line in out(parts).read().splitlines()] == odd
    parts.keeper.rebuild()


def test_export_keeps_to_types_times_and_positions(parts: Parts) -> None:
    record_all(parts)
    names = [json.loads(line)["type"] for line in out(parts).read().splitlines()]
    assert names == [type(fact).__name__ for fact in EXAMPLES]
    some = out(parts, types=["ClipRated", "ReportPublished"]).read().splitlines()
    assert [json.loads(line)["type"] for line in some] == ["ClipRated", "ReportPublished"]
    window = out(parts, since=_START + timedelta(hours=2), until=_START + timedelta(hours=4)).read().splitlines()
    assert [json.loads(line)["position"] for line in window] == ["3", "4"]
    assert len(out(parts, after=len(EXAMPLES) - 1).read().splitlines()) == 1
    assert out(parts, after=10**9).read() == b""


def test_export_goes_on_over_many_pages(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(30):
        parts.record(ClipRated(rating=1), new_id())
    parts.clip(text=os.urandom(50_000).hex())
    parts.clip()
    monkeypatch.setattr(exchange, "_PAGE", 7)
    monkeypatch.setattr(exchange, "_PAGE_BYTES", 50_000)
    seen: list[tuple[int, int]] = []
    whole = list(exported(parts.keeper, progress=lambda at, end: seen.append((at, end))))
    assert [json.loads(event)["position"] for event in whole] == [str(number) for number in range(1, 33)]
    assert seen[-1] == (32, 32)
    assert len(seen) == 6


class Line:
    """The command line of these commands on one HOME."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.app = App(result_action="return_value")
        self._capsys = capsys
        Commands(lambda **options: Ledger(home, overrides=options)).add_to(self.app)

    def run(self, *arguments: str) -> str:
        self.app(["events", *arguments])
        return self._capsys.readouterr().out


@pytest.fixture
def line(parts: Parts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(terminal.console, "width", 160, raising=False)
    monkeypatch.setattr(terminal.console, "_width", 160)
    record_all(parts)
    return Line(parts.home.path, capsys)


def test_the_commands_carry_events_to_another_home(
    line: Line, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "events.jsonl"
    assert line.run("export", "--out", str(file)) == f"{len(EXAMPLES)} events written to {file}\n"
    assert file.read_text() == line.run("export")
    assert [path.name for path in tmp_path.glob("*events*")] == [file.name]
    there = Line(tmp_path / "there", capsys)
    assert there.run("import", str(file)) == f"{len(EXAMPLES)} events recorded\n"
    assert json.loads(there.run("import", str(file), "--json")) == {"recorded": 0, "known": len(EXAMPLES)}
    assert json.loads(line.run("export", "--format", "cloudevents-batch", "--type", "ClipRated"))[0]["data"] == {
        "rating": 4
    }
    assert len(line.run("export", "--since", "2026-11-01", "--until", "2026-11-01T02:00:00").splitlines()) == 2
    assert line.run("export", "--since", "0s") == ""


def test_standard_input_is_read(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(lines(_SUNG)))
    assert line.run("import", "-") == "1 event recorded\n"


def test_show_opens_what_is_sealed(line: Line) -> None:
    told = json.loads(line.run("show", "1", "--json"))
    assert (told["type"], told["known"], told["erased"]) == ("GenerationCompleted", True, False)
    assert told["sealed"]["text"] == "The tide is turning."
    assert json.loads(line.run("show", told["id"].upper(), "--json")) == told
    shown = line.run("show", "1")
    assert "The tide is turning." in shown
    assert "GenerationCompleted, version 4" in shown
    assert "0.8, 0.0, 0.0" in shown
    assert "top_p: 0.8" in shown


def test_show_says_what_it_does_not_understand_or_cannot_read(line: Line, parts: Parts) -> None:
    take_in(
        lines(_SUNG, {**_SUNG, "id": "2", "type": "ClipRated", "dataversion": 9}),
        parts.recorder,
        parts.keeper,
        actor="x",
    )
    assert "unknown: this version of Voxledger does not know this type" in line.run("show", str(len(EXAMPLES) + 1))
    newer = json.loads(line.run("show", str(len(EXAMPLES) + 2), "--json"))
    assert (newer["known"], newer["version"], newer["data"]) == (False, 9, {"bars": 12})
    parts.record(ClipTagged(tag="gone"), new_id())
    file = out(parts, after=len(EXAMPLES) + 2)
    event = json.loads(file.getvalue()) | {"id": new_id(), "actor": new_id()}
    take_in(lines(event), parts.recorder, parts.keeper, actor="x")
    shown = line.run("show", str(len(EXAMPLES) + 4))
    assert "cannot be read" in shown
    assert "gone" not in shown


def test_types_counts_what_the_log_holds(line: Line, parts: Parts) -> None:
    take_in(lines(_SUNG), parts.recorder, parts.keeper, actor="x")
    parts.record(AudioAccessed(channel="web", purpose="play"), new_id())
    rows = {row["type"]: row for row in map(json.loads, line.run("types", "--json").splitlines())}
    assert (rows["AudioAccessed"]["events"], rows["ReportPublished"]["version"]) == (2, 3)
    assert rows["com.example.sung"]["about"] is None
    assert "unknown to this version" in line.run("types")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "8f3a91c2"), "neither a position in the log nor a whole event id"),
        (("show", "99999"), "the log holds no event 99999"),
        (("show", "9" * 30), "the log holds no event 999"),
        (("show", new_id()), "the log holds no event"),
        (("export", "--since", "soon"), "--since 'soon' is no moment"),
        (("export", "--until", "99999999999d"), "is no moment"),
        (("export", "--type", "GenerationComplete"), "did you mean GenerationCompleted"),
        (("export", "--out", "/nowhere/at/all"), "cannot be written: No such file"),
        (("import", "/nowhere/at/all"), "cannot be read: No such file"),
        (("import", "/"), "cannot be read: Is a directory"),
    ],
)
def test_a_mistake_is_one_clear_error(line: Line, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(VoxledgerError, match=message):
        line.run(*arguments)


def test_a_failed_export_leaves_the_file_as_it_was(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text("before")

    def fails(*arguments: Any, **options: Any) -> Iterator[bytes]:
        yield b"{}"
        raise VoxledgerError("cut off")

    monkeypatch.setattr(exchange, "exported", fails)
    with pytest.raises(VoxledgerError, match="cut off"):
        line.run("export", "--out", str(file))
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.glob("*events*")] == [file.name]


def test_a_whole_generation_is_found_after_import(parts: Parts, other: Parts) -> None:
    clip = parts.clip(name="tide")
    take_in(out(parts), other.recorder, other.keeper, actor="importer")
    row = other.rows("SELECT id::VARCHAR AS id, name, duration_us FROM clips")[0]
    assert row == {"id": clip, "name": None, "duration_us": completed().duration_us}
