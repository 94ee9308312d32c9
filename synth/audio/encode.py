"""Audio files as bytes, equal for equal samples: WAV, FLAC, Ogg Opus and MP3 through libsndfile, AAC through FFmpeg, raw PCM."""

from __future__ import annotations

import os
import tempfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import torch

from voxledger.synth.audio.adts import AdtsFile
from voxledger.synth.audio.ogg import with_serial
from voxledger.synth.audio.resample import HIGHEST_RATE, resample
from voxledger.synth.errors import AudioFailed
from voxledger.synth.formats import AudioFormat, format_named


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """One file. `frames` counts samples per channel at `sample_rate`: the rate in the file, forced by some formats."""

    data: bytes = field(repr=False)
    format: AudioFormat
    sample_rate: int
    frames: int
    channels: int = 1

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.data)

    @property
    def duration_us(self) -> int:
        """Length in microseconds, rounded from whole frames."""
        return duration_us(self.frames, self.sample_rate)


def duration_us(frames: int, sample_rate: int) -> int:
    """Length in microseconds, rounded from whole frames."""
    return (frames * 2_000_000 + sample_rate) // (2 * sample_rate)


def encode(samples: npt.NDArray[np.floating], sample_rate: int, format_name: str) -> Encoded:
    """Encode mono samples of shape (n,), full scale = 1, rounded to 16 bits (no dither, see `to_pcm16_grid`).

    Samples beyond full scale saturate. A rate the format cannot hold is converted first: `rate_for` tells which one it
    becomes, and a clip made at that rate to begin with keeps its true peak (lossy formats may add some tenths of a
    decibel in any case). Equal input gives equal bytes with the same libsndfile: no time stamps, and a serial number
    for Ogg that follows from the samples. Raises UnsupportedFormat for the name, AudioFailed for everything else.
    """
    audio_format = format_named(format_name)
    if samples.ndim != 1 or samples.size == 0 or not np.isfinite(samples).all():
        raise AudioFailed(
            f"a file holds mono samples of shape (n,), n > 0, all of them finite; these have shape {samples.shape}"
        )
    if not 1 <= sample_rate <= HIGHEST_RATE:
        raise AudioFailed(f"a sample rate of {sample_rate} Hz cannot be encoded")
    rate = audio_format.rate_for(sample_rate)
    converted = samples
    if rate != sample_rate:
        converted = resample(torch.from_numpy(samples.astype(np.float64)), sample_rate, rate).numpy()
    pcm = np.clip(np.round(converted.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)
    data = _written(pcm, rate, audio_format)
    if audio_format.container == "OGG":
        data = with_serial(data, zlib.crc32(pcm.tobytes()))
    return Encoded(data=data, format=audio_format, sample_rate=rate, frames=len(pcm))


def opened(target: Path | BinaryIO, sample_rate: int, audio_format: AudioFormat) -> soundfile.SoundFile | AdtsFile:
    """A mono file to write int16 samples of shape (n,) to. Raises AudioFailed for what libsndfile cannot write."""
    if audio_format.container == "ADTS":
        return AdtsFile(target, sample_rate)
    try:
        return soundfile.SoundFile(
            str(target) if isinstance(target, Path) else target.fileno(),
            "w",
            sample_rate,
            1,
            format=audio_format.container,
            subtype=audio_format.codec,
            endian="LITTLE" if audio_format.container == "RAW" else None,
            closefd=isinstance(target, Path),
        )
    except (soundfile.SoundFileError, ValueError) as error:
        raise AudioFailed(
            f"libsndfile cannot write {audio_format.name} at {sample_rate} Hz ({error}): "
            "the wheels of soundfile 0.13 and later can"
        ) from error


def _written(pcm: npt.NDArray[np.int16], sample_rate: int, audio_format: AudioFormat) -> bytes:
    if audio_format.container == "RAW":
        return pcm.astype("<i2").tobytes()
    with _scratch() as file:
        with opened(file, sample_rate, audio_format) as sink:
            try:
                sink.write(pcm)
            except soundfile.SoundFileError as error:
                raise AudioFailed(f"libsndfile stopped writing {audio_format.name} ({error})") from error
        file.seek(0)
        return file.read()


def _scratch() -> BinaryIO:
    """A file without a name, in memory where the system has such files.

    To a file libsndfile writes by itself. For every frame that it hands to Python it would need the interpreter, and where
    another thread is busy it waits 5 ms for it each time: five seconds of speech took 0.4 s instead of 0.03 beside one.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("voxledger-audio"), "w+b")
    return tempfile.TemporaryFile()
