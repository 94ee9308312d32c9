"""Pictures of up to 256 colours as PNG (ISO/IEC 15948), and small letters to write on them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
"""Indices into a palette, shape (height, width), top row first."""
Colour = tuple[int, int, int]

GLYPH_WIDTH, GLYPH_HEIGHT = 6, 7
"""Pixels of a letter, the gap after it included."""
# Rows of five pixels, the leftmost one the highest bit.
_GLYPHS = {
    "0": (14, 17, 19, 21, 25, 17, 14), "1": (4, 12, 4, 4, 4, 4, 14), "2": (14, 17, 1, 2, 4, 8, 31),
    "3": (31, 2, 4, 2, 1, 17, 14), "4": (2, 6, 10, 18, 31, 2, 2), "5": (31, 16, 30, 1, 1, 17, 14),
    "6": (6, 8, 16, 30, 17, 17, 14), "7": (31, 1, 2, 4, 8, 8, 8), "8": (14, 17, 17, 14, 17, 17, 14),
    "9": (14, 17, 17, 15, 1, 2, 12), ".": (0, 0, 0, 0, 0, 12, 12), "-": (0, 0, 0, 31, 0, 0, 0),
    "s": (0, 0, 14, 16, 14, 1, 30), "k": (16, 16, 18, 20, 24, 20, 18), "H": (17, 17, 17, 31, 17, 17, 17),
    "z": (0, 0, 31, 2, 4, 8, 31), "d": (1, 1, 13, 19, 17, 19, 13), "B": (30, 17, 17, 30, 17, 17, 30),
    " ": (0, 0, 0, 0, 0, 0, 0),
}  # fmt: skip


def encode_png(picture: Picture, palette: Sequence[Colour]) -> bytes:
    """A picture as a PNG file; equal pictures give equal bytes with the same zlib."""
    height, width = picture.shape
    rows = np.zeros((height, width + 1), dtype=np.uint8)  # each row begins with its filter: none
    rows[:, 1:] = picture
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(value for colour in palette for value in colour)),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )


def write_on(picture: Picture, words: str, *, left: int, top: int, colour: int) -> None:
    """Write on a picture, in place; what falls off its edges is left out. Digits, units, point and minus only."""
    for place, letter in enumerate(words):
        rows = np.array(_GLYPHS[letter], dtype=np.uint8)
        glyph = np.unpackbits(rows[:, None], axis=1)[:, 3:].astype(bool)
        for row, column in np.argwhere(glyph):
            y, x = top + row, left + place * GLYPH_WIDTH + column
            if 0 <= y < picture.shape[0] and 0 <= x < picture.shape[1]:
                picture[y, x] = colour


def text_width(words: str) -> int:
    """Pixels that words take."""
    return len(words) * GLYPH_WIDTH - 1


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
