"""Foreign audio: measured as clips are, but decoded in a child process, because nobody vouches for the file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from voxledger.synth.audio.measure import AudioMeasures, measure
from voxledger.synth.errors import RecordingRefused
from voxledger.synth.voices.decoding import measured


def measure_foreign(path: Path) -> AudioMeasures | None:
    """Measures of a sound file from anywhere, of its channels mixed into one; None for one that the decoder does not take.

    Ten minutes of sound at most, two channels at most (`voices.decoder`). Raises VoxledgerError without the extra `synth`.
    """
    import torch

    with tempfile.TemporaryDirectory(prefix="voxledger-") as name:
        folder = Path(name)
        shutil.copyfile(path, folder / "recording")
        try:
            found = measured(folder, path)
        except RecordingRefused:
            return None
        samples = np.fromfile(folder / "mono.f32", dtype=np.float32)
    return measure(torch.from_numpy(samples), found.rate)
