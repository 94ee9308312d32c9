"""Findings: what a comparison of store and catalog has to say."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Kind: TypeAlias = Literal["missing", "changed", "unsent", "orphan", "purged"]
SHOWN = 1000
"""Most findings that a report lists; the rest is counted."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it should be, and what was done about it, or what a person can do.

    missing: the store has lost the audio · changed: other bytes lie in its place · unsent: it was never uploaded and nothing
    is about to · orphan: an object that no clip accounts for · purged: an object that should be gone.
    """

    kind: Kind
    clip: str | None
    bucket: str
    key: str
    bytes: int
    mended: bool
    note: str


class Reconciled(msgspec.Struct, kw_only=True):
    """What a run found, in clips and objects. Filled while it runs."""

    buckets: tuple[str, ...] = ()
    objects: int = 0
    """What the store lists, records not counted."""
    there: int = 0
    """Clips whose audio lies in the store as it was stored."""
    bytes: int = 0
    """Of those, all together."""
    back: int = 0
    """Clips that had been missing, and are there again."""
    confirmed: int = 0
    """Clips whose upload nobody had confirmed; every byte was read, and now it is."""
    missing: int = 0
    changed: int = 0
    unsent: int = 0
    orphans: int = 0
    purged: int = 0
    recorded: int = 0
    """Events that this run recorded."""
    queued: int = 0
    """Clips that are uploaded again from the cache."""
    adopted: int = 0
    """Orphans that are clips now."""
    elsewhere: int = 0
    """Orphans that another node put there; left to it."""
    recent: int = 0
    """Younger than the grace, and left alone."""
    purging: int = 0
    """Retention is deleting these, and finishes it with its next run."""
    nameless: int = 0
    """Clips of erased actors, whose keys nobody knows."""
    unsure: int = 0
    """Clips and objects that changed while this looked at them; the next run sees."""
    findings: list[Finding] = []
    more: int = 0
    """Findings that are not listed."""

    def add(self, finding: Finding) -> None:
        """List it, or count it where the list is full."""
        if len(self.findings) < SHOWN:
            self.findings.append(finding)
        else:
            self.more += 1

    @property
    def open(self) -> int:
        """How many things are still not as they should be."""
        return (
            self.missing + self.changed + self.unsent + self.orphans + self.purged
            - self.queued - self.adopted - self.elsewhere
        )  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = {**msgspec.to_builtins(self), "open": self.open}
        return found
