"""The ways audio can be written: names, endings, content types and the sample rates they hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from voxledger.synth.errors import UnsupportedFormat


@dataclass(frozen=True, kw_only=True)
class AudioFormat:
    """One way to write audio. `rates`: the sample rates (Hz) it can hold, ascending; empty means any.

    `fallback_rate` is what other rates become; None means the next higher one of `rates`, or else the highest.
    """

    name: str
    extension: str
    content_type: str
    lossy: bool
    rates: tuple[int, ...] = ()
    fallback_rate: int | None = None
    container: str = field(repr=False)
    codec: str = field(repr=False)

    def rate_for(self, sample_rate: int) -> int:
        """The rate a clip of `sample_rate` has in a file of this format."""
        if not self.rates or sample_rate in self.rates:
            return sample_rate
        return self.fallback_rate or next((rate for rate in self.rates if rate > sample_rate), self.rates[-1])


FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        audio_format.name: audio_format
        for audio_format in (
            AudioFormat(
                name="wav", extension="wav", content_type="audio/wav", lossy=False, container="WAV", codec="PCM_16"
            ),
            AudioFormat(
                name="flac", extension="flac", content_type="audio/flac", lossy=False, container="FLAC", codec="PCM_16"
            ),
            AudioFormat(
                name="opus",
                extension="opus",
                content_type="audio/ogg",  # RFC 7845, section 9
                lossy=True,
                rates=(8_000, 12_000, 16_000, 24_000, 48_000),
                fallback_rate=48_000,
                container="OGG",
                codec="OPUS",
            ),
            AudioFormat(
                name="mp3",
                extension="mp3",
                content_type="audio/mpeg",  # RFC 3003
                lossy=True,
                rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
                container="MP3",
                codec="MPEG_LAYER_III",
            ),
            AudioFormat(
                name="aac",
                extension="aac",
                content_type="audio/aac",
                lossy=True,
                rates=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
                container="ADTS",
                codec="AAC",
            ),
            AudioFormat(
                name="pcm",  # 16-bit little-endian samples and nothing else: only the record knows the rate
                extension="pcm",
                content_type="audio/pcm",
                lossy=False,
                container="RAW",
                codec="PCM_16",
            ),
        )
    }
)


def format_named(name: str) -> AudioFormat:
    """The format of this name, in any case. Raises UnsupportedFormat, which names the known ones."""
    if not isinstance(name, str):
        raise UnsupportedFormat(f"the audio format must be a string, not {name!r}: choose one of {', '.join(FORMATS)}")
    try:
        return FORMATS[name.lower()]
    except KeyError:
        raise UnsupportedFormat(f"there is no audio format {name!r}: choose one of {', '.join(FORMATS)}") from None
