"""A subject: the actor or the voice that is to be forgotten, or about whom everything is told."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from voxledger.catalog.errors import ErasureError, SubjectNotFound
from voxledger.catalog.events.access import Erased
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import SYSTEM, Recorder

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.log.reading import Reading

SQL = load("erasure.sql", "voxledger.catalog.erasure")
_PAGE = 10_000
_SHA256 = re.compile(r"[0-9a-f]{8,64}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Who it is: an actor by the opaque id, or a voice by the SHA-256 of its recording. `called` is what people say."""

    scope: Erased
    target: str
    called: str = ""

    @property
    def condition(self) -> str:
        """Which clips are theirs, in SQL with the parameter `$target`."""
        return SQL[f"of_{self.scope}"].strip()

    def query(self, name: str) -> str:
        """One of this package's queries about these clips."""
        return SQL[name].format(subject=self.condition)

    def since(self, keeper: Keeper) -> datetime | None:
        """When they first appeared; None when they never did."""
        with keeper.reading(fresh=False) as reading:
            found = reading.tuples(SQL[f"first_of_{self.scope}"], {"target": self.target})[0][0]
        return None if found is None else found.astimezone(UTC)

    def ids(self, keeper: Keeper) -> Iterator[str]:
        """The ids of all their clips that ever were."""
        after = str(UUID(int=0))
        while True:
            with keeper.reading(fresh=False) as reading:
                rows = reading.tuples(self.query("ids"), {"target": self.target, "after": after, "limit": _PAGE})
            if not rows:
                return
            yield from (str(row[0]) for row in rows)
            after = str(rows[-1][0])


def actor(label: str, recorder: Recorder, reading: Reading) -> Subject:
    """The actor people call so, or the one with this opaque id. Raises SubjectNotFound with names that come near."""
    if label == SYSTEM:
        raise ErasureError(
            f"{SYSTEM!r} is Voxledger itself and no person: it says of nobody what they said. Nothing was changed"
        )
    known = recorder.vault.known(label)
    if known is not None:
        return Subject(scope="actor", target=known.id, called=label)
    named = [str(row[0]) for row in reading.tuples(SQL["actors_named"], [label])]
    if len(named) == 1:
        return Subject(scope="actor", target=named[0], called=label)
    if _UUID.fullmatch(label) and reading.tuples(SQL["known"], [label])[0][0]:
        if recorder.vault.key(label) is None:
            raise SubjectNotFound(f"nothing is held any more about actor {label}: the key to what they said is gone")
        return Subject(scope="actor", target=label)
    raise SubjectNotFound(f"there is no actor {label!r} in this HOME; {_near(label, recorder.vault.labels())}")


def voice(name: str, reading: Reading) -> Subject:
    """The voice with this name (case does not matter), or whose SHA-256 begins so. Raises SubjectNotFound, ErasureError."""
    rows = [(str(sha256), str(called) if called else "") for sha256, called in reading.tuples(SQL["voices"])]
    found = {sha256 for sha256, called in rows if called.casefold() == name.casefold()}
    if not found and _SHA256.fullmatch(name.lower()):
        found = {sha256 for sha256, _ in rows if sha256.startswith(name.lower())}
    if len(found) > 1:
        raise ErasureError(
            f"{len(found)} recordings are called {name!r}; give digits of the SHA-256 of one:"
            f" {', '.join(sorted(sha256[:12] for sha256 in found))}"
        )
    if not found:
        near = _near(name, (called for _, called in rows if called))
        raise SubjectNotFound(f"there is no voice {name!r} in this HOME; {near}")
    return Subject(scope="voice", target=found.pop(), called=name)


def _near(name: str, names: Iterable[str]) -> str:
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(each) for each in close)}?"
    some = ", ".join(repr(each) for each in sorted(known)[:5] if each != SYSTEM)
    return f"there are {some}" if some else "there are none at all"
