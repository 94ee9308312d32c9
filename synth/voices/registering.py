"""Registering: from a file that somebody names to a recording that may be spoken with, or to nothing at all.

Bytes first, then the event: killed in between, a file lies in HOME/voices that no voice knows, and no voice is half there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from voxledger.catalog.events import Event, VoiceRegistered, now
from voxledger.catalog.events import encode as acknowledged
from voxledger.catalog.failpoints import failpoint
from voxledger.catalog.home import Home
from voxledger.catalog.journal import UPLOAD, Transaction
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import Settings
from voxledger.synth.errors import RecordingRefused
from voxledger.synth.labels import clean_label
from voxledger.synth.voices.checks import Measured, forced, judge
from voxledger.synth.voices.decoding import measured
from voxledger.synth.voices.intake import MOST_BYTES, MOST_DOCUMENT_BYTES, Taken, job, take, unwritable
from voxledger.synth.voices.registry import Registry
from voxledger.synth.voices.shelf import DOCUMENTS, Shelf

_SCOPE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_HASH = re.compile(r"[0-9a-f]{8,64}")
_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "ogg": "audio/ogg", "mp3": "audio/mpeg", "aiff": "audio/aiff"}
_LOUDNESS_S = 120
"""Loudness is that of the first two minutes: ten would take half a gigabyte to measure."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A registration as asked for, every field checked but the recording itself."""

    name: str
    recording: Path
    consent: Path | None
    scope: str
    expires: datetime | None
    actor: str
    force: bool

    @classmethod
    def of(
        cls,
        name: str,
        recording: str | Path,
        *,
        own: bool,
        consent: str | Path | None,
        scope: str,
        expires: datetime | None,
        actor: str,
        force: bool,
    ) -> Asked:
        """Raises RecordingRefused that says what is wrong."""
        for what, path in (("recording", recording), ("consent", consent if consent is not None else "")):
            if not isinstance(path, (str, Path)):
                raise RecordingRefused(f"the {what} must be the path of a file, not {path!r}")
        for what, flag in (("own", own), ("force", force)):
            if not isinstance(flag, bool):
                raise RecordingRefused(f"{what} must be True or False, not {flag!r}")
        if expires is not None and not isinstance(expires, datetime):
            raise RecordingRefused(f"the end of consent must be a datetime with its time zone, not {expires!r}")
        if own == (consent is not None):
            raise RecordingRefused(
                "say what the right to use this voice rests on, one of the two: own (it is your own voice) or consent, a document"
                " in which the speaker agrees (--own or --consent FILE)"
            )
        if not isinstance(scope, str) or not _SCOPE.fullmatch(scope):
            raise RecordingRefused(
                f"the scope {scope!r} is more than a category: one word of small letters, digits and hyphens, such as internal"
                " or commercial (what else was agreed stands in the document)"
            )
        if expires is not None and expires.tzinfo is None:
            raise RecordingRefused(f"the end of consent, {expires.isoformat()}, has no time zone; use UTC")
        if expires is not None and expires <= now():
            raise RecordingRefused(f"this consent has ended already, on {expires:%Y-%m-%d %H:%M %Z}")
        clean = clean_label("name", name)
        if _HASH.fullmatch(clean):
            raise RecordingRefused(
                f"the name {clean!r} reads like a SHA-256, by which voices are found too; choose another"
            )
        return cls(
            name=clean,
            recording=Path(recording).expanduser(),
            consent=None if consent is None else Path(consent).expanduser(),
            scope=scope,
            expires=None if expires is None else expires.astimezone(UTC),
            actor=clean_label("actor", actor),
            force=force,
        )


class _Kept(NamedTuple):
    """What lies in HOME/voices before anything is recorded: the recording, and the document if there is one."""

    recording: Taken
    key: str
    document: Taken | None
    document_key: str | None
    found: Measured
    loudness: float | None
    warnings: tuple[str, ...]


def register(
    asked: Asked, home: Home, settings: Settings, recorder: Recorder, registry: Registry, shelf: Shelf
) -> tuple[str, tuple[str, ...]]:
    """Copy, check, keep and record; gives the SHA-256 and the warnings. Raises RecordingRefused; nothing is kept then."""
    actor = recorder.vault.actor(asked.actor)
    home.require_room(settings.general.min_free_disk)
    kept = _keep(asked, shelf)
    failpoint("voices.after_copy")
    fact = _fact(asked, kept, settings.store.voices)

    def put_up(write: Transaction, event: Event) -> None:
        for upload in _uploads(fact, kept, shelf, event):
            payload = recorder.seal(msgspec.to_builtins(upload), actor=actor, about=fact.sha256)
            write.add_task(UPLOAD, subject=fact.sha256, actor=actor.id, payload=payload)

    registry.register(fact, actor=actor, put_up=put_up)
    return fact.sha256, kept.warnings


def _keep(asked: Asked, shelf: Shelf) -> _Kept:
    document, document_key = None, None
    with job(shelf.folder) as folder:
        recording = take(asked.recording, folder / "recording", most=MOST_BYTES, what="recording")
        if asked.consent:
            document = take(asked.consent, folder / "document", most=MOST_DOCUMENT_BYTES, what="consent document")
            document_key = f"{DOCUMENTS}/{document.sha256}{_ending(asked.consent)}"
        found = measured(folder, asked.recording)
        verdict = forced(found) if asked.force else judge(found)
        if verdict.refusal:
            raise RecordingRefused(f"the recording {asked.recording} cannot be taken: {verdict.refusal}")
        loudness = _loudness(folder / "mono.f32", found.rate)
        key = f"{recording.sha256}.{found.extension}"
        try:
            shelf.put(recording, key)
            if document and document_key:
                shelf.put(document, document_key)
        except OSError as error:
            raise unwritable(shelf.folder, error) from error
    return _Kept(recording, key, document, document_key, found, loudness, verdict.warnings)


def _fact(asked: Asked, kept: _Kept, bucket: str) -> VoiceRegistered:
    return VoiceRegistered(
        sha256=kept.recording.sha256,
        bytes=kept.recording.bytes,
        duration_us=round(kept.found.duration * 1e6),
        speech_us=kept.found.speech_us,
        sample_rate=kept.found.rate,
        channels=kept.found.channels,
        loudness_lufs=kept.loudness,
        consent="document" if kept.document else "own",
        consent_sha256=kept.document.sha256 if kept.document else None,
        scope=asked.scope,
        expires=asked.expires,
        bucket=bucket,
        name=asked.name,
        key=kept.key,
        consent_path=kept.document_key,
    )


def _uploads(fact: VoiceRegistered, kept: _Kept, shelf: Shelf, event: Event) -> Iterator[Upload]:
    """The recording, with its event beside it where the store forgets metadata, and the document.

    The log hears of a registration once; that everything has arrived shows in the tasks being done.
    """
    for taken, key, kind in ((kept.recording, kept.key, "voice"), (kept.document, kept.document_key, "consent")):
        if taken and key:
            yield Upload(
                bucket=fact.bucket,
                key=key,
                path=str(shelf.path(key)),
                content_type=_TYPES.get(key.rpartition(".")[2], "application/octet-stream"),
                sha256=taken.sha256,
                bytes=taken.bytes,
                metadata={"voice": fact.sha256, "sha256": taken.sha256, "consent": fact.consent},
                tags={"app": "voxledger", "kind": kind},
                record=acknowledged(event).decode() if kind == "voice" else None,
                event=False,
            )


def _ending(path: Path | None) -> str:
    """The ending of a document's name where it is an ordinary one: what is inside is nobody's business here."""
    suffix = "" if path is None else path.suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ".bin"


def _loudness(path: Path, rate: int) -> float | None:
    import numpy as np
    import torch

    from voxledger.synth.audio import integrated_loudness, on_one_core

    samples: Any = np.fromfile(path, dtype=np.float32, count=_LOUDNESS_S * rate)
    found = on_one_core(lambda: integrated_loudness(torch.from_numpy(samples), rate))
    return None if found is None else round(found, 2)
