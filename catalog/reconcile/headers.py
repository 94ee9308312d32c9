"""Headers: what a sound file says of itself, without decoding a sample.

Files come from anywhere, so every number is bounded and nothing is read but headers and a file's last pages. Sources: RIFF
WAVE and RF64 (EBU Tech 3306), FLAC (RFC 9639), Ogg (RFC 3533) with Opus (RFC 7845) or Vorbis I, MPEG audio layer III with
the Xing header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".opus", ".oga", ".mp3"})
"""Endings of the files that are looked at."""
_MOST_CHUNKS = 1000
_TAIL = 65_536 + 8192
"""An Ogg page has at most 65,307 bytes."""
_LONGEST_US = 7 * 86_400_000_000
_LAYER_3 = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
"""Kilobits a second: MPEG 1, and MPEG 2 and 2.5."""
_MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_ENCODERS = (b"LAM", b"Lav")
"""LAME and libavformat, who write their delay and padding into the first frame."""
_OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


class Unreadable(Exception):
    """A file is no sound file of a kind that is taken; the message says why in a few words."""


class Sound(NamedTuple):
    """What a header says. `format` is one of wav, flac, opus, ogg and mp3."""

    format: str
    sample_rate: int
    channels: int
    duration_us: int


def read_header(path: Path) -> Sound:
    """What a file says of itself. Raises Unreadable, and OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if len(start) < 12:
            raise Unreadable("it is empty" if not start else "it is too short to be sound")
        reader = _reader(start)
        file.seek(0)
        try:
            found = reader(file, size)
        except (struct.error, IndexError, ZeroDivisionError, ValueError) as error:
            raise Unreadable("its header is damaged") from error
    if not (1 <= found.channels <= 64 and 1000 <= found.sample_rate <= 1_000_000):
        raise Unreadable("its header says what cannot be")
    if not 0 < found.duration_us <= _LONGEST_US:
        raise Unreadable("it holds no sound, or does not say how long it is")
    return found


def _reader(start: bytes) -> Callable[[BinaryIO, int], Sound]:
    if start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE":
        return _wav
    if start[:4] == b"fLaC":
        return _flac
    if start[:4] == b"OggS":
        return _ogg
    if start[:3] == b"ID3" or (start[0] == 0xFF and start[1] & 0xE0 == 0xE0):
        return _mp3
    raise Unreadable("it is no WAV, FLAC, Ogg or MP3")


def _wav(file: BinaryIO, size: int) -> Sound:
    file.seek(12)
    large: int | None = None
    rate = channels = block = 0
    for _ in range(_MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            break
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if name == b"ds64":
            large = struct.unpack("<Q", file.read(length)[8:16])[0]
        elif name == b"fmt ":
            _, channels, rate, _, block = struct.unpack("<HHIIH", file.read(length)[:14])
        elif name == b"data":
            rest = size - file.tell()
            # Written into a pipe, or longer than 4 GB: the header cannot know.
            told = large if length == 0xFFFFFFFF and large is not None else length
            frames = min(told, rest) // block
            return Sound("wav", rate, channels, _us(frames, rate))
        else:
            file.seek(length, 1)
        if length % 2:
            file.seek(1, 1)
    raise Unreadable("it is a WAV without sound")


def _flac(file: BinaryIO, _size: int) -> Sound:
    stream = file.read(42)
    packed = int.from_bytes(stream[18:26], "big")
    rate, channels, frames = packed >> 44, (packed >> 41 & 7) + 1, packed & (1 << 36) - 1
    return Sound("flac", rate, channels, _us(frames, rate))


def _ogg(file: BinaryIO, size: int) -> Sound:
    first = file.read(4096)
    packet = first[27 + first[26] :]
    file.seek(max(0, size - _TAIL))
    tail = file.read(_TAIL)
    last = tail.rfind(b"OggS")
    granule = struct.unpack_from("<q", tail, last + 6)[0] if last >= 0 else 0
    if packet.startswith(b"OpusHead"):
        channels, skipped, rate = struct.unpack_from("<BHI", packet, 9)
        return Sound("opus", rate if rate in _OPUS_RATES else 48_000, channels, _us(granule - skipped, 48_000))
    if packet.startswith(b"\x01vorbis"):
        channels, rate = struct.unpack_from("<BI", packet, 11)
        return Sound("ogg", rate, channels, _us(granule, rate))
    raise Unreadable("it is an Ogg file of neither Opus nor Vorbis")


def _mp3(file: BinaryIO, size: int) -> Sound:
    start = 0
    head = file.read(10)
    if head[:3] == b"ID3":
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)
    file.seek(start)
    window = file.read(65_536)
    for at in range(len(window) - 4):
        frame = _frame(window[at : at + 4])
        if frame is None:
            continue
        following = window[at + frame.length : at + frame.length + 4]
        # Four bytes that look like a frame are found in anything; two in a row are one.
        if following and _frame(following) is None:
            continue
        told, padding = _told(window[at : at + frame.length])
        frames = told or (size - start - at) // frame.length
        return Sound("mp3", frame.rate, frame.channels, _us(frames * frame.samples - padding, frame.rate))
    raise Unreadable("it is no MP3 that can be read")


class _Frame(NamedTuple):
    rate: int
    channels: int
    samples: int
    length: int


def _frame(head: bytes) -> _Frame | None:
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bits, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer != 1 or bits in (0, 15) or rate == 3:
        return None
    hertz, first = _MP3_RATES[version][rate], version == 3
    kilobits = _LAYER_3[0 if first else 1][bits]
    samples = 1152 if first else 576
    return _Frame(hertz, 1 if head[3] >> 6 == 3 else 2, samples, samples // 8 * kilobits * 1000 // hertz + padding)


def _told(frame: bytes) -> tuple[int, int]:
    """What the first frame says of a file: its frames (0 = it does not), and the samples that are only the encoder's."""
    for name in (b"Xing", b"Info"):
        at = frame.find(name, 4, 64)
        if at >= 0 and int.from_bytes(frame[at + 4 : at + 8], "big") & 1:
            edges = int.from_bytes(frame[at + 141 : at + 144], "big") if frame[at + 120 : at + 123] in _ENCODERS else 0
            return int.from_bytes(frame[at + 8 : at + 12], "big"), (edges >> 12) + (edges & 0xFFF)
    at = frame.find(b"VBRI", 4, 64)
    return (int.from_bytes(frame[at + 14 : at + 18], "big") if at >= 0 else 0), 0


def _us(frames: int, rate: int) -> int:
    return max(0, frames) * 1_000_000 // rate
