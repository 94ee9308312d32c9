"""What is held about a person is written out, whole, and nothing about anybody else."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from tests.catalog.erasure.conftest import GONE, KEPT, World
from voxledger.catalog.errors import ErasureError


def test_everything_about_a_person_is_written_and_nothing_of_others(world: World, tmp_path: Path) -> None:
    made = world.live()
    out = tmp_path / "all"
    with world.open() as vox:
        subject = vox.erasure.subject(actor=GONE)
        fetched = vox.catalog.clip(made[GONE][2])
        assert fetched.path
        fetched.path.unlink()  # then it comes from the store
        done = vox.exporter.export(subject, out)
        assert (done.clips, done.audio, done.voices, done.missing) == (3, 3, 1, 0)
        with pytest.raises(ErasureError, match="is there already"):
            vox.exporter.export(subject, out)
        vox.exporter.export(subject, tmp_path / "all.zip")
    events = [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]
    assert {"GenerationCompleted", "ClipPinned", "ClipTagged", "VoiceRegistered"} <= {event["type"] for event in events}
    assert "Zanzibar marmalade number 1" in (out / "events.jsonl").read_text()
    clips = json.loads((out / "clips.json").read_text())
    assert {clip["id"] for clip in clips} == set(made[GONE])
    for clip in clips:
        assert hashlib.sha256((out / "audio" / clip["key"]).read_bytes()).hexdigest() == clip["sha256"]
    assert "kumquatreason" in (out / "said.csv").read_text()
    assert len([path for path in (out / "voices").rglob("*") if path.is_file()]) == 2
    everything = b"".join(path.read_bytes() for path in out.rglob("*") if path.is_file())
    assert GONE.encode() in everything
    assert KEPT.encode() not in everything
    assert b"Octopus" not in everything
    names = zipfile.ZipFile(tmp_path / "all.zip").namelist()
    assert "all/README.txt" in names
    assert len(names) == len([path for path in out.rglob("*") if path.is_file()])
