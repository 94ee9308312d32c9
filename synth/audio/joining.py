"""Joining: many clips and the silences after them become one file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import torch

from voxledger.catalog import platform
from voxledger.catalog.errors import HomeError
from voxledger.synth.audio import reading, resample
from voxledger.synth.audio.adts import AdtsFile
from voxledger.synth.audio.encode import opened
from voxledger.synth.errors import AudioFailed, UnsupportedFormat
from voxledger.synth.formats import format_named

_BLOCK = 1 << 16


def format_of(path: Path) -> str:
    """The audio format that a file's ending names. Raises UnsupportedFormat."""
    ending = path.suffix.lower().lstrip(".")
    if not ending:
        raise UnsupportedFormat(f"{path} needs an ending that says its format, such as .wav or .opus")
    return format_named("opus" if ending == "ogg" else ending).name


class Part(NamedTuple):
    """An audio file and the seconds of silence after it. `sample_rate` (Hz): needed for raw PCM, which does not say it."""

    path: Path
    silence: float
    sample_rate: int | None = None


def join(parts: Iterable[Part | tuple[Path, float]], target: Path) -> float:
    """Write the audio files one after the other, each with so many seconds of silence after it; gives the length (s).

    Mono at the first file's sample rate, in flat memory. The target is complete or not there.
    Raises UnsupportedFormat, AudioFailed when there is nothing to join, HomeError when the target cannot be written.
    """
    audio_format = format_named(format_of(target))
    part = target.with_name(f".{target.name}.part")
    frames, rate = 0, 0
    sink: soundfile.SoundFile | AdtsFile | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for path, silence, known in (Part(*each) for each in parts):
            with reading(path, sample_rate=known) as source:
                if sink is None:
                    rate = audio_format.rate_for(source.samplerate)
                    sink = opened(part, rate, audio_format)
                if source.samplerate == rate:
                    blocks: Iterable[np.ndarray] = source.blocks(_BLOCK, dtype="float32", always_2d=False)
                else:
                    whole = torch.from_numpy(source.read(dtype="float32"))
                    blocks = [resample(whole, source.samplerate, rate).numpy().astype(np.float32)]
                for block in blocks:
                    sink.write(block)
                    frames += len(block)
            quiet = round(silence * rate)
            sink.write(np.zeros(quiet, dtype=np.float32))
            frames += quiet
        if sink is None:
            raise AudioFailed("there is nothing to join: no line of the manifest has a clip")
        sink.close()
        with part.open("rb+") as file:
            platform.fsync_file(file)
        part.replace(target)
    except (OSError, soundfile.SoundFileError) as error:
        raise HomeError(f"{target} could not be written: {error}") from error
    finally:
        if sink is not None:
            sink.close()
        part.unlink(missing_ok=True)
    return frames / rate
