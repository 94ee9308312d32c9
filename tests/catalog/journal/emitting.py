"""Drafts without a vault, and processes that emit them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests import forking
from voxledger.catalog.events import Draft, decode, new_id, now
from voxledger.catalog.journal import Journal

_EMITTER = Path(__file__).with_name("emitter.py")


def numbered(number: int) -> str:
    """An id that is the same for the same number, whoever asks."""
    return f"00000000-0000-7000-8000-{number:012x}"


def draft(identity: str | None = None, *, subject: str = "clip", data: bytes = b"{}") -> Draft:
    return Draft(
        id=new_id() if identity is None else identity,
        type="ClipTagged",
        subject=subject,
        time=now(),
        actor="ann",
        version=1,
        data=data,
    )


def recorded(journal: Journal) -> dict[int, str]:
    """Which id stands at which position, and that no position has two."""
    rows = journal.read(0, 1_000_000)
    found = {position: decode(body).id for position, body in rows}
    assert len(found) == len(rows)
    assert all(decode(body).position == position for position, body in rows)
    return found


def emitter(path: Path, *, first: int, count: int, failpoint: str = "") -> forking.Process:
    """A process that emits events with numbered ids, and prints position and id after each acknowledgement."""
    return forking.spawn(
        [_EMITTER, path, str(first), str(count)],
        stdout=subprocess.PIPE,
        env={**os.environ, "VOXLEDGER_FAILPOINT": failpoint},
    )


def acknowledged(output: str) -> dict[int, str]:
    """What an emitter said; a line that was cut by its end says nothing."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {int(position): identity for position, identity in lines}
