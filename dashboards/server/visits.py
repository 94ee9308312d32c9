"""Visits: who has signed in with a browser, and stays so until the visit, or the token behind it, ends.

A visit is a random number in a cookie that scripts cannot read and other sites cannot send. The node keeps its SHA-256, in a small
file too, so that a restart signs nobody out. A visit permits what its token permits at that moment: a token that is revoked or
expired ends it with the next request.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.access import LOCAL, Gate, Principal
from voxledger.catalog.errors import AccessRefused

if TYPE_CHECKING:
    from pathlib import Path

LIFE = 30 * 86400
"""Seconds that a visit lasts."""
SOON = 600
"""Seconds that a link to sign in with is good for, once."""
MOST = 1000
"""Visits at the same time; of more, the oldest end."""
_LINKS = 100
_GIVEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A visit as it is kept: whose token it is (`LOCAL` for the owner of HOME), and when it ends (s since 1970)."""

    token: str
    ends: float


class Visits:
    """All visits of a node. Safe from many threads."""

    def __init__(
        self, path: Path, gate: Gate, *, owner: str, node: str, clock: Callable[[], float] = time.time
    ) -> None:
        """`path` is the file, `owner` the name in which the owner of HOME acts, `node` the id that keeps cookies of two nodes apart."""
        self._path = path
        self._gate = gate
        self._owner = owner
        self._clock = clock
        self._lock = threading.Lock()
        self._links: dict[str, Visit] = {}
        self._visits = _read(path)
        self.cookie = f"voxledger-{node[-8:]}"
        """What the cookie is called: browsers tell hosts apart, not ports."""

    def link(self, principal: Principal) -> str:
        """Where somebody signs in once, within ten minutes, without typing a token: path and query."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            present = self._clock()
            self._links = {key: each for key, each in self._links.items() if each.ends > present}
            if len(self._links) >= _LINKS:
                del self._links[next(iter(self._links))]
            self._links[_hash(code)] = Visit(token=principal.id, ends=present + SOON)
        return f"/sign-in?code={code}"

    def follow(self, code: str) -> str:
        """Sign in with the code of a link, which is used up: the cookie's value. Raises AccessRefused."""
        with self._lock:
            found = self._links.pop(_hash(code), None)
        if found is None or found.ends <= self._clock():
            raise AccessRefused("this link was used already, or is older than ten minutes", reason="unknown token")
        return self.begin(self._holder(found.token))

    def begin(self, principal: Principal) -> str:
        """Let somebody stay who has proved who they are: the cookie's value."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            present = self._clock()
            kept = {key: each for key, each in self._visits.items() if each.ends > present}
            while len(kept) >= MOST:
                del kept[min(kept, key=lambda key: kept[key].ends)]
            self._visits = {**kept, _hash(value): Visit(token=principal.id, ends=present + LIFE)}
            self._write()
        return value

    def principal(self, value: str) -> Principal:
        """Whose visit this is. Raises AccessRefused: `unknown token` for none, or what ended its token."""
        key = _hash(value)
        visit = self._visits.get(key)
        if visit is None or visit.ends <= self._clock():
            raise AccessRefused("this visit has ended", reason="unknown token")
        try:
            return self._holder(visit.token)
        except AccessRefused:
            self._end(key)
            raise

    def end(self, value: str) -> None:
        """Sign out."""
        self._end(_hash(value))

    def given(self, headers: list[tuple[bytes, bytes]]) -> str:
        """The value of our cookie in the headers of a request; empty without one."""
        name = f"{self.cookie}="
        for header, content in headers:
            if header == b"cookie":
                for part in content.decode("latin-1").split(";"):
                    if part.strip().startswith(name):
                        value = part.strip()[len(name) :]
                        return value if _GIVEN.fullmatch(value) else ""
        return ""

    def _holder(self, token: str) -> Principal:
        if token == LOCAL:
            return Principal(id=LOCAL, name=self._owner, role="admin")
        return self._gate.holder(token)

    def _end(self, key: str) -> None:
        with self._lock:
            if self._visits.pop(key, None) is not None:
                self._write()

    def _write(self) -> None:
        """A file that cannot be written costs a new sign-in after the next restart, and nothing else."""
        with contextlib.suppress(OSError):
            platform.write_atomic(self._path, msgspec.json.encode(self._visits), mode=0o600)


def _read(path: Path) -> dict[str, Visit]:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Visit])
    return {}


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
