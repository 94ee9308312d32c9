"""The commands about voices, as people and scripts use them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import voxledger
from tests.building import completed
from tests.synth.conftest import Run
from voxledger.catalog.events import new_id


def test_a_voice_from_its_registration_to_its_end(run: Run, speech: Path, tmp_path: Path) -> None:
    code, out, err = run("voices", "add", "ann", str(speech), "--own", "--no-wait", "--json")
    assert (code, err) == (0, "")
    made = json.loads(out)
    assert (made["name"], made["stored"], made["consent"], made["warnings"]) == ("ann", False, "own", [])
    with voxledger.open(tmp_path / "home", store_close_wait=0) as vox:
        for _ in range(12):
            fact = completed(voice_sha256=made["sha256"], voice_name="ann", duration_us=1_000_000)
            vox.journal.emit(vox.recorder.draft(fact, subject=new_id(), actor=vox.vault.actor("bob")))
    assert [json.loads(line)["clips"] for line in run("voices", "list", "--json")[1].splitlines()] == [12]
    shown = json.loads(run("voices", "show", "ann", "--json")[1])
    assert (shown["sha256"], shown["clips"], shown["clips_duration_us"]) == (made["sha256"], 12, 12_000_000)
    code, out, _ = run("voices", "withdraw", "ann", "--reason", "she asked")
    assert code == 0
    assert "12 clips were made with it, 12.0 s in all; the newest:" in out
    assert f"voxledger clips --voice {made['sha256'][:12]} --limit 12" in out
    assert len(run("clips", "--voice", made["sha256"][:12], "--limit", "12", "--json")[1].splitlines()) == 12
    shown = json.loads(run("voices", "show", "ann", "--json")[1])
    assert (shown["state"], shown["withdrawal_reason"]) == ("withdrawn", "she asked")
    code, out, err = run("voices", "withdraw", "ann")
    assert (code, out) == (1, "")
    assert "already" in err


def test_several_files_are_named_after_themselves_and_a_bad_one_stops_none(
    run: Run, speech: Path, another: Path, tmp_path: Path
) -> None:
    (tmp_path / "carla.wav").write_bytes(speech.read_bytes())
    (tmp_path / "bad.wav").write_text("no sound")
    code, out, err = run("voices", "add", "carla.wav", "bad.wav", "another.wav", "--own", "--no-wait", "--json")
    assert code == 1
    assert [json.loads(line)["name"] for line in out.splitlines()] == ["carla", "another"]
    assert err.count("error:") == 1
    assert "bad.wav" in err


def test_what_people_see_fits_80_columns(run: Run, speech: Path, another: Path, tmp_path: Path) -> None:
    paper = tmp_path / "agreed.pdf"
    paper.write_bytes(b"I agree.")
    run("voices", "add", "[bold]Ann\N{RIGHT-TO-LEFT OVERRIDE}", str(speech), "--own", "--no-wait")
    options = ("--consent", str(paper), "--scope", "commercial", "--expires", "2125-12-31", "--no-wait")
    out = run("voices", "add", "Ann of the very long name that nobody can read to its end", str(another), *options)[1]
    assert "until 2125-12-31" in out
    for arguments in (("voices", "list"), ("voices", "show", "another.wav"), ("voices", "add", "--help")):
        code, out, _ = run(*arguments)
        assert code == 0
        assert all(len(line.rstrip()) <= 80 for line in out.splitlines() if "/" not in line), arguments
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in out
    listed = run("voices", "list")[1]
    assert "[bold]Ann" in listed
    assert "2125-12-31" in listed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["add"], "name a recording"),
        (["add", "ann"], "name a recording"),
        (["add", "ann", "nowhere.wav", "--own"], "no such file"),
        (["add", "ann", "another.wav"], "--own or --consent FILE"),
        (["add", "ann", "another.wav", "--own", "--expires", "soon"], "--expires 'soon' is no moment"),
        (["add", "ann", "another.wav", "--own", "--expires", "0s"], "ended already"),
        (["show", "ann"], "no registered voice 'ann'"),
        (["withdraw", "ann"], "no registered voice 'ann'"),
        (["withdraw", "another.wav"], "voxledger voices add NAME another.wav --own"),
    ],
)
def test_a_mistake_is_one_line(run: Run, another: Path, arguments: list[str], message: str) -> None:
    code, out, err = run("voices", *arguments)
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err


def test_a_name_that_was_given_twice_tells_of_the_other_recording(run: Run, speech: Path, another: Path) -> None:
    first = json.loads(run("voices", "add", "ann", str(speech), "--own", "--no-wait", "--json")[1])
    run("voices", "add", "ann", str(another), "--own", "--no-wait")
    assert "(ann)" in run("voices", "list")[1]
    assert f"voxledger voices withdraw {first['sha256'][:12]}" in run("voices", "withdraw", "ann")[1]


def test_no_voices_yet_says_how_to_begin(run: Run) -> None:
    assert "voxledger voices add NAME FILE --own" in run("voices", "list")[1]
