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
from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from pathlib import Path

LIFE = 30 * 86400
"""Seconds that a visit lasts."""
SOON = 600
"""Seconds that a link to sign in with is good for, once."""
EACH = 20
"""Visits of one token at the same time; of more, its own oldest end."""
MOST = 1000
"""Visits of all tokens at the same time."""
_LINKS_EACH, _LINKS = 5, 500
"""The same of links that nobody has followed yet."""
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
        """Where somebody signs in once, within ten minutes, without typing a token: path and query. Raises Refused as `begin` does."""
        code = secrets.token_urlsafe(32)
        with self._lock:
            present = self._clock()
            kept = _with_room(self._standing(self._links, present), principal.id, each=_LINKS_EACH, most=_LINKS)
            self._links = {**kept, _hash(code): Visit(token=principal.id, ends=present + SOON)}
        return f"/sign-in?code={code}"

    def follow(self, code: str) -> str:
        """Sign in with the code of a link, which is used up: the cookie's value. Raises AccessRefused, and Refused as `begin` does."""
        with self._lock:
            found = self._links.pop(_hash(code), None)
        if found is None or found.ends <= self._clock():
            raise AccessRefused("this link was used already, or is older than ten minutes", reason="unknown token")
        return self.begin(self._holder(found.token))

    def begin(self, principal: Principal) -> str:
        """Let somebody stay who has proved who they are: the cookie's value. Raises Refused where others have all the room."""
        value = secrets.token_urlsafe(32)
        with self._lock:
            present = self._clock()
            kept = _with_room(self._standing(self._visits, present), principal.id, each=EACH, most=MOST)
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

    def end_all(self, principal: Principal) -> None:
        """Sign somebody out wherever they are signed in; the links that they made are void, too."""
        with self._lock:
            self._links = {key: each for key, each in self._links.items() if each.token != principal.id}
            self._visits = {key: each for key, each in self._visits.items() if each.token != principal.id}
            self._write()

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

    def _standing(self, among: dict[str, Visit], present: float) -> dict[str, Visit]:
        """Those that have not ended, and whose tokens have not."""
        tokens = {token: self._holds(token) for token in {each.token for each in among.values()}}
        return {key: each for key, each in among.items() if each.ends > present and tokens[each.token]}

    def _holds(self, token: str) -> bool:
        try:
            self._holder(token)
        except AccessRefused:
            return False
        return True

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


def _with_room(kept: dict[str, Visit], token: str, *, each: int, most: int) -> dict[str, Visit]:
    """Those that stay when one more of a token comes: its own oldest end, never another's. Raises Refused where others have all the room.

    The owner of HOME always finds some.
    """
    own = sorted((key for key, visit in kept.items() if visit.token == token), key=lambda key: kept[key].ends)
    over = max(0, len(own) + 1 - each, len(kept) + 1 - most if token != LOCAL else 0)
    if over > len(own):
        raise Refused(
            "as many people are signed in here as may be",
            status=503,
            code="busy",
            remedy="Try again when somebody has signed out, or ask an admin to revoke tokens that nobody uses.",
            headers={"Retry-After": "600"},
        )
    gone = frozenset(own[:over])
    return {key: visit for key, visit in kept.items() if key not in gone}


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()
