"""Fixed serial numbers for Ogg files.

An Ogg stream carries a random serial number on every page (RFC 3533, section 6), so two encodings of the same samples
differ in every page header. Here it is replaced by a given one and the pages' checksums are computed anew.
"""

from __future__ import annotations

import zlib
from typing import BinaryIO

from voxledger.synth.errors import AudioFailed

_HEADER = 27
_SERIAL = slice(14, 18)
_CHECKSUM = slice(22, 26)
_SEGMENTS = 26
_LONGEST_PAGE = _HEADER + 255 + 255 * 255
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def with_serial(data: bytes, serial: int) -> bytes:
    """The same Ogg file with `serial` (32 bits) on every page. Raises AudioFailed if `data` is not whole Ogg pages."""
    out, position = bytearray(data), 0
    while position < len(out):
        end = _page_end(data, position)
        page = out[position:end]
        page[_SERIAL] = serial.to_bytes(4, "little")
        page[_CHECKSUM] = bytes(4)
        page[_CHECKSUM] = _checksum(page).to_bytes(4, "little")
        out[position:end] = page
        position = end
    return bytes(out)


def renumber(file: BinaryIO, serial: int) -> None:
    """Do the same to a file that is open for reading and writing, a page at a time."""
    position = 0
    while head := file.read(_LONGEST_PAGE):
        end = _page_end(head, 0, where=position)
        file.seek(position)
        file.write(with_serial(head[:end], serial))
        position += end
        file.seek(position)


def _page_end(data: bytes, start: int, *, where: int | None = None) -> int:
    table = start + _HEADER
    if data[start : start + 4] == b"OggS" and table <= len(data):
        segments = data[start + _SEGMENTS]
        end = table + segments + sum(data[table : table + segments])
        if end <= len(data):
            return end
    raise AudioFailed(f"the encoder returned a broken Ogg page at byte {start if where is None else where}")


def _checksum(page: bytearray) -> int:
    """The Ogg checksum, computed by zlib.

    Both are CRC-32 with the polynomial 0x04c11db7. Ogg's works from the highest bit on, starts at 0 and inverts
    nothing; zlib's works from the lowest and inverts before and after. So bits are reversed going in and coming out,
    and the two inversions undone.
    """
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")
