"""A recording of speech, made once, and a HOME to register it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import voxledger
from tests.building import NOBODY
from voxledger.ledger import Ledger
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine

RATE = 22_050
_TEXT = "The tide is turning, and the boats are going out. Nobody on the pier says a word about the weather."


@pytest.fixture(scope="session")
def voice() -> npt.NDArray[np.float32]:
    """Somebody speaks for about six seconds; mono samples at RATE."""
    engine = EspeakEngine()
    try:
        said = [segment.samples for segment in engine.synthesize(SynthesisRequest(text=_TEXT, language="en"))]
    finally:
        engine.close()
    return 0.5 * np.concatenate(said)


@pytest.fixture(scope="session")
def speech(voice: npt.NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a WAV file. Nobody may change it."""
    path = tmp_path_factory.mktemp("speech") / "reference.wav"
    soundfile.write(path, voice, RATE)
    return path


@pytest.fixture
def another(voice: npt.NDArray[np.float32], tmp_path: Path) -> Path:
    """Another recording."""
    path = tmp_path / "another.wav"
    soundfile.write(path, 0.7 * voice, RATE)
    return path


@pytest.fixture
def vox(tmp_path: Path) -> Iterator[Ledger]:
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as ledger:
        yield ledger
