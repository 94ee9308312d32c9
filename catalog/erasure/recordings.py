"""Recordings: what somebody registered to be spoken with, and the documents that consent to it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable

from voxledger.catalog.erasure.recognising import TRUST, has_bucket, place
from voxledger.catalog.erasure.subject import SQL, Subject
from voxledger.catalog.erasure.targets import NOTHING, Done
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD
from voxledger.catalog.log import Keeper
from voxledger.catalog.objects.deleting import Deleter
from voxledger.catalog.objects.store import Store
from voxledger.catalog.queries import load
from voxledger.catalog.recorder import Recorder

DOCUMENTS = "consents"
"""The folder of documents, in the bucket as in HOME/voices."""
_SQL = load("journal.sql", "voxledger.catalog.erasure")
_LOOK = 0.1


def hashes(subject: Subject, keeper: Keeper) -> tuple[str, ...]:
    """The SHA-256 of recordings and documents that go with a subject. What somebody else registered too stays theirs."""
    with keeper.reading(fresh=False) as reading:
        rows = reading.tuples(SQL["registrations"])
    gone, kept = set[str](), set[str]()
    for sha256, consent, actor in rows:
        mine = sha256 == subject.target if subject.scope == "voice" else actor == subject.target
        (gone if mine else kept).update(found for found in (sha256, consent) if found)
    if subject.scope == "voice":
        gone.add(subject.target)
    return tuple(sorted(gone - kept))


def erase(
    which: Iterable[str],
    home: Home,
    recorder: Recorder,
    store: Store,
    bucket: str,
    deleter: Deleter,
    *,
    patience: float,
    trusted: bool = False,
) -> Done:
    """Delete them here and in the store, in all versions; uploads of them that wait are cancelled.

    Where their bucket is not there, what was stored may lie elsewhere, unless an operator said that it is gone (`trusted`).
    """
    wanted = tuple(which)
    if not wanted:
        return NOTHING
    stored = any(not recorder.journal.open_tasks(UPLOAD, [sha256]) for sha256 in wanted)
    there = has_bucket(store, bucket)
    if stored and not there and not trusted:
        return Done(
            outcome="failed",
            note=f"nobody knows whether recordings are gone: bucket {bucket} is not {place(store)}; did the endpoint or the bucket's name"
            f" change? Set it right and run this again, or {TRUST}",
        )
    deadline = time.monotonic() + patience
    recorder.journal.take_back()
    while True:
        with recorder.journal.transaction() as write:
            busy = sum(write.cancel_tasks(sha256) for sha256 in wanted)
            for sha256 in wanted:
                write.connection.execute(_SQL["forget_recordings"], (sha256,))
                write.connection.execute(_SQL["forget_names"], (sha256,))
        if not busy or time.monotonic() > deadline:
            break
        time.sleep(_LOOK)
    if busy:
        return Done(outcome="waiting", note="a recording was being uploaded just now; the next run goes on")
    for folder in (home.voices, home.voices / DOCUMENTS):
        for sha256 in wanted:
            for path in folder.glob(f"{sha256}.*"):
                path.unlink(missing_ok=True)
    if not there:
        return Done(outcome="done", count=len(wanted))
    size, keys = 0, list[str]()
    for sha256 in wanted:
        for prefix in (sha256, f"{DOCUMENTS}/{sha256}"):
            for info in store.list(bucket, prefix):
                keys.append(info.key)
                size += info.bytes
    # Where versions are kept, a recording that was deleted before still has some, under one of these names.
    if deleter.keeps_versions(bucket):
        keys += _hidden(store, bucket, wanted)
    answers = deleter.delete(bucket, keys)
    wrong = [answer for answer in answers.values() if not answer.gone]
    if wrong:
        return Done(outcome="failed", note=f"the store keeps a recording: {wrong[0].code} ({wrong[0].reason})")
    return Done(outcome="done", count=len(wanted), bytes=size)


def _hidden(store: Store, bucket: str, wanted: Iterable[str]) -> list[str]:
    keys = set[str]()
    for sha256 in wanted:
        for prefix in (sha256, f"{DOCUMENTS}/{sha256}"):
            page = store.request(
                f"LIST versions of {bucket}/{prefix}",
                lambda s3: s3.list_object_versions(Bucket=bucket, Prefix=prefix),  # noqa: B023  # called at once
            )
            keys.update(found["Key"] for kind in ("Versions", "DeleteMarkers") for found in page.get(kind, []))  # type: ignore[attr-defined]  # both kinds have one
    return sorted(keys)


def forget_speech(home: Home, subject: Subject) -> Done:
    """Spoken sentences. Which of them a voice spoke nobody can tell, so with a voice all go: they are made again when needed."""
    folder = home.speech / subject.target if subject.scope == "actor" else home.speech
    if not folder.exists():
        return NOTHING
    count = sum(1 for path in folder.rglob("*") if path.is_file())
    shutil.rmtree(folder)
    return Done(outcome="done", count=count)
