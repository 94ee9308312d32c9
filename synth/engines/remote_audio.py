"""Audio as a speech server sends it, decoded while it comes: bare PCM, or WAV whose header tells the rate.

PCM: "raw samples in 24kHz (16-bit signed, low-endian), without the header", one channel
(https://platform.openai.com/docs/guides/text-to-speech). WAV: Multimedia Programming Interface and Data Specifications
1.0 (IBM and Microsoft, 1991), and what streaming servers make of it: sizes of 0 or 0xFFFFFFFF mean "until it ends".
"""

from __future__ import annotations

import re
import struct
from typing import Final, Literal, Protocol

import numpy as np

from voxledger.synth.engines.base import Samples
from voxledger.synth.engines.remote_answer import broken

STAGE: Final = "audio"

_FORMAT_REMEDY = "Set remote.url to the speech endpoint itself, and remote.format to what it sends."
_UNKNOWN_SIZES = (0, 0xFFFFFFFF, 0x7FFFFFFF)
_LONGEST_HEADER = 65_536
_RATES = range(8_000, 192_001)
_WHOLE, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_BYTES = {(_WHOLE, 16): 2, (_WHOLE, 24): 3, (_WHOLE, 32): 4, (_FLOAT, 32): 4}


class Decoder(Protocol):
    """Bytes in, samples out. `rate` (Hz) is known as soon as there are samples."""

    rate: int

    def feed(self, data: bytes) -> Samples:
        """Mono float32 samples in [-1, 1] of what is complete so far, shape (n,). Raises EngineFailed."""

    def end(self) -> None:
        """Nothing more comes. Raises EngineFailed when something is missing."""


def decoder(asked: Literal["pcm", "wav"], content_type: str, rate: int) -> Decoder:
    """The decoder for an answer. Raises EngineFailed when its content type says that it is something else."""
    kind, _, parameters = content_type.lower().partition(";")
    kind = kind.strip()
    fitting = {
        "pcm": ("audio/pcm", "audio/x-pcm", "audio/raw", "audio/x-raw"),
        "wav": ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave"),
    }[asked]
    if kind and kind not in (*fitting, "application/octet-stream"):
        raise broken(
            f"the server answered with {kind[:60]} where {asked} was asked for", stage=STAGE, remedy=_FORMAT_REMEDY
        )
    if asked == "wav":
        return Wav()
    told = re.search(r"rate=(\d+)", parameters)
    return Pcm(int(told[1]) if told and int(told[1]) in _RATES else rate)


class Pcm:
    """Bare samples: 16 bits, little-endian, mono."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._rest = b""
        self._begun = False

    def feed(self, data: bytes) -> Samples:
        """Samples of what is complete so far. Raises EngineFailed for what is plainly no PCM."""
        data = self._rest + data
        if not self._begun and len(data) >= 4:
            self._begun = True
            _refuse_others(data)
        whole = len(data) - len(data) % 2 if self._begun else 0
        self._rest = data[whole:]
        return _samples(data[:whole], _WHOLE, 16, 1)

    def end(self) -> None:
        """Raises EngineFailed when half a sample is left, or less than two came."""
        if self._rest:
            raise broken("the server's audio ends in the middle of a sample", stage=STAGE)


def _refuse_others(data: bytes) -> None:
    """What begins like a file is one: as samples it would be a crack, and noise after it."""
    for mark, what in ((b"RIFF", "a WAV file"), (b"OggS", "Ogg"), (b"fLaC", "FLAC"), (b"ID3", "MP3")):
        if data.startswith(mark):
            hint = "; set remote.format = 'wav'" if mark == b"RIFF" else ""
            raise broken(
                f"the server answered with {what} where pcm was asked for{hint}", stage=STAGE, remedy=_FORMAT_REMEDY
            )
    if re.match(rb"\s*(<!doctype|<html|\{\s*\")", data[:64], re.IGNORECASE):
        raise broken("the server answered with a text where audio was asked for", stage=STAGE, remedy=_FORMAT_REMEDY)


class Wav:
    """A WAV file: samples of 16, 24 or 32 bits, several channels mixed to one."""

    def __init__(self) -> None:
        self.rate = 0
        self._rest = b""
        self._format: tuple[int, int, int] | None = None  # tag, bits, channels
        self._left: int | None = None  # bytes of audio that the header still promises; None = it does not say
        self._in_data = False

    def feed(self, data: bytes) -> Samples:
        """Samples of what is complete so far; none before the header is. Raises EngineFailed for what is no WAV."""
        self._rest += data
        if not self._in_data:
            self._read_header()
        if not self._in_data or self._format is None:
            return np.zeros(0, dtype=np.float32)
        tag, bits, channels = self._format
        frame = _BYTES[tag, bits] * channels
        usable = len(self._rest) if self._left is None else min(len(self._rest), self._left)
        usable -= usable % frame
        audio, self._rest = self._rest[:usable], self._rest[usable:]
        if self._left is not None:
            self._left -= usable
            if self._left < frame:  # whatever follows is no audio: titles, padding
                self._rest = b""
        return _samples(audio, tag, bits, channels)

    def end(self) -> None:
        """Raises EngineFailed when the header, or audio that it promised, is missing."""
        if not self._in_data:
            raise broken("the server's WAV ends within its header", stage=STAGE)
        if self._left:
            raise broken(f"the server's WAV ends {self._left:,} bytes too early", stage=STAGE)
        if self._left is None and self._rest:
            raise broken("the server's audio ends in the middle of a sample", stage=STAGE)

    def _read_header(self) -> None:
        start = self._rest[:12]
        if not (b"RIFF".startswith(start[:4]) if len(start) < 4 else start.startswith(b"RIFF")) or (
            len(start) == 12 and start[8:] != b"WAVE"
        ):
            raise broken("the server answered with something that is no WAV file", stage=STAGE)
        place = 12
        while len(self._rest) >= place + 8:
            name, size = struct.unpack_from("<4sI", self._rest, place)
            if name == b"data":
                self._begin(size, place + 8)
                return
            if place + 8 + size > _LONGEST_HEADER:
                break
            if len(self._rest) < place + 8 + size:
                return
            if name == b"fmt ":
                self._read_format(self._rest[place + 8 : place + 8 + size])
            place += 8 + size + size % 2
        if len(self._rest) > _LONGEST_HEADER or len(self._rest) >= place + 8:
            raise broken("the header of the server's WAV has no end", stage=STAGE)

    def _read_format(self, content: bytes) -> None:
        if len(content) < 16:
            raise broken("the header of the server's WAV is broken", stage=STAGE)
        tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", content)
        if tag == _EXTENSIBLE and len(content) >= 26:
            tag = struct.unpack_from("<H", content, 24)[0]
        if (tag, bits) not in _BYTES or not 1 <= channels <= 8 or rate not in _RATES:
            raise broken(
                f"the server's WAV has a format that is not read here: tag {tag}, {bits} bits, {channels} channels,"
                f" {rate} Hz",
                stage=STAGE,
            )
        self._format, self.rate = (tag, bits, channels), rate

    def _begin(self, size: int, place: int) -> None:
        if self._format is None:
            raise broken("the server's WAV does not say its format", stage=STAGE)
        self._in_data = True
        self._left = None if size in _UNKNOWN_SIZES else size
        self._rest = self._rest[place:]


def _samples(data: bytes, tag: int, bits: int, channels: int) -> Samples:
    if tag == _FLOAT:
        values = np.frombuffer(data, "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise broken("the server's audio holds numbers that are none", stage=STAGE)
        values = np.clip(values, -1.0, 1.0)
    elif bits == 24:
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        values = (padded.view("<i4")[:, 0] / np.float64(2**31)).astype(np.float32)
    else:
        values = (np.frombuffer(data, f"<i{bits // 8}") / np.float64(2 ** (bits - 1))).astype(np.float32)
    if channels > 1:
        values = values.reshape(-1, channels).mean(axis=1, dtype=np.float32)
    return values
