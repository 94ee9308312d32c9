"""Clips as a node tells them, and the ones that Python hands out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from voxledger.catalog.clip import Access, Clip


def clip_of(told: Mapping[str, Any], access: Access) -> Clip:
    """The clip that the API told, with a way to its audio through the node. Its path is the node's, so it has none here."""
    known = {name: told[name] for name in Clip.__struct_fields__ if name in told and name != "path"}
    return msgspec.convert({**known, "path": None}, Clip, strict=False).bound(access)
