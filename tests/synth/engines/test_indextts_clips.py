"""Clips that IndexTTS makes with a model from the store, in a Python that the settings name, through the public door: recorded with
what it takes to make them again.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile

import voxledger
from tests.building import NOBODY
from tests.s3 import S3Server
from tests.synth.engines.conftest import BRISK
from voxledger.ledger import Ledger
from voxledger.synth import EngineFailed, NotSupported
from voxledger.synth.engines import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine

MODEL = "indextts@2.5"
TEXT = "潮水正在转向。\n\n船要出去了。\n\n码头上没有人说话。"
SPOKEN = "The tide is turning, and the boats are going out. Nobody on the pier says a word about the weather."


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording."""
    path = tmp_path_factory.mktemp("clips") / "ann.wav"
    engine = EspeakEngine()
    (said,) = engine.synthesize(SynthesisRequest(text=SPOKEN.replace(".", ","), language="en"))
    engine.close()
    soundfile.write(path, 0.5 * said.samples, said.sample_rate)
    return path


@pytest.fixture(scope="module")
def vox(checkpoint: Path, rclone_store: S3Server, ann: Path) -> Iterator[Ledger]:
    """A HOME with a registered voice, whose engine is to speak with the tiny checkpoint: another HOME has pushed it."""
    known = {
        "store_endpoint": rclone_store.url, "store_access_key": rclone_store.access_key,
        "store_secret_key": rclone_store.secret_key, "store_models": f"test-{secrets.token_hex(6)}",
        "store_close_wait": 0, "general_min_free_disk": 0,
    }  # fmt: skip
    with voxledger.open(ann.parent / "pusher", **known) as pusher:
        pusher.models.push(checkpoint, MODEL)
    with _opened(ann.parent / "home", indextts_model=MODEL, **known) as ledger:
        ledger.voices.add("ann", ann, own=True)
        yield ledger


def _opened(home: Path, **more: object) -> Ledger:
    return voxledger.open(
        home, general_actor="ann", synth_engine="indextts", indextts_threads=1, indextts_devices="cpu",
        indextts_python=sys.executable, **more,
    )  # fmt: skip


def test_a_clip_is_recorded_with_what_it_takes_to_make_it_again(vox: Ledger) -> None:
    assert vox.models.path(MODEL) is None
    clip = vox.speak(TEXT, voice="ann", emotion={"sad": 1.0, "calm": 0.8}, sampling=BRISK)
    assert vox.models.path(MODEL) is not None
    row = vox.catalog.sql("SELECT * FROM generations ORDER BY time DESC LIMIT 1").rows()[0]
    info = vox.studio.engine().describe()
    assert (row["engine"], row["model"], row["device"]) == ("indextts", MODEL, "cpu x1")
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


def test_a_worker_that_fails_leaves_a_record_and_no_file(ann: Path, checkpoint: Path, tmp_path: Path) -> None:
    with _opened(
        tmp_path / "home",
        store_endpoint=NOBODY,
        store_close_wait=0,
        indextts_model_dir=str(checkpoint),
        indextts_memory="150MB",
    ) as small:
        small.voices.add("ann", ann, own=True)
        with pytest.raises(EngineFailed, match="GB of memory"):
            small.speak(TEXT, voice="ann")
        row = small.catalog.sql("SELECT failure, stage, remedy FROM generations").rows()[0]
        assert row == {
            "failure": "engine_failed", "stage": "load",
            "remedy": "Raise indextts.memory, or give it shorter sentences.",
        }  # fmt: skip
        assert [path for path in small.home.cache.rglob("*") if path.is_file()] == []
