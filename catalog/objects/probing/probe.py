"""The probe: tries a store, one feature after the other, and says what was found."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.features import EMBEDDED_ENDPOINT, Features, normal
from voxledger.catalog.objects.probing import bucket_trials, object_trials
from voxledger.catalog.objects.probing.place import Place, place_of
from voxledger.catalog.objects.store import Store

Trial = Callable[[Place], bool | None]
_FORGETFUL = "rclone"
"""A server that keeps metadata in memory only: trying it shows metadata that are gone with the next restart."""

TRIALS: dict[str, Trial] = {
    "conditional_put": object_trials.conditional_put,
    "conditional_race": object_trials.conditional_race,
    "conditional_get": object_trials.conditional_get,
    "multipart": object_trials.multipart,
    "list_parts": object_trials.list_parts,
    "list_uploads": object_trials.list_uploads,
    "conditional_multipart": object_trials.conditional_multipart,
    "ranges": object_trials.ranges,
    "presign": object_trials.presign,
    "copy": object_trials.copy,
    "metadata": object_trials.metadata,
    "tags": object_trials.tags,
    "md5_refused": object_trials.md5_refused,
    "sha256_refused": object_trials.sha256_refused,
    "object_lock": bucket_trials.object_lock,
    "versioning": bucket_trials.versioning,
    "lifecycle": bucket_trials.lifecycle,
    "tag_filter": bucket_trials.tag_filter,
    "abort_rule": bucket_trials.abort_rule,
}
"""What is tried, by the name of the feature."""


def probe(store: Store, *, told: Callable[[str], None] = lambda name: None) -> Features:
    """Try everything, about 150 small requests and one of 5 MiB; `told` hears the name of each feature before its turn.

    It happens in a bucket that is made for it, or, where the access key may not make one, under `voxledger-probe/` in
    the bucket of clips; both are left as they were. Raises StoreUnavailable when nobody answers, StoreError when the
    store refuses everything.
    """
    server, skew = greeting(store)
    found: dict[str, bool | None] = {}
    notes: dict[str, str] = {}
    with place_of(store, store.settings.audio) as place:
        for name, trial in TRIALS.items():
            told(name)
            found[name] = _tried(name, trial, place, notes)
    if _FORGETFUL in server.lower() and found["metadata"]:
        found["metadata"] = False
        notes["metadata"] = "kept only until the server restarts"
    return Features(
        endpoint=EMBEDDED_ENDPOINT if store.is_embedded else normal(store.endpoint),
        server=server,
        probed=time.time(),
        clock_skew_s=skew,
        notes=notes,
        **found,
    )


def greeting(store: Store) -> tuple[str, float | None]:
    """What the store calls itself, and how far its clock is ahead of ours in s; a refusal tells both as well."""
    headers: dict[str, str] = {}
    bucket = store.settings.audio

    def look(s3: Any) -> None:
        answer = s3.head_bucket(Bucket=bucket)
        headers.update(answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}))

    before = time.time()
    try:
        store.request(f"HEAD {bucket}", look)
    except StoreUnavailable:
        raise
    except StoreError as error:
        response = getattr(error.__cause__, "response", {})
        headers.update(response.get("ResponseMetadata", {}).get("HTTPHeaders", {}))
    return headers.get("server", ""), _skew(headers.get("date", ""), (before + time.time()) / 2)


def _skew(date: str, ours: float) -> float | None:
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return None
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    # The header has whole seconds, cut off: half a second is what is lost on average.
    ahead = theirs.timestamp() + 0.5 - ours
    return 0.0 if abs(ahead) <= 1 else round(ahead, 1)


def _tried(name: str, trial: Trial, place: Place, notes: dict[str, str]) -> bool | None:
    """What a trial has shown. A refusal for want of rights, and one that passes, show nothing: None."""
    try:
        return trial(place)
    except StoreUnavailable as error:
        if not place.store.answers():
            raise
        notes[name] = f"the store broke off ({error.code})"
    except StoreError as error:
        code = error.code or "refused"
        if code in seam.REFUSED:
            notes[name] = "the access key may not try it"
        elif seam.is_transient(error):
            notes[name] = f"could not be tried now ({code})"
        else:
            notes[name] = f"refused ({code})"
            return False
    return None
