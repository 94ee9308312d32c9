"""What is written down about the embedded store: `store.json` and the files beside it in HOME."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.lazy import lazy

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"


class ProcessMark(msgspec.Struct, frozen=True, kw_only=True):
    """A process that is named for ever: a pid comes back some day, a pid with its start time does not."""

    pid: int
    start: float

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return platform.is_alive(self.pid, self.start)


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `store.json`. The keys and the port outlive a stop; the processes and the instance do not.

    `place` is the folder that it was written for: in a copy of a HOME it says that the server is the original's.
    """

    access_key: str
    secret_key: str
    port: int = 0
    instance: str | None = None
    owner: ProcessMark | None = None
    server: ProcessMark | None = None
    place: str = ""

    @property
    def alive(self) -> bool:
        """Whether owner and server are the processes that wrote this."""
        return self.owner is not None and self.server is not None and self.owner.alive and self.server.alive


@dataclass(frozen=True)
class Endpoint:
    """Where a store answers, and the keys it takes. `instance` is new with every start of the embedded store."""

    url: str
    access_key: str
    secret_key: str = field(repr=False)
    instance: str | None = None


@dataclass(frozen=True)
class Files:
    """The embedded store's places in HOME."""

    home: Path

    @lazy
    def folder(self) -> Path:
        """What is served: a folder for each bucket."""
        return self.home / "store"

    @lazy
    def state(self) -> Path:
        """Keys, port and processes (0600)."""
        return self.home / "store.json"

    @lazy
    def start_lock(self) -> Path:
        """Held while somebody starts or stops the store."""
        return self.home / "store.lock"

    @lazy
    def owner_lock(self) -> Path:
        """Held by the owner for as long as it lives."""
        return self.home / "store.owner"

    @lazy
    def used(self) -> Path:
        """Its time of change says when the store was last used."""
        return self.home / "store.used"

    @lazy
    def log(self) -> Path:
        """What owner and server have to say (0600)."""
        return self.home / "store.log"

    def read(self) -> State | None:
        """The last written state; None when there is none, none that can be read, or only that of the HOME this is a copy of."""
        try:
            found = msgspec.json.decode(self.state.read_bytes(), type=State)
            return found if found.place in ("", self._place()) else None
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, state: State) -> None:
        """Raises OSError."""
        placed = msgspec.structs.replace(state, place=self._place())
        platform.write_atomic(self.state, msgspec.json.format(msgspec.json.encode(placed)), mode=0o600)

    def _place(self) -> str:
        """Which folder this is: a HOME that is moved stays it, a copy is another."""
        found = self.home.stat()
        return f"{found.st_dev}:{found.st_ino}"


def new_keys() -> State:
    """A state with fresh keys. They need no quoting anywhere: letters, digits, `-` and `_`."""
    access_key = "VOX" + "".join(secrets.choice(_ALPHABET) for _ in range(17))
    return State(access_key=access_key, secret_key=secrets.token_urlsafe(30))
