"""Records: what a store must not forget about a clip, as a small sealed object beside its audio.

A record holds the acknowledged bytes of the clip's GenerationCompleted event: `data` in the open, what is personal
under the actor's key. With it a catalog can be rebuilt from a bucket whose server forgets metadata.
"""

from __future__ import annotations

from typing import Literal

CONTENT_TYPE = "application/json"
_SUFFIX = ".vox.json"


def record_key(key: str) -> str:
    """Where the record of the object at `key` lies."""
    return key + _SUFFIX


def is_record(key: str) -> bool:
    """Whether a key is a record's."""
    return key.endswith(_SUFFIX)


def wants_records(setting: Literal["auto", "always", "never"], *, forgetful: bool) -> bool:
    """Whether `store.records` asks for records: `auto` does where the store forgets metadata."""
    return setting == "always" or (setting == "auto" and forgetful)
