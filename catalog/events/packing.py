"""Packing: the personal JSON of an event made small before it is sealed, because sealed bytes no longer compress.

A packed part is a zstd frame against a dictionary of the field names and words that such JSON is made of. JSON itself
begins with a brace and a frame never does, so both can be told apart, and parts that were sealed unpacked stay readable.
"""

from __future__ import annotations

import threading

import zstandard

_WORDS = (
    b'{"reason":null}{"label":""}{"tag":""}{"actor_label":"","key":"cache/","bucket":"indextts-audio"}'
    b" and the of to in is it you that was for on are with as his they be at one have this from by not but what all were when"
    b'.wav","text":null,"voice_name":null,"tags":[]}.flac","text":".mp3","text":".opus","text":"'
    b'{"actor_label":"default","session":"default","name":"en-happy","key":"default/default/default-019'
    b'.","voice_name":null,"tags":[]}'
)
"""Never changed: a new one gets another number, and this one stays for what was packed with it."""
_DICTIONARY = zstandard.ZstdCompressionDict(_WORDS, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_PARAMETERS = zstandard.ZstdCompressionParameters.from_level(
    3, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_content_size=1, write_checksum=0, write_dict_id=0
)
_MARK = b"\x01"
"""Dictionary number 1."""
_LARGEST = 16_384
"""Longer JSON stays as it is: whoever bounds memory by the size of sealed bytes must not be surprised by what is in them."""
_local = threading.local()


def packed(personal: bytes) -> bytes:
    """The JSON, packed when that makes it smaller."""
    if len(personal) > _LARGEST:
        return personal
    try:
        compressor = _local.compressor
    except AttributeError:
        compressor = _local.compressor = zstandard.ZstdCompressor(dict_data=_DICTIONARY, compression_params=_PARAMETERS)
    small: bytes = _MARK + compressor.compress(personal)
    return small if len(small) < len(personal) else personal


def unpacked(personal: bytes) -> bytes:
    """The inverse of `packed`. Raises ValueError for what is neither."""
    if not personal.startswith(_MARK):
        return personal
    try:
        decompressor = _local.decompressor
    except AttributeError:
        decompressor = _local.decompressor = zstandard.ZstdDecompressor(
            dict_data=_DICTIONARY, format=zstandard.FORMAT_ZSTD1_MAGICLESS, max_window_size=1 << 20
        )
    try:
        found: bytes = decompressor.decompress(memoryview(personal)[1:], max_output_size=_LARGEST)
    except zstandard.ZstdError as error:
        raise ValueError(f"a sealed part cannot be unpacked: {error}") from error
    return found
