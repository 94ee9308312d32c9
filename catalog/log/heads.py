"""Heads: the newest link of the chain at some moment, kept where the owner of HOME cannot change it."""

from __future__ import annotations

import re
from datetime import datetime

import msgspec

from voxledger.catalog.errors import QueryError

_WRITTEN = re.compile(r"\s*(\d{1,18})\s*:\s*([0-9a-fA-F]{64})\s*")

_NAME = re.compile(r"(\d{12})-([0-9a-f]{64})\.json")


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The chain's digest (hex) after the event at `position`: it proves every event up to there.

    `origin` says where it was kept: the store, a report, the command line.
    """

    position: int
    digest: str
    node: str = ""
    published: datetime | None = None
    origin: str = ""


def parse(written: str, *, origin: str) -> Head:
    """A head as people write it down, `POSITION:DIGEST`. Raises QueryError for anything else."""
    found = _WRITTEN.fullmatch(written)
    if not found:
        raise QueryError(
            f"{written[:80]!r} is no head of the chain: write POSITION:DIGEST, such as 12000:9f86d081… with 64 hex digits,"
            " as a weekly report shows them"
        )
    return Head(position=int(found[1]), digest=found[2].lower(), origin=origin)


def name(head: Head) -> str:
    """The name of a published head's file: it says everything, and heads sort by position."""
    return f"{head.position:012d}-{head.digest}.json"


def named(name: str, *, node: str, origin: str) -> Head | None:
    """The head that a published file's name tells; None for another file."""
    found = _NAME.fullmatch(name)
    return Head(position=int(found[1]), digest=found[2], node=node, origin=origin) if found else None
