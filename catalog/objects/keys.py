"""Keys of objects: readable, safe as a path on any system, and unique without regard to case."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from voxledger.catalog.errors import SettingsError

LONGEST_KEY = 1024
"""Most bytes (UTF-8) of a key, as S3 has it."""
LONGEST_NAME = 255
"""Most bytes of one file name, as most file systems have it: the embedded store keeps objects as files."""
SUFFIX_ROOM = len(".vox.json")
"""Bytes kept free at the end of a key for the record that may lie beside it."""
DEFAULTS = {"actor": "anyone", "session": "default", "name": "clip", "ext": "bin"}
"""What stands where a part is empty, or made of nothing but characters that a key cannot hold."""

_LIMITS = (120, 80, 56, 40, 24, 12)
_CLIP = re.compile(r"[0-9A-Za-z]([0-9A-Za-z-]{0,62}[0-9A-Za-z])?")
_FORBIDDEN = frozenset('<>:"/\\|?*‛／＼')
"""Reserved by Windows, or used by rclone to write what a file name cannot hold."""
_JOINERS = frozenset("\u200c\u200d")
"""Invisible, but part of how Persian, Hindi and others are spelled."""
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)


def object_key(template: str, *, actor: str, session: str | None, name: str | None, clip: str, ext: str) -> str:
    """The key of a clip's audio, from a template such as `{actor}/{session}/{name}-{clip}.{ext}`.

    Letters of any script stay; what is unsafe in a path becomes `_`. Long parts are cut so that the key fits in 1024
    bytes and each of its names in 255. The clip's id is never cut. Raises SettingsError for a template that cannot give
    such a key, ValueError for a clip id that is not one.
    """
    if not _CLIP.fullmatch(clip):
        raise ValueError(f"{clip!r} is no clip id")
    ending = re.sub(r"[^0-9a-z]", "", ext.lower())[:16] or DEFAULTS["ext"]
    for limit in _LIMITS:
        parts = {"actor": actor, "session": session, "name": name}
        safe = {part: safe_name(value or "", limit=limit) or DEFAULTS[part] for part, value in parts.items()}
        try:
            rendered = template.format(**safe, clip=clip, ext=ending)
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise SettingsError(
                f"store.key = {template!r} cannot be filled in: use {{actor}}, {{session}}, {{name}}, {{clip}} and"
                " {ext}",
                name="store.key",
            ) from error
        names = [safe_name(segment) for segment in rendered.split("/")]
        key = "/".join(segment for segment in names if segment)
        longest = max(len(segment.encode()) for segment in names)
        if longest <= LONGEST_NAME - SUFFIX_ROOM and len(key.encode()) <= LONGEST_KEY - SUFFIX_ROOM and clip in key:
            return key
    raise SettingsError(
        f"store.key = {template!r} gives no usable key: it must hold {{clip}}, and be shorter than {LONGEST_KEY}"
        f" bytes with names shorter than {LONGEST_NAME}",
        name="store.key",
    )


def safe_name(text: str, *, limit: int | None = None) -> str:
    """One name of a path, in NFC, without anything that means something to a path, a shell's glob or a terminal.

    At most `limit` bytes. Empty when nothing is left.
    """
    composed = unicodedata.normalize("NFC", text)
    drawn = "".join("_" if _unsafe(character) else character for character in composed)
    # A leading hyphen reads as an option, a leading dot hides, Windows drops dots and blanks at the end; and a mark at
    # the start would join whatever letter the template puts before it.
    tidy = _without_leading_marks(re.sub(r"_{2,}", "_", drawn).strip("._- "))
    if limit is not None:
        tidy = tidy.encode()[:limit].decode(errors="ignore").rstrip("._- ")
    return f"_{tidy}" if _DEVICES.match(tidy) else tidy


@lru_cache(maxsize=4096)
def _unsafe(character: str) -> bool:
    if character in _FORBIDDEN or character.isspace() or "\u2400" <= character <= "\u243f":
        return True
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") and character not in _JOINERS


def _without_leading_marks(text: str) -> str:
    while text and (unicodedata.category(text[0]).startswith("M") or text[0] in _JOINERS):
        text = text[1:].lstrip("._- ")
    return text
