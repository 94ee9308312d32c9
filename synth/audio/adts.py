"""AAC files (ADTS, ISO/IEC 13818-7): FFmpeg's encoder and decoder through PyAV, since libsndfile knows neither.

The bytes are equal for equal samples and the same FFmpeg. An ADTS file has no place that tells of the encoder's delay and of what
fills its last frame: players hear `DELAY` samples of silence first, and up to a frame at the end. `decoded` leaves the delay out.
"""

from __future__ import annotations

import tempfile
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import IO, Any, BinaryIO

import av
import numpy as np
import numpy.typing as npt
import soundfile
from av.error import FFmpegError

from voxledger.synth.audio.live import live
from voxledger.synth.errors import AudioFailed

DELAY = 1024
"""Samples by which FFmpeg's encoder is late, and samples of one frame."""
_IN_MEMORY = 16 << 20


class AdtsFile:
    """A mono file to write int16 or float samples of shape (n,) to, like the sound files of `opened`."""

    def __init__(self, target: Path | BinaryIO, sample_rate: int) -> None:
        self._encoder = live("aac", sample_rate)
        self._owns = isinstance(target, Path)
        self._file = target.open("wb") if isinstance(target, Path) else target
        self._closed = False

    def __enter__(self) -> AdtsFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, samples: npt.NDArray[Any]) -> None:
        """Add samples. Raises AudioFailed, and OSError of the file."""
        if samples.dtype == np.int16:
            samples = samples.astype(np.float32) / 32768
        self._file.write(self._encoder.feed(samples))

    def close(self) -> None:
        """Write the rest. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            self._file.write(self._encoder.end())
        finally:
            self._encoder.close()
            if self._owns:
                self._file.close()


def decoded(source: Path | BytesIO) -> soundfile.SoundFile:
    """The samples of an AAC file, to be read like those of any other. Raises AudioFailed for what is none."""
    # Decoded as a whole, on the disk beyond a few minutes, for an ADTS file has no index to find a place by.
    plain = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115  # lives as long as what is returned
    rate, skip = 0, DELAY
    try:
        with av.open(source if isinstance(source, BytesIO) else str(source), mode="r", format="aac") as container:
            as_floats = av.AudioResampler(format="flt", layout="mono")
            for frame in container.decode(audio=0):
                rate = frame.sample_rate
                for samples in (one.to_ndarray()[0] for one in as_floats.resample(frame)):
                    plain.write(samples[skip:].astype("<f4").tobytes())
                    skip = max(0, skip - len(samples))
    except (FFmpegError, IndexError, ValueError) as error:
        plain.close()
        raise AudioFailed(f"{source} cannot be read as audio: {error}") from error
    if not rate:
        plain.close()
        raise AudioFailed(f"{source} cannot be read as audio: it holds no sound")
    plain.seek(0)
    return _Decoded(plain, rate)


class _Decoded(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Float samples in a file that goes away with this."""

    def __init__(self, plain: IO[bytes], sample_rate: int) -> None:
        self._plain = plain
        super().__init__(plain, samplerate=sample_rate, channels=1, format="RAW", subtype="FLOAT", endian="LITTLE")

    def close(self) -> None:
        super().close()
        self._plain.close()
