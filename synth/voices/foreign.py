"""Foreign audio: measured as clips are, but decoded in a child process, because nobody vouches for the file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from voxledger.synth.audio.long_measure import measure_raw
from voxledger.synth.audio.measure import AudioMeasures
from voxledger.synth.errors import RecordingRefused
from voxledger.synth.voices.decoding import measured
from voxledger.synth.voices.intake import MOST_BYTES


def measure_foreign(path: Path) -> AudioMeasures | None:
    """Measures of a sound file from anywhere, of its channels mixed into one; None for one that the decoder does not take.

    200 MB, ten minutes of sound and two channels at most (`voices.decoder`, `voices.intake`). The child process decodes,
    under limits on time and memory; what it decoded is measured here, a stretch at a time. Raises VoxledgerError without the
    extra `synth`.
    """
    if path.stat().st_size > MOST_BYTES:
        return None
    with tempfile.TemporaryDirectory(prefix="voxledger-") as name:
        folder = Path(name)
        shutil.copyfile(path, folder / "recording")
        try:
            found = measured(folder, path)
        except RecordingRefused:
            return None
        return measure_raw(folder / "mono.f32", found.rate)
