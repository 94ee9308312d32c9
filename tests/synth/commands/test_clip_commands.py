"""Commands about how a clip was made, as people and scripts use them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from tests.synth.conftest import Run
from voxledger.catalog import terminal


def made(run: Run, *arguments: str) -> str:
    code, out, err = run("say", *arguments, "--no-wait", "--json")
    assert code == 0, err
    short: str = json.loads(out)["short"]
    return short


def test_a_clip_is_rendered_again_to_the_same_bytes(run: Run) -> None:
    clip = made(run, "[sad:0.6] I lost it.\n[happy] And found it.", "--speed", "1.2", "--format", "flac")
    code, out, _ = run("rerender", clip)
    assert code == 0
    assert "equal" in out
    assert "byte for byte" in out
    told = json.loads(run("rerender", clip, "--json")[1])
    assert (told["equal"], told["differences"], told["distance_db"]) == (True, [], None)


def test_a_clip_that_is_not_there_is_named(run: Run) -> None:
    made(run, "The tide is turning.")
    code, out, err = run("rerender", "0000ffff")
    assert (code, out) == (1, "")
    assert "there is no clip '0000ffff'" in err


def test_subtitles_say_each_sentence_when_it_is_heard(run: Run, tmp_path: Path) -> None:
    text = "The tide is turning. Two boats come home."
    clip = made(run, text)
    code, out, _ = run("subtitles", clip)
    assert code == 0
    assert out.startswith("1\n00:00:00,000 --> 00:00:0")
    assert "The tide is turning." in out
    assert run("subtitles", clip, "--out", "tide.vtt")[0] == 0
    assert (tmp_path / "tide.vtt").read_text().startswith("WEBVTT\n")
    code, _, err = run("subtitles", clip, "--out", "nowhere/tide.srt")
    assert code == 1
    assert "nowhere/tide.srt cannot be written" in err


def test_without_text_there_are_no_subtitles(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOXLEDGER_GENERAL_STORE_TEXT", "false")
    clip = made(run, "Keep this to yourself.")
    code, _, err = run("subtitles", clip)
    assert code == 1
    assert "its text was not kept" in err


CHAPTER = " ".join(f"Boat number {number} comes home before the storm." for number in range(10))


def test_of_a_long_text_a_terminal_sees_how_far_it_has_come(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("say", CHAPTER, "--no-wait")[2] == ""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "errors", Console(stderr=True, force_terminal=True, width=100))
    code, out, err = run("say", CHAPTER, "--no-wait", "--no-reuse")
    assert code == 0
    assert "speaking" not in out
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", err)
    assert re.search(r"speaking · .* s of sound .*10/10", shown), shown
    assert run("say", CHAPTER, "--take", "2", "--no-wait", "--json")[2] == ""


def test_a_preset_fills_what_a_command_leaves_open(run: Run) -> None:
    run("presets", "add", "narrator", "--emotion", "calm=0.5", "--language", "de")
    code, out, err = run("say", "Guten Tag.", "--preset", "narrator", "--no-wait", "--json")
    assert code == 0, err
    assert (json.loads(out)["emotion"], json.loads(out)["language"]) == ("calm", "de")
    assert (
        json.loads(run("say", "Guten Tag.", "--preset", "narrator", "--emotion", "happy", "--no-wait", "--json")[1])[
            "emotion"
        ]
        == "happy"
    )
    code, _, err = run("say", "Guten Tag.", "--preset", "narator", "--no-wait")
    assert code == 1
    assert "narrator" in err
