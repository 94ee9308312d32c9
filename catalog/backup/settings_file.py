"""The settings file in a backup: whole where it is encrypted, without its secrets where it is not."""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

from voxledger.catalog.settings import is_secret, names

_SECTION = re.compile(r"\s*\[\s*([A-Za-z0-9_.\"'\s-]+?)\s*\]\s*(#.*)?")
_ENTRY = re.compile(r"\s*([A-Za-z0-9_.\"'\s-]+?)\s*=")
_LEFT_OUT = "# {name} is a secret and was left out of the backup\n"


class Cleaned(NamedTuple):
    """A settings file without secrets, and what was left out; `text` is None where that could not be done for certain."""

    text: str | None
    without: tuple[str, ...]


def without_secrets(text: str) -> Cleaned:
    """Leave out every line that sets a secret. The rest, comments included, stays as it is."""
    try:
        values = _secrets(tomllib.loads(text))
    except tomllib.TOMLDecodeError:
        return Cleaned(None, ("voxledger.toml, which is not valid TOML",))
    if not values:
        return Cleaned(text, ())
    kept, section = [], ""
    for line in text.splitlines(keepends=True):
        begins = _SECTION.fullmatch(line.rstrip("\r\n"))
        section = _bare(begins[1]) if begins else section
        entry = None if begins else _ENTRY.match(line)
        name = f"{section}.{_bare(entry[1])}".lstrip(".") if entry else ""
        kept.append(_LEFT_OUT.format(name=name) if name in values else line)
    cleaned = "".join(kept)
    try:
        left = _secrets(tomllib.loads(cleaned))
    except tomllib.TOMLDecodeError:
        left = values
    # A secret may also be written over several lines, in an inline table, or in a comment.
    if left or any(value in cleaned for value in values.values()):
        return Cleaned(None, ("voxledger.toml, whose secrets could not be told from the rest",))
    return Cleaned(cleaned, tuple(values))


def _secrets(tree: dict[str, Any]) -> dict[str, str]:
    """The secrets that are set, by name."""
    found = {}
    for name in names():
        section, _, key = name.partition(".")
        value = tree.get(section, {}).get(key) if isinstance(tree.get(section), dict) else None
        if value and is_secret(name):
            found[name] = str(value)
    return found


def _bare(name: str) -> str:
    return re.sub(r"[\"'\s]", "", name)
