"""Told names: under which names Mixpanel knows people, kept until it was asked to forget them.

Only where `mixpanel.actor_ids` is `label`. An erasure destroys the key, and with it the name, before it comes to Mixpanel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from voxledger.catalog import platform

_FILE = "mixpanel-names.json"
_LOCK = "mixpanel-names.lock"
_Stamp: TypeAlias = tuple[int, int, int]
_decode = msgspec.json.Decoder(dict[str, list[str]]).decode


class ToldNames:
    """The file `mixpanel-names.json` of a HOME, for the owner's eyes only: opaque id -> names.

    Delivery, backfill, profiles and erasures write to it, each in a process of its own: whoever writes holds the lock and
    reads first. Else a name would be lost, or one that was forgotten would come back.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / _FILE
        self._lock = home / _LOCK
        self._seen: dict[str, list[str]] = {}
        self._seen_as: _Stamp | None = None

    def remember(self, actor: str, name: str) -> None:
        """Durably, before the name is told. Idempotent."""
        if self._seen_as is None or self._stamp() != self._seen_as:
            self._look()
        if name in self._seen.get(actor, ()):
            return
        with platform.locked(self._lock):
            self._look()
            names = self._seen.setdefault(actor, [])
            if name not in names:
                names.append(name)
                self._write()

    def of(self, actor: str) -> Sequence[str]:
        """Every name that Mixpanel has heard for somebody."""
        return self._read().get(actor, [])

    def forget(self, actor: str) -> None:
        """Mixpanel has been asked, and has done it."""
        with platform.locked(self._lock):
            self._look()
            if self._seen.pop(actor, None) is not None:
                self._write()

    def _look(self) -> None:
        """See what the file holds now. The stamp is taken first: should the file change in between, it is read again."""
        self._seen_as = self._stamp()
        self._seen = self._read()

    def _stamp(self) -> _Stamp | None:
        """Tells one version of the file from the next, which is another file in its place; None when there is none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def _read(self) -> dict[str, list[str]]:
        try:
            return _decode(self._path.read_bytes())
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}

    def _write(self) -> None:
        platform.write_atomic(self._path, msgspec.json.encode(self._seen), mode=0o600)
        self._seen_as = self._stamp()
