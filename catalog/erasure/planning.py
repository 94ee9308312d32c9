"""Planning: what erasing somebody would do, before anything is done."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from voxledger.catalog.backup import Backups
from voxledger.catalog.erasure import recordings, words
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import Target
from voxledger.catalog.errors import BackupError, StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.absence import versions_of
from voxledger.catalog.objects.deleting import Deleter
from voxledger.catalog.objects.records import record_key
from voxledger.catalog.objects.store import Store
from voxledger.catalog.progress import Progress
from voxledger.catalog.settings import FILE_NAME
from voxledger.catalog.terminal import count

_PAGE = 10_000
_THREADS = 4


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would go. `held` clips stay as long as a legal hold keeps them, and with them the words: then the erasure waits.

    `pinned` and `ordinary` count clips that a pin or an ordinary hold keeps; they go all the same. `elsewhere` says what other
    places hold, in words.
    """

    id: str
    subject: Subject
    clips: int
    bytes: int
    held: int
    held_bytes: int
    pinned: int
    ordinary: int
    recordings: int
    objects: int
    versions: int
    copies: int
    backups: int
    elsewhere: tuple[str, ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def make(
    subject: Subject,
    home: Home,
    keeper: Keeper,
    store: Store,
    voices: str,
    backups: Backups,
    targets: Sequence[Target],
    progress: Progress,
) -> Plan:
    """Look everywhere, and change nothing. Raises StoreError when the store does not answer."""
    with keeper.reading() as reading:
        found = reading.rows(subject.query("amounts"), {"target": subject.target})[0]
        holds = reading.tuples(subject.query("holds"), {"target": subject.target})[0]
    hashes = recordings.hashes(subject, keeper)
    objects, versions = _objects(subject, keeper, store, progress)
    objects += sum(
        1 for sha256 in hashes for prefix in (sha256, f"consents/{sha256}") for _ in store.list(voices, prefix)
    )
    notes = []
    if holds[0]:
        review = f"; it is looked at again on {holds[2]:%Y-%m-%d}" if holds[2] else ""
        held = f"{count(holds[0], 'clip')} under {count(holds[1], 'legal hold')}"
        notes.append(f"{held}{review}: erasing waits for the release")
    if subject.called and subject.called in _settings(home):
        notes.append(
            f"{FILE_NAME} names {subject.called!r}: it is yours, and is not changed; take the name out by hand, and let backups go that"
            " are not encrypted and hold it"
        )
    saved, note = _backups(backups)
    return Plan(
        id=_identity(subject, found),
        subject=subject,
        clips=found["clips"],
        bytes=found["bytes"],
        held=found["held"],
        held_bytes=found["held_bytes"],
        pinned=found["pinned"],
        ordinary=found["ordinary"],
        recordings=len(hashes),
        objects=objects,
        versions=versions,
        copies=words.copies(home),
        backups=saved,
        elsewhere=tuple(said for target in targets if (said := target.preview(subject))),
        notes=(*notes, *note),
    )


def identity(subject: Subject, keeper: Keeper) -> str:
    """The id that a plan would have now."""
    with keeper.reading() as reading:
        return _identity(subject, reading.rows(subject.query("amounts"), {"target": subject.target})[0])


def _identity(subject: Subject, found: dict[str, Any]) -> str:
    facts = [
        subject.scope,
        subject.target,
        *(str(found[name]) for name in ("clips", "bytes", "held", "every", "digest")),
    ]
    return hashlib.sha256("\0".join(facts).encode()).hexdigest()[:16]


def _objects(subject: Subject, keeper: Keeper, store: Store, progress: Progress) -> tuple[int, int]:
    """Objects of clips, and versions of them besides, where the bucket keeps versions; records beside them are counted."""
    deleter, after, objects, versions = Deleter(store), str(UUID(int=0)), 0, 0
    while True:
        with keeper.reading(fresh=False) as reading:
            rows = reading.rows(subject.query("page"), {"target": subject.target, "after": after, "limit": _PAGE})
        if not rows:
            return objects, versions
        after = rows[-1]["id"]
        for bucket in {row["bucket"] for row in rows}:
            mine = [row for row in rows if row["bucket"] == bucket]
            if deleter.keeps_versions(bucket):
                keys = [key for row in mine for key in (row["key"], record_key(row["key"]))]
                seen = versions_of(store, bucket, keys, threads=_THREADS)
                objects += len(seen)
                versions += sum(len(each) - 1 for each in seen.values())
            else:
                objects += sum(not row["purged"] for row in mine) * (2 if store.wants_records else 1)
        progress("looking at the store", objects, None)


def _settings(home: Home) -> str:
    path = home.path / FILE_NAME
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _backups(backups: Backups) -> tuple[int, tuple[str, ...]]:
    try:
        found = backups.list()
    except (StoreError, BackupError) as error:
        return 0, (f"backups could not be looked at: {error}",)
    notes = []
    unread = [entry for entry in found if entry.manifest is None]
    if unread:
        notes.append(f"{len(unread)} backups cannot be read ({unread[0].trouble})")
    if any(entry.manifest and entry.manifest.with_vault for entry in found):
        notes.append(
            "a file of the vault (`backup create --vault`) holds the key and cannot be reached from here: save it again afterwards, over"
            " the old file"
        )
    return sum(1 for entry in found if entry.manifest and entry.manifest.audio), tuple(notes)
