"""Requests: the erasures that were asked for, how far each has come, and what it waits for. The log is what knows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.erasure.subject import SQL, Subject
from voxledger.catalog.events import new_id
from voxledger.catalog.events.access import Erased, Outcome
from voxledger.catalog.home import Home

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper

FOLDER = "erasing"
_ENDED = frozenset({"done", "nothing"})


class Progressing(msgspec.Struct, kw_only=True):
    """How far a request has come, in `HOME/erasing/REQUEST.json`: ids, numbers and outcomes, no words of anybody.

    `event` is the id of the SubjectErased that is recorded next. Lost, it is begun anew: every step looks at what is there.
    """

    request: str
    event: str
    objects: int = 0
    voices: int = 0
    reports: int = 0
    clips: int = 0
    bytes: int = 0
    key_destroyed: bool = False
    hashes: tuple[str, ...] = ()
    """SHA-256 of the recordings and documents that go."""
    outcomes: dict[str, Outcome] = {}
    notes: dict[str, str] = {}

    @classmethod
    def of(cls, home: Home, request: Request) -> Progressing:
        """What is remembered of a request, or else what the log says of it."""
        path = _path(home, request.id)
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except (FileNotFoundError, msgspec.MsgspecError):
            fact = request.fact
            return cls(
                request=request.id, event=new_id(),
                outcomes=dict(request.outcomes),
                **{name: fact[name] for name in ("objects", "voices", "reports", "clips", "bytes", "key_destroyed") if name in fact},
            )  # fmt: skip

    def save(self, home: Home) -> None:
        """Durably."""
        path = _path(home, self.request)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        platform.write_atomic(path, msgspec.json.encode(self), mode=0o600)

    def drop(self, home: Home) -> None:
        """The request is finished: the log says everything."""
        _path(home, self.request).unlink(missing_ok=True)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure that was asked for at a position of the log. `notes` say, target by target, what an open one waits for."""

    id: str
    scope: Erased
    target: str
    plan: str
    position: int
    asked: datetime
    ended: datetime | None
    outcomes: Mapping[str, Outcome]
    notes: Mapping[str, str] = {}
    fact: Mapping[str, Any] = {}

    @property
    def subject(self) -> Subject:
        """About whom."""
        return Subject(scope=self.scope, target=self.target)

    @property
    def is_open(self) -> bool:
        """Whether something is left to do."""
        return self.ended is None or not _ENDED.issuperset(self.outcomes.values())


def requests(keeper: Keeper, home: Home) -> list[Request]:
    """All that were ever asked for, the oldest first."""
    with keeper.reading() as reading:
        rows = reading.rows(SQL["requests"])
    found = []
    for row in rows:
        fact: dict[str, Any] = msgspec.json.decode(row["fact"]) if row["fact"] else {}
        request = Request(
            id=row["request"],
            scope=row["scope"],
            target=row["target"],
            plan=row["plan"],
            position=row["position"],
            asked=row["asked"].astimezone(UTC),
            ended=row["ended"].astimezone(UTC) if row["ended"] else None,
            outcomes=fact.get("outcomes", {}),
            fact=fact,
        )
        if request.is_open:
            state = Progressing.of(home, request)
            request = msgspec.structs.replace(request, outcomes=dict(state.outcomes), notes=dict(state.notes))
        found.append(request)
    return found


def unfinished(home: Home) -> int:
    """How many wait, without opening the log."""
    return sum(1 for _ in (home.path / FOLDER).glob("*.json"))


def _path(home: Home, request: str) -> Path:
    return home.path / FOLDER / f"{request}.json"
