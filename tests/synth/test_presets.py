"""Presets: what comes along, what people add, and how a request is filled up with one."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxledger.catalog import SettingsError
from voxledger.catalog.home import Home
from voxledger.cli import main
from voxledger.synth import EMOTIONS, Emotion, InvalidEmotion, InvalidRequest, UnknownPreset, UnsupportedLanguage
from voxledger.synth.presets import Preset, Presets


@pytest.fixture
def presets(tmp_path: Path) -> Presets:
    return Presets(Home.open(tmp_path / "home"))


def test_some_come_along_and_say_only_emotions(presets: Presets) -> None:
    built_in = presets.all()
    assert len(built_in) >= 5
    assert all(preset.built_in and preset.emotion is not None and preset.about for preset in built_in)
    assert not any(preset.voice or preset.engine or preset.language or preset.sampling for preset in built_in)
    assert presets.get("news-neutral").emotion == Emotion()
    assert not presets.path.exists()


def test_what_is_added_is_there_for_everyone_and_gone_when_it_is_removed(presets: Presets) -> None:
    narrator = Preset(
        name="narrator", about='says "so"', emotion=Emotion.of("calm=0.4", strength=0.5), voice="f2", language="en-GB",
        engine="espeak", sampling={"speed": 0.95},
    )  # fmt: skip
    presets.add(narrator)
    assert Presets(Home.open(presets.path.parent)).get("narrator") == narrator
    assert tomllib.loads(presets.path.read_text(encoding="utf-8"))["narrator"]["sampling"] == {"speed": 0.95}
    presets.remove("narrator")
    with pytest.raises(UnknownPreset):
        presets.get("narrator")


WORDS = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cf", "Cn", "Co", "Zs")), min_size=1, max_size=20
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    about=WORDS, voice=st.none() | WORDS, sampling=st.dictionaries(WORDS, st.floats(-9, 9), max_size=3),
    weights=st.dictionaries(st.sampled_from(EMOTIONS), st.floats(0, 1), max_size=8), strength=st.floats(0, 1),
)  # fmt: skip
def test_whatever_is_written_is_read_back(presets: Presets, about, voice, sampling, weights, strength) -> None:
    preset = Preset(
        name="x", about=about, voice=voice, sampling=sampling, emotion=Emotion.of(weights, strength=strength)
    )
    presets.add(preset, replace_it=True)
    assert presets.get("x") == preset


def test_a_file_by_hand_is_read_and_hides_what_comes_along(presets: Presets) -> None:
    presets.path.write_text(
        "# mine\n[bedtime]\nvoice = 'f3'\n\n['Ännchen-2']\nemotion = 'sad=0.2, calm'\nstrength = 0.5\n"
    )
    assert (presets.get("bedtime").voice, presets.get("bedtime").built_in) == ("f3", False)
    assert presets.get("Ännchen-2").emotion == Emotion.of({"sad": 0.2, "calm": 1.0}, strength=0.5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[x", "not valid TOML"), ("x = 3", "stands outside a table"), ("[x]\nvoise = 'f2'", "did you mean 'voice'"),
        ("[x]\nemotion = {hapy = 1}", "did you mean 'happy'"), ("[x]\nemotion = {sad = 2}", "between 0 and 1"),
        ("[x]\nemotion = 'sad'\nstrength = 'much'", "number"), ("[x]\nsampling = {speed = 'fast'}", "must be a number"),
        ("[x]\nsampling = 3", r"\[x\] is not right"), ("[x]\nvoice = 3", "the voice"), ("['a b']\nvoice = 'x'", "no name"),
        ("[x]\nlanguage = 'nonsense-'", r"\[x\] is not right"), ("[x]\nstrength = 0.5", "nothing to scale"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_the_file_is_named_with_its_place(presets: Presets, content: str, message: str) -> None:
    presets.path.write_text(content)
    with pytest.raises(SettingsError, match=message) as caught:
        presets.get("x")
    assert str(presets.path) in str(caught.value)


def test_unknown_names_come_with_near_ones(presets: Presets) -> None:
    with pytest.raises(UnknownPreset, match="did you mean 'bedtime'"):
        presets.get("bed-time")


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 51, "-x", "a\nb", "[x]", "a.b"])
def test_names_are_checked(name: str) -> None:
    with pytest.raises(InvalidRequest, match="no name for a preset"):
        Preset(name=name, voice="f2")


def test_what_is_taken_empty_or_built_in_is_refused(presets: Presets) -> None:
    presets.add(Preset(name="mine", voice="f2"))
    with pytest.raises(InvalidRequest, match="--replace"):
        presets.add(Preset(name="mine", voice="f3"))
    with pytest.raises(InvalidRequest, match="comes with Voxledger"):
        presets.add(Preset(name="bedtime", voice="f3"), replace_it=True)
    with pytest.raises(InvalidRequest, match="comes with Voxledger"):
        presets.remove("bedtime")
    with pytest.raises(InvalidRequest, match="says nothing"):
        presets.add(Preset(name="empty", about="nothing"))
    with pytest.raises(UnsupportedLanguage):
        Preset(name="x", language="not a tag")
    assert presets.get("mine").voice == "f2"


def test_many_who_add_at_once_lose_nothing(presets: Presets) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: presets.add(Preset(name=f"p{n}", voice="f2")), range(24)))
    assert sum(not preset.built_in for preset in presets.all()) == 24


# Filling a request


PRESET = Preset(
    name="p", emotion=Emotion.of("sad=0.8", strength=0.5), voice="f2", language="de", sampling={"speed": 2, "k": 1}
)


def test_a_preset_fills_what_the_request_does_not_say() -> None:
    assert PRESET.fill({"voice": None, "preset": "p"}) == {
        "preset": "p", "voice": "f2", "language": "de", "emotion": PRESET.emotion, "sampling": {"speed": 2, "k": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        {"voice": "f3"}, {"language": "fr"}, {"emotion": "happy"}, {"emotion": {}}, {"sampling": {"speed": 1, "k": 2}},
        {"engine": "remote"},
    ],
)  # fmt: skip
def test_what_the_request_says_counts_more(asked: dict[str, object]) -> None:
    filled = PRESET.fill(asked)
    assert {name: filled[name] for name in asked} == asked


@pytest.mark.parametrize("other", [{"emotion_words": "in tears"}, {"emotion_reference": "ann"}])
def test_an_emotion_from_elsewhere_takes_the_presets_place(other: dict[str, str]) -> None:
    assert "emotion" not in PRESET.fill(other)


def test_sampling_is_filled_up_one_by_one_and_speed_may_stand_alone() -> None:
    assert PRESET.fill({"sampling": {"k": 3}})["sampling"] == {"speed": 2, "k": 3}
    assert PRESET.fill({"speed": 1.5})["sampling"] == {"k": 1}


def test_a_weight_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidEmotion):
        Preset(name="x", emotion=Emotion.of("sad=3"))


# The commands


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("VOXLEDGER_HOME", str(tmp_path / "home"))

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["presets", *arguments])
        heard = capsys.readouterr()
        return int(ended.value.code or 0), heard.out + heard.err

    return run


def test_the_commands_add_show_list_and_remove(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run(
        "add", "villain", "--emotion", "angry=0.5", "--strength", "0.7", "--speed", "1.1", "--sampling", "top_k=20"
    )
    assert code == 0
    shown = run("show", "villain")[1]
    assert said.splitlines()[:-1] == shown.splitlines()[:-1]
    assert tomllib.loads(shown)["villain"] == {
        "emotion": {"angry": 0.5}, "strength": 0.7, "sampling": {"speed": 1.1, "top_k": 20.0},
    }  # fmt: skip
    listed = json.loads(run("list", "--json")[1])
    assert {"villain": False, "bedtime": True}.items() <= {one["name"]: one["built_in"] for one in listed}.items()
    assert "villain" in run("list")[1]
    assert run("remove", "villain") == (0, "the preset villain is removed\n")
    assert run("show", "villain")[0] == 1


def test_the_commands_say_what_is_wrong(run: Callable[..., tuple[int, str]]) -> None:
    assert "NAME=NUMBER" in run("add", "x", "--sampling", "fast")[1]
    assert "did you mean 'happy'" in run("add", "x", "--emotion", "hapy")[1]
    assert run("add", "bedtime", "--voice", "f2")[0] == 1
    assert "--strength 0.5 has nothing to scale" in run("add", "x", "--strength", "0.5", "--voice", "f2")[1]
    assert "speed is given twice" in run("add", "x", "--speed", "1.1", "--sampling", "speed=1.2")[1]
