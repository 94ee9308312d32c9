"""The engine indextts with the real package, on a tiny checkpoint with random weights (`checkpoint.py`)."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests import forking
from tests.soak import some
from tests.synth.engines.conftest import BRISK, Make, indextts_settings, needs_package
from tests.synth.engines.contract import Case, EngineContract
from voxledger.synth import (
    Emotion,
    EngineFailed,
    EngineUnavailable,
    InvalidRequest,
    NotSupported,
    SynthesisError,
    UnknownVoice,
    VoiceMissing,
)
from voxledger.synth.engines import Segment, SynthesisRequest, indextts_model, load
from voxledger.synth.engines.indextts import IndexTtsEngine

pytestmark = pytest.mark.usefixtures("forked_workers")
TEXT = "潮水正在转向。\n\n船要出去了。\n\n码头上没有人说话。"
SEGMENT = 11_264
"""Samples of what the tiny checkpoint says, whatever it is."""


@pytest.fixture
def ask(recordings: tuple[Path, Path]) -> Any:
    """Makes requests that are quickly spoken."""

    def ask(text: str = "潮水正在转向。", **changes: Any) -> SynthesisRequest:
        known = {"language": "zh", "voice_audio": recordings[0], "seed": 7, "sampling": BRISK}
        return SynthesisRequest(**{"text": text, **known, **changes})

    return ask


def sound(segments: Iterator[Segment]) -> bytes:
    return np.concatenate([segment.samples for segment in segments]).tobytes()


def copied(checkpoint: Path, folder: Path) -> Path:
    """The checkpoint once more, with files of its own where they may be changed."""
    shutil.copytree(checkpoint, folder, copy_function=os.link)
    return folder


# What is there, and what is not


def test_what_it_says_of_itself(indextts: IndexTtsEngine) -> None:
    info = indextts.describe()
    assert (info.name, info.model, info.device) == ("indextts", "indextts@2.5", "cpu x1")
    assert info.version.startswith("0.2.0+torch2.")
    assert info.emotion_modes == {"none", "vector", "reference"}
    assert info.sample_rate == 22_050
    assert info.determinism == "seeded"
    assert info.voices == ()
    assert info.reference_voices
    assert set(info.languages) >= {"en", "zh", "es", "ar"}


def test_it_is_among_the_engines_that_are_installed(tmp_path: Path, checkpoint: Path) -> None:
    engine = load("indextts", indextts_settings(tmp_path, checkpoint))
    assert engine.describe().name == "indextts"


def test_each_device_works_on_a_request(make_indextts: Make) -> None:
    assert make_indextts(devices="cpu,cpu").describe().concurrency == 2


def test_devices_are_those_that_are_named_or_what_torch_can_use() -> None:
    assert indextts_model.devices(("cuda:1", "cpu"), "2.13.0")[1] == ("cpu", "cpu")
    assert indextts_model.devices(("auto",), "2.13.0+cpu") == (("cpu", "cpu"),)


def test_a_device_that_is_not_there_is_told(make_indextts: Make, ask: Any) -> None:
    with pytest.raises(
        EngineUnavailable, match=r"cannot be loaded: .* See that indextts\.devices names what torch has"
    ):
        list(make_indextts(devices="cuda:7").synthesize(ask()))


@needs_package
def test_missing_files_are_named_with_what_gets_them(tmp_path: Path, checkpoint: Path, make_indextts: Make) -> None:
    folder = copied(checkpoint, tmp_path / "incomplete")
    (folder / "gpt.pth").unlink()
    (folder / "hf_cache" / "campplus_cn_common.bin").unlink()
    (folder / "codec.pth").unlink()
    (folder / "codec.pth").touch()
    with pytest.raises(EngineUnavailable) as caught:
        make_indextts(model_dir=str(folder)).describe()
    for part in (
        "codec.pth",
        "gpt.pth",
        "hf_cache/campplus_cn_common.bin",
        "voxledger models pull indextts@2.5",
        "Copy",
    ):
        assert part in str(caught.value)
    assert "s2mel.pth" not in str(caught.value)
    assert str(folder) not in caught.value.remedy


@needs_package
def test_files_that_the_configuration_names_otherwise_are_looked_for(
    tmp_path: Path, checkpoint: Path, make_indextts: Make
) -> None:
    folder = copied(checkpoint, tmp_path / "tuned")
    text = (folder / "config.yaml").read_text()
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").write_text(text.replace("gpt.pth", "/home/author/tuned.pth"))
    with pytest.raises(EngineUnavailable, match=r"lacks tuned\.pth"):
        make_indextts(model_dir=str(folder)).describe()


def test_another_checkpoint_is_another_revision(tmp_path: Path, checkpoint: Path, make_indextts: Make) -> None:
    before = make_indextts().describe().model_revision
    folder = copied(checkpoint, tmp_path / "other")
    assert make_indextts(model_dir=str(folder)).describe().model_revision == before
    engine = make_indextts(model_dir=str(folder))
    engine.describe()
    (folder / "glossary.yaml").write_text("AI: {en: A I}\n")
    assert engine.describe().model_revision != before


def test_hashes_are_remembered(make_indextts: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    found = make_indextts().describe().model_revision
    monkeypatch.setattr(indextts_model, "_sha256", lambda path: pytest.fail(f"{path.name} is read again"))
    assert make_indextts().describe().model_revision == found


def test_another_python_is_described_alike(indextts: IndexTtsEngine, make_indextts: Make) -> None:
    assert make_indextts(python=sys.executable).describe() == indextts.describe()


def test_a_python_without_the_package_is_told(make_indextts: Make, tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(EngineUnavailable, match=r"python lacks the package indextts25-inference and torch: .* -m pip"):
        make_indextts(python=str(bare)).describe()
    with pytest.raises(EngineUnavailable, match="no Python that can be run: no such file or directory"):
        make_indextts(python=str(tmp_path / "nothing")).describe()


def test_a_package_that_is_installed_meanwhile_is_found(
    indextts: IndexTtsEngine, make_indextts: Make, tmp_path: Path
) -> None:
    python, there = tmp_path / "python", tmp_path / "installed"
    python.write_text(f'#!/bin/sh\n[ -e {there} ] || exec {sys.executable} -S "$@"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    engine = make_indextts(python=str(python))
    with pytest.raises(EngineUnavailable, match="lacks the package"):
        engine.describe()
    there.touch()
    assert engine.describe() == indextts.describe()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("printf '\\377\\376\\n'", "it answers as no Python does"),
        ("echo hello", "it answers as no Python does"),
        ("echo", "it answers as no Python does"),
        ("exec 1>&-; exit 3", "it ends with exit code 3"),
        ("sleep 3600", r"it does not answer within 1 s\. Give the whole path"),
        ("exec 1>&-; sleep 3600", "it does not end within 1 s"),
        ("yes", "it answers as no Python does"),
        (None, "permission denied"),
    ],
)
def test_a_python_that_is_none_is_told_in_words_and_in_time(
    make_indextts: Make, tmp_path: Path, script: str | None, why: str
) -> None:
    odd = tmp_path / "python"
    odd.write_text(f"#!/bin/sh\n{script}\n")
    odd.chmod(0o644 if script is None else 0o755)
    engine = make_indextts(python=str(odd), load_limit="1s")
    for ask in (engine.describe, engine.describe):
        with pytest.raises(EngineUnavailable, match=f"no Python that can be run: {why}") as caught:
            ask()
    assert "Error" not in str(caught.value)
    assert caught.value.remedy == "Set indextts.python to a Python that has the package."


@pytest.mark.parametrize(
    ("text", "why"),
    some([("gpt: [1, 2\nx: }", "ParserError, line 2"), ("x: 1\n", "it has no "), ("\udcff", "UnicodeDecodeError")]),
)
def test_a_configuration_that_is_none_is_told_with_its_place(
    tmp_path: Path, checkpoint: Path, make_indextts: Make, ask: Any, text: str, why: str
) -> None:
    folder = copied(checkpoint, tmp_path / "misconfigured")
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(EngineUnavailable, match=r"config\.yaml is not what it should be") as caught:
        list(make_indextts(model_dir=str(folder)).synthesize(ask()))
    assert why in str(caught.value)
    assert "indextts.devices" not in str(caught.value)
    assert "config.yaml" in caught.value.remedy


def test_a_damaged_file_is_named(tmp_path: Path, checkpoint: Path, make_indextts: Make, ask: Any) -> None:
    folder = copied(checkpoint, tmp_path / "damaged")
    (folder / "s2mel.pth").unlink()
    (folder / "s2mel.pth").write_bytes(b"not a checkpoint" * 100)
    with pytest.raises(EngineUnavailable, match=r"cannot be loaded: .*s2mel\.pth") as caught:
        list(make_indextts(model_dir=str(folder)).synthesize(ask()))
    assert "models/" not in caught.value.remedy


# What every engine promises


class TestContract(EngineContract):
    """Here, beside the other tests, so that one worker serves all of them: it takes seconds to start."""

    @pytest.fixture
    def case(self, indextts: IndexTtsEngine, make_indextts: Make, recordings: tuple[Path, Path]) -> Case:
        more = {"voice_audio": recordings[0], "sampling": BRISK}
        return Case(engine=indextts, make=make_indextts, recording=recordings[1], more=more)


# What it speaks


def test_text_language_voice_seed_and_parameters_are_heard(
    indextts: IndexTtsEngine, ask: Any, recordings: tuple[Path, Path]
) -> None:
    asked = [
        ask(), ask("船要出去了。"), ask(language="ar"), ask(voice_audio=recordings[1]), ask(seed=8),
        ask(sampling={**BRISK, "temperature": 1.9}), ask(sampling={**BRISK, "diffusion_steps": 3.0}),
        ask(sampling={**BRISK, "speed": 1.25}),
    ]  # fmt: skip
    sounds = [sound(indextts.synthesize(one)) for one in asked]
    assert len(set(sounds)) == len(sounds)
    assert len(sounds[-1]) < len(sounds[0]) == 4 * SEGMENT


def test_all_kinds_of_emotion_are_heard(indextts: IndexTtsEngine, ask: Any, recordings: tuple[Path, Path]) -> None:
    asked = [
        ask(TEXT), ask(TEXT, emotion=Emotion.of("happy")), ask(TEXT, emotion=Emotion.of("sad")),
        ask(TEXT, emotion=Emotion.of("sad", strength=0.5)), ask(TEXT, emotion_audio=recordings[1]),
        ask(TEXT, emotion_audio=recordings[1], emotion=Emotion(strength=0.3)),
    ]  # fmt: skip
    sounds = [sound(indextts.synthesize(one)) for one in asked]
    assert len(set(sounds)) == len(sounds)


def test_no_emotion_is_the_voices_own(indextts: IndexTtsEngine, ask: Any, recordings: tuple[Path, Path]) -> None:
    own = sound(indextts.synthesize(ask()))
    assert sound(indextts.synthesize(ask(emotion=Emotion.of("angry", strength=0.0)))) == own
    assert sound(indextts.synthesize(ask(emotion_audio=recordings[0]))) == own


def test_effective_weights_follow_upstream(indextts: IndexTtsEngine) -> None:
    assert indextts.effective(Emotion.of("happy=0.5")) == (0.46875, 0, 0, 0, 0, 0, 0, 0)
    assert indextts.effective(Emotion.of("sad")) == (0, 0, 0.8, 0, 0, 0, 0, 0)
    assert indextts.effective(Emotion.of("sad", strength=0.5)) == (0, 0, 0.4, 0, 0, 0, 0, 0)
    mixed = indextts.effective(Emotion.of("sad=1.0, afraid=1.0, calm=1.0"))
    assert sum(mixed) == pytest.approx(0.8, abs=1e-5)
    assert mixed[2] == mixed[3] == pytest.approx(mixed[7] / 0.5625, abs=1e-5)


def test_segments_speak_alike_whatever_comes_before_them(indextts: IndexTtsEngine, ask: Any) -> None:
    first = next(indextts.synthesize(ask(TEXT)))
    alone = next(indextts.synthesize(ask("潮水正在转向。")))
    assert np.array_equal(first.samples[:SEGMENT], alone.samples)
    assert not first.samples[SEGMENT:].any()
    assert len(first.samples) == SEGMENT + 11_025  # half a second before a paragraph


def test_short_sentences_are_spoken_together_and_long_ones_divided(indextts: IndexTtsEngine, ask: Any) -> None:
    together = list(indextts.synthesize(ask("One. Two! Three?", language="ar")))
    assert [segment.text for segment in together] == ["One. Two! Three?"]
    endless = "word " * 200
    divided = [segment.text for segment in indextts.synthesize(ask(endless, language="ar"))]
    assert len(divided) > 3
    assert " ".join(divided) == endless.strip()
    assert [each.text for each in indextts.synthesize(ask("… ?! 你好。 …", language="zh"))] == ["… ?! 你好。 …"]


def test_what_the_package_takes_for_commands_is_text(indextts: IndexTtsEngine, ask: Any) -> None:
    for marked, bare in (
        ("<|HAPPY|>你好", "|HAPPY|>你好"),
        ("<行|XING2>你好", "行|XING2>你好"),
        ("a < b 你好", "a < b 你好"),
    ):
        asked = [ask(marked), ask(bare)]
        assert sound(indextts.synthesize(asked[0])) == sound(indextts.synthesize(asked[1]))
        assert next(indextts.synthesize(asked[0])).text == marked


def test_without_a_seed_it_is_the_seed_0(indextts: IndexTtsEngine, ask: Any) -> None:
    assert sound(indextts.synthesize(ask(seed=None))) == sound(indextts.synthesize(ask(seed=0)))


def test_it_is_the_package_that_speaks(
    indextts: IndexTtsEngine, checkpoint: Path, ask: Any, recordings: tuple[Path, Path]
) -> None:
    segment = next(indextts.synthesize(ask(emotion=Emotion.of("sad=0.5"))))
    script = f"""
import sys, torch
from voxledger.synth.engines.indextts import _seed
torch.set_num_threads(1)
torch.manual_seed(_seed(7, 0))
from indextts25 import IndexTTS25
tts = IndexTTS25({str(checkpoint)!r}, device="cpu")
more = dict(num_beams=1, diffusion_steps=2, emo_vector=[0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0])
chunk, = tts.stream("潮水正在转向。", {str(recordings[0])!r}, lang="ZH", **more)
sys.stdout.write(chunk.audio.tobytes().hex())
"""
    done = forking.run(["-c", script], kind="indextts")
    done.check_returncode()
    assert bytes.fromhex(done.stdout) == segment.samples.tobytes()


# What it refuses


@pytest.mark.parametrize(
    ("changes", "kind", "says"),
    [
        ({"voice_audio": None}, UnknownVoice, "voxledger voices add NAME ref.wav --own"),
        ({"voice_audio": None, "voice": "ann"}, UnknownVoice, "no voice 'ann'"),
        ({"voice_audio": Path("/nowhere/me.wav")}, VoiceMissing, "register it again"),
        ({"emotion_audio": Path("/nowhere/me.wav")}, VoiceMissing, "register it again"),
        ({"emotion_words": "in tears"}, NotSupported, "not supported by the engine indextts"),
        ({"sampling": {"speed": 3.0}}, NotSupported, "speed must be between 0.5 and 1.28"),
        ({"sampling": {"top_k": 1.5}}, NotSupported, "top_k must be a whole number between 1 and 1000"),
    ],
    ids=["no voice", "unknown voice", "voice gone", "emotion gone", "words", "too fast", "half a beam"],
)
def test_what_it_cannot_do_is_refused_at_once(
    indextts: IndexTtsEngine, ask: Any, changes: dict[str, Any], kind: type[SynthesisError], says: str
) -> None:
    with pytest.raises(kind, match=says):
        indextts.synthesize(ask(**changes))


def test_an_emotion_comes_from_one_place(indextts: IndexTtsEngine, ask: Any, recordings: tuple[Path, Path]) -> None:
    with pytest.raises(NotSupported, match="not from both"):
        indextts.synthesize(ask(emotion=Emotion.of("sad"), emotion_audio=recordings[1]))


@pytest.mark.parametrize("content", [b"", b"this is no sound" * 100, b"RIFF\x24\x00\x00\x00WAVE"])
def test_recordings_that_are_none_have_an_error_with_words(
    indextts: IndexTtsEngine, ask: Any, tmp_path: Path, content: bytes
) -> None:
    odd = tmp_path / "odd.wav"
    odd.write_bytes(content)
    for field, whose in (("voice_audio", "voice"), ("emotion_audio", "emotion")):
        with pytest.raises(InvalidRequest, match=f"the recording for the {whose} cannot be used: .*decoded"):
            list(indextts.synthesize(ask(**{field: odd})))


def test_a_recording_that_is_too_short_is_refused(indextts: IndexTtsEngine, ask: Any, tmp_path: Path) -> None:
    import soundfile

    short = tmp_path / "short.wav"
    soundfile.write(short, np.full(600, 0.1, dtype=np.float32), 22_050)
    with pytest.raises(InvalidRequest, match=r"lasts 0\.03 s; 0\.1 s is the least"):
        list(indextts.synthesize(ask(voice_audio=short)))
    assert list(indextts.synthesize(ask()))


# What goes wrong


def test_killed_while_it_speaks_it_goes_on_where_it_was(indextts: IndexTtsEngine, ask: Any) -> None:
    expected = list(indextts.synthesize(ask(TEXT)))
    running = indextts.synthesize(ask(TEXT))
    found = [next(running)]
    (pid,) = indextts.workers()
    os.kill(pid, signal.SIGKILL)
    found += running
    assert [segment.text for segment in found] == [segment.text for segment in expected]
    assert all(np.array_equal(one.samples, other.samples) for one, other in zip(found, expected, strict=True))
    assert indextts.workers() != (pid,)


def test_too_little_memory_is_an_error_with_a_remedy_and_a_place(make_indextts: Make, tmp_path: Path, ask: Any) -> None:
    with pytest.raises(EngineFailed, match="GB of memory") as caught:
        list(make_indextts(memory="200MB").synthesize(ask()))
    assert caught.value.stage == "load"
    assert str(tmp_path) in str(caught.value)
    assert caught.value.remedy == "Raise indextts.memory, or give it shorter sentences."
    assert (tmp_path / "indextts" / "worker-cpu.log").is_file()


def test_one_that_does_not_load_in_time_is_an_error(make_indextts: Make, ask: Any) -> None:
    with pytest.raises(EngineFailed, match="no answer in time"):
        list(make_indextts(load_limit=0.2).synthesize(ask()))


def test_a_limit_that_was_asked_for_cuts_the_speech(indextts: IndexTtsEngine, ask: Any) -> None:
    short = list(indextts.synthesize(ask(sampling={**BRISK, "max_mel_tokens": 5.0})))
    assert 0 < len(short[0].samples) < SEGMENT


def test_another_process_speaks_the_same_whatever_hearing_draws_and_loads_a_checkpoint_that_changes(
    tmp_path: Path,
    checkpoint: Path,
    make_indextts: Make,
    indextts: IndexTtsEngine,
    ask: Any,
    recordings: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = copied(checkpoint, tmp_path / "published")
    text = (folder / "config.yaml").read_text()
    published = text.replace('"s2mel.pth"', '"/home/author/s2mel.pth"')  # as a published revision has it
    (folder / "config.yaml").unlink()
    (folder / "config.yaml").write_text(published)
    asked = [ask(TEXT, emotion=Emotion.of("sad=0.6")), ask(emotion_audio=recordings[1])]
    expected = [sound(indextts.synthesize(one)) for one in asked]
    (tmp_path / "sitecustomize.py").write_text(_DRAWS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    engine = make_indextts(model_dir=str(folder))
    # Each recording is heard once; the second time nothing is drawn for it.
    assert [sound(engine.synthesize(one)) for one in (*reversed(asked), asked[0])] == [*expected[::-1], expected[0]]
    assert (tmp_path / "sitecustomize.py.heard").exists()
    assert (folder / "config.yaml").read_text() == published != text
    first = engine.workers()
    assert first != indextts.workers()
    monkeypatch.delenv("PYTHONPATH")
    mute(folder)
    with pytest.raises(EngineFailed, match="says nothing for this sentence") as caught:
        list(engine.synthesize(ask()))
    assert caught.value.stage == "engine"
    assert caught.value.remedy == "Try another seed, or other words."
    assert engine.workers() != first


_DRAWS = """
import torch, transformers
hear = transformers.Wav2Vec2BertModel.forward
def forward(*arguments, **options):
    torch.rand([])  # as in each layer in versions that the package takes, too
    print("heard", file=open(__file__ + ".heard", "a"))
    return hear(*arguments, **options)
transformers.Wav2Vec2BertModel.forward = forward
"""
"""A `sitecustomize` that lets the package draw a number whenever it hears a recording."""


_MUTES = """
import sys, torch
from pathlib import Path
file = Path(sys.argv[1], "gpt.pth")
weights = torch.load(file, weights_only=True)
weights["mel_head.bias"][65] = 1e4
file.unlink()
torch.save(weights, file)
"""


def mute(folder: Path) -> None:
    """Let the token that stops come first."""
    forking.run(["-c", _MUTES, folder], kind="indextts").check_returncode()


def test_nobody_is_left_when_it_is_closed(indextts: IndexTtsEngine, ask: Any) -> None:
    list(indextts.synthesize(ask()))
    (pid,) = indextts.workers()
    indextts.close()
    assert indextts.workers() == ()
    assert not psutil.pid_exists(pid)
