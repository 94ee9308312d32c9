"""What tests of engines share: recordings, a tiny checkpoint of IndexTTS-2.5, and the engine that speaks with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from tests import forking
from tests.synth.engines import checkpoint as builder
from voxledger.catalog import settings
from voxledger.catalog.platform import locked
from voxledger.synth.engines import worker
from voxledger.synth.engines.indextts import IndexTtsEngine

RATE = 22_050
BRISK = {"num_beams": 1.0, "diffusion_steps": 2.0}
"""Sampling with which the tiny checkpoint speaks a segment in a twentieth of a second."""

needs_package = pytest.mark.skipif(
    find_spec("indextts25") is None, reason="the extra is not installed: pip install 'voxledger[indextts]'"
)
Make = Callable[..., IndexTtsEngine]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two voices: syllables of a hum at 150 and at 400 Hz, for a second."""
    folder = tmp_path_factory.mktemp("recordings")
    when = np.arange(RATE) / RATE
    made = []
    for place, pitch in enumerate((150, 400)):
        hum = 0.3 * np.sin(2 * np.pi * pitch * when) * (np.sin(2 * np.pi * 3 * when) > 0)
        breath = 0.02 * np.random.default_rng(place).standard_normal(len(when))
        made.append(folder / f"{pitch}.wav")
        soundfile.write(made[-1], (hum + breath).astype(np.float32), RATE)
    return made[0], made[1]


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint; built once, whichever process of the test run asks first. Nobody may change it."""
    if find_spec("indextts25") is None:
        pytest.skip("the extra is not installed: pip install 'voxledger[indextts]'")
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, finished = shared / "indextts", shared / "indextts.finished"
    with locked(shared / "indextts.lock"):
        if not finished.exists():
            forking.run([builder.__file__, folder], kind="indextts").check_returncode()
            finished.touch()
    return folder


@pytest.fixture(scope="module")
def forked_workers() -> Iterator[None]:
    """Workers of this Python, with no modules of their own, are forked: to import what they need takes seconds of CPU each time.

    Those of another Python, or with a PYTHONPATH of their own, are started as ever.
    """
    modules = os.environ.get("PYTHONPATH")

    def start(words: Sequence[str], *, bufsize: int, **options: Any) -> forking.Process | subprocess.Popen[bytes]:
        if words[0] != sys.executable or options["env"].get("PYTHONPATH") != modules:
            return subprocess.Popen(words, bufsize=bufsize, **options)
        return forking.spawn(words[1:], kind="indextts", binary=True, **options)

    known = SimpleNamespace(Popen=start, PIPE=subprocess.PIPE, TimeoutExpired=subprocess.TimeoutExpired)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "subprocess", known)
        yield


@pytest.fixture
def make_indextts(checkpoint: Path, tmp_path: Path) -> Iterator[Make]:
    """Makes engines of their own, in a HOME of their own, and closes them."""
    made: list[IndexTtsEngine] = []

    def make(**changes: Any) -> IndexTtsEngine:
        made.append(IndexTtsEngine(indextts_settings(tmp_path, checkpoint, **changes)))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def indextts(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[IndexTtsEngine]:
    """An engine that many tests share, with its one worker."""
    engine = IndexTtsEngine(indextts_settings(tmp_path_factory.mktemp("home"), checkpoint))
    yield engine
    engine.close()


def indextts_settings(home: Path, folder: Path, **changes: Any) -> settings.Settings:
    """Settings of a HOME whose engine indextts speaks with the checkpoint in `folder`, on one thread of the CPU."""
    known: dict[str, Any] = {"model_dir": str(folder), "devices": "cpu", "threads": 1, **changes}
    overrides = {f"indextts.{name}": value for name, value in known.items()}
    return settings.load(home, overrides=overrides, environ={}).settings
