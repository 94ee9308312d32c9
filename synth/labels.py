"""Labels as people write them: names of actors, sessions, clips, tags and voices, which also end up in keys and paths."""

from __future__ import annotations

import re
import unicodedata

from voxledger.synth.errors import InvalidRequest

UNWRITABLE = frozenset({"Cc", "Cs"})
"""Unicode categories that no text of ours may hold: control characters and lone surrogates."""
_LONGEST = 200


def clean_label(what: str, value: str) -> str:
    """A label as people write it. Raises InvalidRequest for what could climb out of a folder, or cannot be written; it does not
    repeat the label, which is personal.
    """
    if not isinstance(value, str):
        raise InvalidRequest(f"the {what} must be a string, not {type(value).__name__}")
    clean = unicodedata.normalize("NFC", value).strip()
    if not clean:
        raise InvalidRequest(f"the {what} is empty")
    if len(clean) > _LONGEST:
        raise InvalidRequest(f"the {what} has {len(clean)} characters, more than {_LONGEST}")
    if any(unicodedata.category(character) in UNWRITABLE for character in clean):
        raise InvalidRequest(f"the {what} holds a control character; remove it")
    if re.search(r"(^|[/\\])\.\.?([/\\]|$)", clean) or clean.startswith(("/", "\\")):
        raise InvalidRequest(f"the {what} looks like a path that climbs; use a plain name")
    return clean
