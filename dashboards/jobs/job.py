"""A job: what was handed in, by whom, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

import msgspec

from voxledger.synth.batch import Options

State: TypeAlias = Literal["waiting", "running", "done", "cancelled", "failed"]
"""`waiting`: for its turn, or for what its `said` tells; `failed`: it cannot go on, its lines are another matter."""
OPEN: frozenset[State] = frozenset({"waiting", "running"})
"""The states of jobs that go on."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for lines that do not say it themselves. `degrade`: speak a line without what the engine cannot do."""

    session: str | None = None
    voice: str | None = None
    format: str | None = None
    engine: str | None = None
    preset: str | None = None
    degrade: bool = False

    def options(self, actor: str, session: str) -> Options:
        """As a batch takes it."""
        return Options(
            degrade=self.degrade, actor=actor, session=self.session or session, format=self.format, engine=self.engine,
            voice=self.voice, preset=self.preset, files=False,
        )  # fmt: skip


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How many lines were made, answered by clips that were there, and failed; `through` is the last one, as it is counted in the
    manifest.
    """

    made: int = 0
    reused: int = 0
    failed: int = 0
    through: int = 0

    @property
    def done(self) -> int:
        """Lines that are over."""
        return self.made + self.reused + self.failed


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One job as its file holds it. `owner` is the name it speaks in, `principal` the token that it was handed in with; `actors` are
    the opaque ids of all in whose names lines are spoken.
    """

    id: str
    owner: str
    principal: str
    actors: tuple[str, ...]
    asked: Asked
    lines: int
    created: datetime
    state: State = "waiting"
    said: str = ""
    began: datetime | None = None
    ended: datetime | None = None
    progress: Progress = Progress()

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.state in OPEN

    def as_dict(self, eta: float | None = None) -> Mapping[str, Any]:
        """What the API tells; `eta` is how many seconds it takes yet."""
        progress = self.progress
        return {
            "id": self.id, "by": self.owner, "state": self.state, "said": self.said, "created": self.created, "began": self.began,
            "ended": self.ended, "lines": self.lines, "done": progress.done, "made": progress.made, "reused": progress.reused,
            "failed": progress.failed, "left": max(0, self.lines - progress.done) if self.is_open else 0,
            "eta_s": None if eta is None or not self.is_open else round(eta, 1), "options": msgspec.to_builtins(self.asked),
        }  # fmt: skip


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a line: its clip, or the error, in the shape that the API's errors have."""

    line: int
    outcome: Literal["made", "reused", "failed"]
    clip: str | None = None
    duration_us: int | None = None
    dropped: tuple[str, ...] = ()
    error: Mapping[str, Any] | None = None

    def counted(self, before: Progress) -> Progress:
        """The progress with it."""
        count = {self.outcome: getattr(before, self.outcome) + 1}
        return msgspec.structs.replace(before, **count, through=self.line)
