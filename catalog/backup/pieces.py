"""Pieces: how a file is cut, and how a piece lies in the bucket.

A piece in the bucket is `VXB1`, one byte that says whether it is sealed, and the content behind one more byte that says
whether it is compressed; sealed from that byte on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import zstandard

from voxledger.catalog.backup.passphrase import Seal

_MAGIC = b"VXB1"
_PLAIN, _SEALED = b"\0", b"\1"
_RAW, _PACKED = b"\0", b"\1"
LARGEST = 8 << 20
"""Bytes of a piece of a file that never changes."""
PAGES = 1 << 20
"""Bytes of a piece of a database: it changes in pages that keep their places, so cuts at fixed places find most pieces again."""


def cut(path: Path, size: int) -> Iterator[bytes]:
    """A file in pieces of `size` bytes. An empty one has none."""
    with path.open("rb") as file:
        while piece := file.read(size):
            yield piece


def packed(content: bytes, seal: Seal, *, about: str) -> bytes:
    """As a piece lies in the bucket."""
    small = zstandard.ZstdCompressor(level=3).compress(content)
    inner = _PACKED + small if len(small) < len(content) else _RAW + content
    return _MAGIC + (_SEALED if seal.header else _PLAIN) + seal.close(inner, about=about)


def unpacked(stored: bytes, seal: Seal, *, about: str, most: int = 1 << 30) -> bytes:
    """The inverse of `packed`, at most `most` bytes. Raises ValueError that says what is wrong."""
    if not stored.startswith(_MAGIC) or len(stored) < 6:
        raise ValueError("it is no piece of a backup")
    sealed = stored[4:5] == _SEALED
    if sealed and seal.header is None:
        raise ValueError("it is encrypted, and there is no key")
    if not sealed and seal.header is not None:
        raise ValueError("it is not encrypted, and should be")
    inner = seal.open(stored[5:], about=about)
    if inner[:1] == _RAW:
        return inner[1:]
    if inner[:1] != _PACKED:
        raise ValueError("its content was altered")
    try:
        size = zstandard.frame_content_size(inner[1:])
        if not 0 <= size <= most:
            raise ValueError("its content is larger than a piece")
        return zstandard.ZstdDecompressor().decompress(inner[1:], max_output_size=max(size, 1))
    except zstandard.ZstdError as error:
        raise ValueError(f"its content was altered ({error})") from None
