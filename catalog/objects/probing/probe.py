"""The probe: tries a store, one feature after the other, and says what was found."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.objects import client as seam
from voxledger.catalog.objects.features import (
    EMBEDDED_ENDPOINT,
    Features,
    keep_features,
    normal,
    store_features,
)
from voxledger.catalog.objects.probing import bucket_trials, object_trials
from voxledger.catalog.objects.probing.place import NoPlace, Place, place_of
from voxledger.catalog.objects.store import Store

Trial = Callable[[Place], bool | None]
FORGETFUL = "rclone"
"""The server that keeps metadata in memory only: what trying shows is gone with its next restart."""
_RCLONE = "GoFakeS3"
"""The owner of everything in rclone's server, which calls itself AmazonS3."""
OBJECTS: dict[str, Trial] = {
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
}
"""What is tried with objects, in a bucket like that of the clips."""
BUCKETS: dict[str, Trial] = {
    "object_lock": bucket_trials.object_lock,
    "versioning": bucket_trials.versioning,
    "conditional_versioned": bucket_trials.conditional_versioned,
    "lifecycle": bucket_trials.lifecycle,
    "tag_filter": bucket_trials.tag_filter,
    "abort_rule": bucket_trials.abort_rule,
}
"""What is tried with a bucket."""


def probe(store: Store, *, told: Callable[[str], None] = lambda _: None) -> Features:
    """Try everything, about 150 small requests and one of 5 MiB; `told` hears the name of each feature before its turn.

    It happens in two buckets that are made for it, or, where the access key may not make any, under `voxledger-probe/`
    in the bucket of clips; nothing is left behind. Raises StoreUnavailable when nobody answers, StoreError when the
    keys are refused, or there is no place to try anything.
    """
    bucket = store.settings.audio
    server, skew = greeting(store)
    versioned = _versioned(store, bucket)
    notes: dict[str, str] = {}
    try:
        found, makes_buckets = _all_tried(store, bucket, bool(versioned), notes, told)
    except NoPlace:
        found, makes_buckets = dict.fromkeys(OBJECTS | BUCKETS), False
        notes = dict.fromkeys(found, "the access key may not delete what it would put")
    if server == FORGETFUL and found["metadata"]:
        found["metadata"] = False
        notes["metadata"] = "kept only until the server restarts"
    return Features(
        endpoint=EMBEDDED_ENDPOINT if store.is_embedded else normal(store.endpoint),
        server=server,
        # Keys that could try nothing have not tried the store: better ones, or `serve` later, shall still do it.
        probed=time.time() if any(result is not None for result in found.values()) else None,
        versioned=versioned,
        clock_skew_s=skew,
        makes_buckets=makes_buckets,
        notes=notes,
        **found,
    )


def learn(home: Home, store: Store) -> bool:
    """Try a store that nobody in this HOME has tried yet, and write down what it can do; whether that was so, and anything
    could be tried: with keys that may try nothing, it is as if nobody had.

    Raises StoreError and StoreUnavailable as `probe` does.
    """
    if store_features(home, store.settings).probed is not None or store.is_embedded:
        return False
    return keep_features(home, probe(store)).probed is not None


def _all_tried(
    store: Store, bucket: str, versioned: bool, notes: dict[str, str], told: Callable[[str], None]
) -> tuple[dict[str, bool | None], bool]:
    """What each trial has shown, and whether a bucket could be made for them."""
    found: dict[str, bool | None] = {}
    with place_of(store, bucket, versions=True) as keeping:
        for name, trial in BUCKETS.items():
            told(name)
            found[name] = _tried(name, trial, keeping, notes)
        with place_of(store, bucket) if keeping.made and not versioned else nullcontext(keeping) as place:
            for name, trial in OBJECTS.items():
                told(name)
                found[name] = _tried(name, trial, place, notes)
        return found, keeping.made


def _versioned(store: Store, bucket: str) -> bool | None:
    """Whether a bucket keeps versions; None when it is not there, or the access key may not ask."""
    try:
        found = store.request(f"VERSIONING of {bucket}", lambda s3: s3.get_bucket_versioning(Bucket=bucket))
    except StoreUnavailable:
        raise
    except StoreError:
        return None
    return found.get("Status") == "Enabled"


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
    return _server(store, headers), _skew(headers.get("date", ""), (before + time.time()) / 2)


def _server(store: Store, headers: dict[str, str]) -> str:
    """Its name, without what else the header says; Ceph has none, but numbers its requests in a way of its own."""
    with contextlib.suppress(StoreError):
        owner = store.request("LIST buckets", lambda s3: s3.list_buckets()).get("Owner", {})
        if owner.get("DisplayName") == _RCLONE:
            return FORGETFUL
    if headers.get("x-amz-request-id", "").startswith("tx0000"):
        return "Ceph"
    return re.sub(r"[^\w ./()-]", "", headers.get("server", ""))[:40]


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
    """What a trial has shown. A refusal for want of rights shows nothing, nor does a store that is busy: None."""
    for again in (True, True, False):
        try:
            shown = trial(place)
        except StoreUnavailable as error:
            if not place.store.answers():
                raise
            code = error.code or "broken off"
        except StoreError as error:
            code = error.code or "refused"
            if code in seam.CREDENTIALS:
                raise
            if code in seam.REFUSED:
                notes[name] = "the access key may not try it"
                return None
            if not seam.is_transient(error):
                break
        else:
            if shown is None:
                notes[name] = "the access key may not try it: it would have to make a bucket"
            return shown
        if not again and code in seam.BUSY:
            notes[name] = f"the store was too busy ({code})"
            return None
    # What fails three times in a row while all else is answered is something that this store cannot do.
    notes[name] = f"refused ({code})"
    return False
