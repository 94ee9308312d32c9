"""Told names: under which names Mixpanel knows people, kept until it was asked to forget them.

Only where `mixpanel.actor_ids` is `label`. An erasure destroys the key, and with it the name, before it comes to Mixpanel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from voxledger.catalog import platform

_FILE = "mixpanel-names.json"
_decode = msgspec.json.Decoder(dict[str, list[str]]).decode


class ToldNames:
    """The file `mixpanel-names.json` of a HOME, for the owner's eyes only: opaque id -> names."""

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE
        self._seen: dict[str, list[str]] | None = None

    def remember(self, actor: str, name: str) -> None:
        """Durably, before the name is told. Idempotent."""
        if self._seen is None:
            self._seen = self._read()
        names = self._seen.setdefault(actor, [])
        if name not in names:
            names.append(name)
            self._write(self._seen)

    def of(self, actor: str) -> Sequence[str]:
        """Every name that Mixpanel has heard for somebody."""
        return self._read().get(actor, [])

    def forget(self, actor: str) -> None:
        """Mixpanel has been asked, and has done it."""
        found = self._read()
        if found.pop(actor, None) is not None:
            self._write(found)
        self._seen = None

    def _read(self) -> dict[str, list[str]]:
        try:
            return _decode(self._path.read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}

    def _write(self, names: dict[str, list[str]]) -> None:
        platform.write_atomic(self._path, msgspec.json.encode(names), mode=0o600)
