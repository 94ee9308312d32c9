"""Tasks: what a report still has to do, one for each channel, in the journal."""

from __future__ import annotations

import msgspec

from voxledger.catalog.events import ReportChannel
from voxledger.catalog.journal import Task
from voxledger.catalog.recorder import SYSTEM, Recorder

KIND = "report delivery"
"""The kind of task."""


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a task: which report goes to which channel, and what is known so far.

    `sending` is written down right before the step after which only an answer tells whether it arrived: who finds it so knows that
    somebody was killed there. `on_purpose` is what a person asked for, who knows that it may arrive twice. `failing_since` is when the
    first try failed (s since the epoch), and `taken` are the recipients, as digests, that have it.
    """

    week: str
    revision: int
    channel: ReportChannel
    claimed: bool = False
    sending: bool = False
    on_purpose: bool = False
    failing_since: float | None = None
    taken: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """The subject of the task, readable in `status`."""
        return subject(self.week, self.revision, self.channel)


def subject(week: str, revision: int, channel: str) -> str:
    """`2026-W47 r1 mail`."""
    return f"{week} r{revision} {channel}"


def parsed(text: str) -> tuple[str, int, str]:
    """Week, revision and channel of a task's subject."""
    week, revision, channel = text.split(" ")
    return week, int(revision[1:]), channel


def sealed(errand: Errand, recorder: Recorder) -> bytes:
    """As it lies in the journal."""
    system = recorder.vault.actor(SYSTEM)
    return recorder.seal(msgspec.to_builtins(errand), actor=system, about=errand.subject)


def opened(task: Task, recorder: Recorder) -> Errand:
    """The inverse of `sealed`."""
    return msgspec.convert(recorder.unseal(task.payload, actor=task.actor, about=task.subject), Errand)
