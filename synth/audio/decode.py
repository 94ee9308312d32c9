"""Audio files, opened for reading."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import soundfile

from voxledger.synth.audio.adts import decoded
from voxledger.synth.errors import AudioFailed
from voxledger.synth.formats import FORMATS


def reading(
    source: Path | BytesIO, *, format_name: str | None = None, sample_rate: int | None = None
) -> soundfile.SoundFile:
    """A file to read samples from. `format_name`: what it is, else its ending says so.

    Raw PCM says nothing about itself: `sample_rate` (Hz) is then that of the record; other formats know their own.
    Raises AudioFailed for raw PCM without a rate and for what libsndfile cannot read.
    """
    name = format_name or (source.suffix.lstrip(".") if isinstance(source, Path) else "")
    file = source if isinstance(source, BytesIO) else str(source)
    if name.lower() == FORMATS["aac"].name:
        return decoded(source)
    try:
        if FORMATS["pcm"].name != name.lower():
            return soundfile.SoundFile(file)
        if sample_rate is None:
            raise AudioFailed(f"{source} is raw PCM, which does not say its sample rate: give the one on record")
        return soundfile.SoundFile(
            file, samplerate=sample_rate, channels=1, format="RAW", subtype=FORMATS["pcm"].codec, endian="LITTLE"
        )
    except soundfile.SoundFileError as error:
        raise AudioFailed(f"{source} cannot be read as audio: {error}") from error
