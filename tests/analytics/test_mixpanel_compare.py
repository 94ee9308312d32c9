"""What this HOME has against what Mixpanel has."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import requests

from tests.analytics.mixpanel_world import World
from voxledger.analytics.errors import ExportUnreadable
from voxledger.catalog import settings
from voxledger.catalog.events import AudioAccessed, ClipTagged, Event

_MARCH = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)


def _march(world: World, count: int, day: int = 1) -> list[Event]:
    play = AudioAccessed(channel="web", purpose="play")
    return world.record(*[play] * count, time=_MARCH.replace(day=day))


def _export(world: World, file: Path, first: str = "2026-03-01", last: str = "2026-03-31") -> Path:
    answer = requests.get(
        f"{world.server.url}/api/2.0/export", params={"from_date": first, "to_date": last}, timeout=10
    )
    file.write_bytes(answer.content)
    return file


def test_a_faithful_export_has_no_differences(world: World, tmp_path: Path) -> None:
    _march(world, 3)
    world.record(AudioAccessed(channel="web", purpose="link"), ClipTagged(tag="x"), time=_MARCH.replace(day=2))
    world.mixpanel().deliver()
    found = world.mixpanel().compare(_export(world, tmp_path / "export.ndjson"))
    assert (found.first, found.last, found.by_id) == (date(2026, 3, 1), date(2026, 3, 2), True)
    assert [(str(row.day), row.name, row.local, row.theirs) for row in found.rows] == [
        ("2026-03-01", "Audio Played", 3, 3),
        ("2026-03-02", "Audio Link Made", 1, 1),
        ("2026-03-02", "Clip Tagged", 1, 1),
    ]
    assert list(found.differing) == []


def test_every_difference_has_its_reason(world: World, tmp_path: Path) -> None:
    ben = world.recorder.vault.actor("Ben")
    first = _march(world, 6)
    world.record(*[AudioAccessed(channel="web", purpose="play")] * 2, actor=ben, time=_MARCH)
    world.server.refuse = {first[0].id: ("event", "no")}
    off = (settings.MixpanelActor(name="Ben", analytics="off"),)
    mixpanel = world.mixpanel(actors=off)
    mixpanel.deliver()
    file = _export(world, tmp_path / "export.ndjson")
    lines = file.read_text().splitlines()
    stranger = {
        "event": "Audio Played",
        "properties": {"time": 1772409540, "$insert_id": "not-ours", "distinct_id": "x"},
    }
    file.write_text("\n".join([*lines[1:], lines[1], json.dumps(stranger)]))
    _march(world, 2)
    found = mixpanel.compare(file)
    (row,) = found.differing
    assert (row.local, row.theirs) == (10, 5)
    assert (row.quarantined, row.silent, row.waiting, row.missing, row.foreign) == (1, 2, 2, 1, 1)
    assert found.repeats == 1
    mixpanel.deliver()
    assert mixpanel.compare(file).differing[0].late == 2, "recorded after the file was written"


def test_days_can_be_named(world: World, tmp_path: Path) -> None:
    _march(world, 1)
    _march(world, 2, day=5)
    world.mixpanel().deliver()
    file = _export(world, tmp_path / "export.ndjson", last="2026-03-01")
    assert list(world.mixpanel().compare(file).differing) == []
    assert world.mixpanel().compare(file, last=date(2026, 3, 31)).missing == 2
    nothing = tmp_path / "nothing.ndjson"
    nothing.touch()
    with pytest.raises(ExportUnreadable, match="--first and --last"):
        world.mixpanel().compare(nothing)
    assert world.mixpanel().compare(nothing, first=date(2026, 3, 1), last=date(2026, 3, 31)).missing == 3


def test_gzipped_lines_and_tables_are_read_too(world: World, tmp_path: Path) -> None:
    _march(world, 3)
    world.mixpanel().deliver()
    file = _export(world, tmp_path / "export.ndjson")
    packed = tmp_path / "export.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert list(world.mixpanel().compare(packed).differing) == []
    table = tmp_path / "export.csv"
    table.write_text("Event Name,Time,Count\nAudio Played,2026-03-01T12:00:00,2\nAudio Fetched,2026-03-01,1\n")
    found = world.mixpanel().compare(table)
    assert not found.by_id
    assert [(row.name, row.local, row.theirs, row.missing, row.foreign) for row in found.differing] == [
        ("Audio Fetched", 0, 1, 0, 1),
        ("Audio Played", 3, 2, 1, 0),
    ]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"event": "A", "properties": {"time": 1}}\n{"event": 7}\n', "line 2"),
        (b"[{}]", "one event a line"),
        (b"a,b\n1,2\n", "'a', 'b'"),
        (b"event,time\nA,tomorrow\n", "line 2: 'tomorrow' is no time"),
        (b"\x1f\x8bnot gzip at all", "cannot be read"),
        (b"event,time\n\xff\xfe,1\n", "UTF-8"),
    ],
)
def test_a_file_that_is_no_export_is_one_clear_error(world: World, tmp_path: Path, content: bytes, says: str) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    with pytest.raises(ExportUnreadable) as caught:
        world.mixpanel().compare(file)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_one_clear_error(world: World, tmp_path: Path) -> None:
    with pytest.raises(ExportUnreadable, match="No such file"):
        world.mixpanel().compare(tmp_path / "nothing")
