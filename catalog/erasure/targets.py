"""Targets: the places where something about a person lies, each with its own way of letting go."""

from __future__ import annotations

from typing import Protocol

import msgspec

from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.events.access import Outcome
from voxledger.catalog.progress import Progress


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a target: how many things went, of how many bytes, and in words what a person should know, if anything."""

    outcome: Outcome
    count: int = 0
    bytes: int = 0
    note: str = ""


NOTHING = Done(outcome="nothing")


class Target(Protocol):
    """A place outside this floor that may hold something about a person: stored reports, Mixpanel."""

    @property
    def name(self) -> str:
        """What it is called in the outcomes; a word without names of people."""

    def preview(self, subject: Subject) -> str:
        """What it would do, in a few words; empty when it holds nothing. Changes nothing."""

    def erase(self, request: str, subject: Subject, progress: Progress) -> Done:
        """Let go of the subject, whose words this HOME does not have any more. Called again until it says `done` or `nothing`.

        Must be safe to repeat after it was killed anywhere. What cannot be done now is `waiting`, with a note that says for what;
        errors that a person must see are VoxledgerErrors: the target is `failed` then, and tried again by the next run.
        """
