"""Clips as a node tells them, and the ones that Python hands out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from voxledger.catalog.clip import Access, Clip
from voxledger.catalog.errors import ClipNotFound

_ID = re.compile(r"[0-9a-f-]{4,36}")


def named(reference: str | Clip) -> str:
    """A clip's name as it stands in a path. Raises ClipNotFound for what names none."""
    found = Clip.named(reference)
    if not _ID.fullmatch(found):
        raise ClipNotFound(f"{reference!r} is no clip id: give at least the last 4 hex digits of one")
    return found


def clip_of(told: Mapping[str, Any], access: Access) -> Clip:
    """The clip that the API told, with a way to its audio through the node. Its path is the node's, so it has none here."""
    known = {name: told[name] for name in Clip.__struct_fields__ if name in told and name != "path"}
    return msgspec.convert({**known, "path": None}, Clip, strict=False).bound(access)
