"""Clips that IndexTTS makes in a Python that the settings name, through the public door: recorded with what it takes to make them again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

import voxledger
from tests.building import NOBODY
from tests.synth.engines.conftest import BRISK
from voxledger.ledger import Ledger
from voxledger.synth import EngineFailed, NotSupported
from voxledger.synth.engines import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine

TEXT = "潮水正在转向。\n\n船要出去了。\n\n码头上没有人说话。"
SPOKEN = "The tide is turning, and the boats are going out. Nobody on the pier says a word about the weather."


@pytest.fixture(scope="module")
def vox(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A HOME with a registered voice, whose engine is the tiny checkpoint."""
    folder = tmp_path_factory.mktemp("clips")
    engine = EspeakEngine()
    (said,) = engine.synthesize(SynthesisRequest(text=SPOKEN.replace(".", ","), language="en"))
    engine.close()
    soundfile.write(folder / "ann.wav", 0.5 * said.samples, said.sample_rate)
    with _opened(folder / "home", checkpoint) as ledger:
        ledger.voices.add("ann", folder / "ann.wav", own=True)
        yield ledger


def _opened(home: Path, checkpoint: Path, **more: object) -> Ledger:
    return voxledger.open(
        home, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0, synth_engine="indextts", indextts_threads=1,
        indextts_devices="cpu", indextts_python=sys.executable, indextts_model_dir=str(checkpoint), **more,
    )  # fmt: skip


def test_a_clip_is_recorded_with_what_it_takes_to_make_it_again(vox: Ledger) -> None:
    clip = vox.speak(TEXT, voice="ann", emotion={"sad": 1.0, "calm": 0.8}, sampling=BRISK)
    row = vox.catalog.sql("SELECT * FROM generations ORDER BY time DESC LIMIT 1").rows()[0]
    info = vox.studio.engine().describe()
    assert (row["engine"], row["model"], row["device"]) == ("indextts", "indextts@2.5", "cpu x1")
    assert row["model_revision"] == info.model_revision
    assert sum(row["emotion_effective"]) == pytest.approx(0.8, abs=1e-5)
    # The model was loaded for this clip; that is not how long it takes to speak.
    assert row["load_us"] > 0
    assert row["first_us"] > row["load_us"]
    assert row["real_time_factor"] == pytest.approx(row["synthesis_us"] / row["duration_us"])
    times = ("queue_us", "load_us", "synthesis_us", "audio_us", "encode_us")
    assert row["elapsed_us"] == sum(row[name] for name in times)
    again = vox.studio.rerender(clip.id)
    assert (again.equal, again.determinism) == (True, "seeded")
    assert vox.speak(TEXT, voice="ann", emotion={"sad": 1.0, "calm": 0.8}, sampling=BRISK).id == clip.id
    other = vox.speak(TEXT, voice="ann", sampling=BRISK)
    assert other.sha256 != clip.sha256
    assert vox.catalog.record(other).load_us == 0


def test_each_paragraph_is_heard_when_it_is_there(vox: Ledger) -> None:
    with vox.studio.stream(TEXT, voice="ann", sampling=BRISK, seed=5) as stream:
        assert len(list(stream)) >= 3
    cues = [line for line in vox.studio.subtitles(stream.clip.id).splitlines() if "。" in line]
    assert cues == TEXT.split("\n\n")


def test_words_are_refused_in_one_sentence(vox: Ledger) -> None:
    with pytest.raises(NotSupported, match="not supported by the engine indextts"):
        vox.speak(TEXT, voice="ann", emotion_words="in tears")


def test_a_worker_that_fails_leaves_a_record_and_no_file(vox: Ledger, checkpoint: Path, tmp_path: Path) -> None:
    with _opened(tmp_path / "home", checkpoint, indextts_memory="150MB") as small:
        small.voices.add("ann", vox.home.path.parent / "ann.wav", own=True)
        with pytest.raises(EngineFailed, match="GB of memory"):
            small.speak(TEXT, voice="ann")
        row = small.catalog.sql("SELECT failure, stage, remedy FROM generations").rows()[0]
        assert row == {
            "failure": "engine_failed", "stage": "load",
            "remedy": "Raise indextts.memory, or give it shorter sentences.",
        }  # fmt: skip
        assert [path for path in small.home.cache.rglob("*") if path.is_file()] == []
