"""What tests of synthesis share: a HOME to speak in, its engine, its commands, and recordings of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

import voxledger
from tests.building import NOBODY
from tests.synth.watched import Use, Watched
from voxledger.cli import main
from voxledger.ledger import Ledger
from voxledger.synth import engines
from voxledger.synth.engines.base import SynthesisRequest
from voxledger.synth.engines.espeak import EspeakEngine

RATE = 22_050
Run = Callable[..., tuple[int, str, str]]
_TEXT = "The tide is turning, and the boats are going out. Nobody on the pier says a word about the weather."


@pytest.fixture
def vox(tmp_path: Path) -> Iterator[Ledger]:
    """The ledger of a fresh HOME, whose store is nowhere and whose actor is ann."""
    with voxledger.open(tmp_path / "home", store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as ledger:
        yield ledger


@pytest.fixture
def fresh(vox: Ledger) -> Iterator[Ledger]:
    """Another ledger of the same HOME, which has loaded no engine yet."""
    with voxledger.open(vox.home.path, store_endpoint=NOBODY, general_actor="ann", store_close_wait=0) as ledger:
        yield ledger


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Makes an engine the one that is loaded from now on, whatever its name."""

    def use(engine: Watched) -> Watched:
        monkeypatch.setattr(engines, "load", lambda name, settings: engine)
        return engine

    return use


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in a fresh HOME, 80 columns wide; gives its exit status and what it printed and complained of."""
    monkeypatch.setenv("VOXLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("VOXLEDGER_STORE_ENDPOINT", NOBODY)
    monkeypatch.setenv("VOXLEDGER_STORE_CLOSE_WAIT", "0")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        heard = capsys.readouterr()
        return int(ended.value.code or 0), heard.out, heard.err

    return run


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
