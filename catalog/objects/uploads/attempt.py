"""One attempt at a task: what came of it, and what that says about the endpoint."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from voxledger.catalog.errors import StoreError, StoreUnavailable, VaultError
from voxledger.catalog.journal import Task
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.multipart import LARGE
from voxledger.catalog.objects.sending import LocalFileError, Sending, Stopped
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.transfer import AnotherObject, Sent, transfer
from voxledger.catalog.objects.uploads.unfinished import Unfinished
from voxledger.catalog.objects.uploads.upload import Upload, read_upload
from voxledger.catalog.recorder import Recorder

Verdict: TypeAlias = Literal["stored", "stopped", "hopeless", "refused", "passing"]
"""It is stored; it was asked to end; no repetition helps; a few repetitions may help; it passes by itself."""
Endpoint: TypeAlias = Literal["answered", "busy", "silent", "unasked"]
"""What an attempt says about the endpoint: silent also when nobody at all would be let in."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended. `failure` is its category, `reason` says it in words without names."""

    verdict: Verdict
    endpoint: Endpoint = "unasked"
    upload: Upload | None = None
    sent: Sent | None = None
    failure: str = ""
    reason: str = ""


def attempt(task: Task, recorder: Recorder, store: Store, unfinished: Unfinished, sending: Sending) -> Ended:
    """Do what a task asks for. Every end that is foreseen is an answer, no exception."""
    try:
        upload = read_upload(recorder.unseal(task.payload, actor=task.actor, about=task.subject))
    except (VaultError, msgspec.MsgspecError) as error:
        # A vault may come back, so this is not thrown away; a person decides.
        return Ended(verdict="hopeless", failure="Unreadable", reason=f"the task cannot be read: {error}")
    if upload.bytes > LARGE:
        sending.memory = unfinished.of(task, upload)
    sending.sha256 = upload.sha256
    try:
        sent = transfer(store, upload, tried=task.attempts > 1, sending=sending)
    except Stopped:
        return Ended(verdict="stopped", upload=upload)
    except (LocalFileError, AnotherObject) as error:
        endpoint: Endpoint = "answered" if isinstance(error, AnotherObject) else "unasked"
        reason = _impersonal(error, upload)
        return Ended(verdict="hopeless", endpoint=endpoint, upload=upload, failure=str(error.code), reason=reason)
    except StoreError as error:
        return _refusal(error, upload)
    except OSError as error:
        return Ended(
            verdict="refused", upload=upload, failure="LocalFileUnreadable",
            reason=f"the local file cannot be read: {error.strerror}",
        )  # fmt: skip
    return Ended(verdict="stored", endpoint="answered", upload=upload, sent=sent)


def _refusal(error: StoreError, upload: Upload) -> Ended:
    # Nobody answers, or nobody would be let in: that says nothing about this one task.
    silent = isinstance(error, StoreUnavailable) or error.code in seam.CREDENTIALS
    endpoint: Endpoint = "silent" if silent else "busy" if error.code in seam.BUSY else "answered"
    passing = silent or seam.is_transient(error)
    return Ended(
        verdict="passing" if passing else "refused", endpoint=endpoint, upload=upload, failure=error.code or "Refused",
        reason=_impersonal(error, upload),
    )  # fmt: skip


def _impersonal(error: StoreError, upload: Upload) -> str:
    """What went wrong, without the names a key is made of: it is written in the open, into the journal and logs."""
    return str(error).replace(upload.path, "(its file)").replace(upload.key, "(its key)")
