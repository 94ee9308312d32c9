"""The array: splits one JSON array into its elements while it is read, so that memory depends on the longest of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from voxledger.synth.errors import ManifestError

LONGEST = 2_000_000
"""Bytes of a line: twelve for each character of the longest text, and room for everything else."""
_PIECE = 1 << 16
_BLANK = b" \t\r\n"
_BETWEEN = re.compile(rb'"[^"\\]*"|[\[\]{},"]')
_WITHIN = re.compile(rb'"[^"\\]*"|[\[\]{}"]')
_QUOTED = re.compile(rb'\\.|["\\]', re.DOTALL)


def elements(file: BinaryIO) -> Iterator[bytes]:
    """The elements as they stand there, each of them valid JSON. Raises ManifestError, which never quotes the content."""
    for number, found in enumerate(_split(file), 1):
        try:
            yield bytes(msgspec.json.decode(found, type=msgspec.Raw)).strip(_BLANK)
        except msgspec.MsgspecError as error:  # which never quotes the content
            raise ManifestError(f"element {number} of the array is not JSON: {error}", line=number) from None
        except RecursionError:
            raise ManifestError(f"element {number} of the array is nested too deeply", line=number) from None


def _split(file: BinaryIO) -> Iterator[bytes]:
    """What stands between the commas of the outermost array; whether it is JSON is not looked at."""
    depth, quoted, number = 0, False, 0
    held = bytearray()
    piece = _begun(file)
    while piece:
        start, place, rest = 0, 0, b""
        while found := (_QUOTED if quoted else _WITHIN if depth > 1 else _BETWEEN).search(piece, place):
            token, place = found[0], found.end()
            if quoted:
                quoted = token != b'"'
                if token == b"\\":  # the last byte of the piece: what it escapes comes with the next one
                    rest = token
            elif token == b'"':
                quoted = True
            elif token in b"[{":
                depth += 1
                start = place if depth == 1 else start
            elif token in b"]}":
                depth -= 1
                if depth == 0:
                    held += piece[start : found.start()]
                    if number or held.strip(_BLANK):
                        yield bytes(held)
                    _require_end(file, piece[place:])
                    return
            elif token == b",":
                number += 1
                yield bytes(held) + piece[start : found.start()]
                held.clear()
                start = place
        held += piece[start : len(piece) - len(rest)]
        if len(held) > LONGEST:
            raise ManifestError(f"element {number + 1} of the array has more than {LONGEST:,} bytes", line=number + 1)
        piece = file.read(_PIECE)
        piece = rest + piece if piece else piece
    raise ManifestError("the body is not a JSON array of objects: it ends before the array does")


def _begun(file: BinaryIO) -> bytes:
    """The first piece that holds more than blanks, which begins with the array."""
    piece = file.read(_PIECE).removeprefix(b"\xef\xbb\xbf")
    while piece and not (piece := piece.lstrip(_BLANK)):
        piece = file.read(_PIECE)
    if not piece.startswith(b"["):
        raise ManifestError("the body is not a JSON array of objects")
    return piece


def _require_end(file: BinaryIO, rest: bytes) -> None:
    while not rest.strip(_BLANK):
        rest = file.read(_PIECE)
        if not rest:
            return
    raise ManifestError("the body is not a JSON array of objects: something follows the array")
