"""Features: what a store can do, as `voxledger doctor` found it by trying, kept in HOME by endpoint."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.home import Home
from voxledger.catalog.settings import Store as StoreSettings

FILE_NAME = "store.features.json"
EMBEDDED_ENDPOINT = "embedded"
"""What stands for the endpoint of the embedded store, whose port changes."""


class Features(msgspec.Struct, frozen=True, kw_only=True):
    """What a store can do. None = nobody has tried, or the access key may not: do without it, and rely on nothing.

    `probed` is when it was tried, in s since the epoch; None = never, known without trying, or only by keys that could try
    nothing. `notes` say, by the name of a feature, what the store answered where it was not simply yes; they hold no secret and
    no key of an object.
    """

    endpoint: str = ""
    server: str = ""
    """What the store calls itself in its answers; empty where it does not."""
    probed: float | None = None
    conditional_put: bool | None = None
    """`If-None-Match: *` is honoured: a PUT onto an object that is there is refused with 412, and changes nothing."""
    conditional_race: bool | None = None
    """Of many such PUTs at once exactly one wins."""
    conditional_versioned: bool | None = None
    """The same in a bucket that keeps versions; Ceph 16.2 overwrites there."""
    conditional_multipart: bool | None = None
    """`If-None-Match: *` is honoured when a multipart upload is completed."""
    conditional_get: bool | None = None
    """`If-Match` is honoured: a GET of an object that has changed is refused with 412."""
    multipart: bool | None = None
    list_parts: bool | None = None
    """Parts of an unfinished multipart upload can be listed, so that it can go on after a crash."""
    list_uploads: bool | None = None
    """Unfinished multipart uploads can be listed, so that forgotten ones can be given up."""
    ranges: bool | None = None
    presign: bool | None = None
    copy: bool | None = None
    """Objects are copied within the store, without passing through us."""
    metadata: bool | None = None
    """User metadata is kept, also when the store restarts."""
    tags: bool | None = None
    md5_refused: bool | None = None
    """A body that is not what its Content-MD5 promises is refused."""
    sha256_refused: bool | None = None
    """A body that is not what its checksum header x-amz-checksum-sha256 promises is refused."""
    versioning: bool | None = None
    object_lock: bool | None = None
    lifecycle: bool | None = None
    tag_filter: bool | None = None
    """Lifecycle rules with a prefix and a tag are kept as they were written."""
    abort_rule: bool | None = None
    """Lifecycle rules that give up unfinished multipart uploads are kept as they were written."""
    versioned: bool | None = None
    """Whether the bucket of clips keeps versions; what stands above was tried in a bucket like it."""
    clock_skew_s: float | None = None
    """How far the store's clock is ahead of ours, in s, to about a second."""
    makes_buckets: bool | None = None
    """Whether the access key that tried may make buckets. Says nothing of the store, and is not written down."""
    notes: dict[str, str] = {}

    @property
    def never_overwrites(self) -> bool:
        """Whether a PUT with `If-None-Match: *` can be trusted, even against a second writer at the same moment."""
        return self.conditional_put is True and self.conditional_race is True


EMBEDDED = Features(
    endpoint=EMBEDDED_ENDPOINT,
    server="rclone",
    conditional_put=False,
    conditional_race=False,
    conditional_versioned=False,
    conditional_multipart=False,
    conditional_get=False,
    multipart=True,
    list_parts=True,
    list_uploads=True,
    ranges=True,
    presign=True,
    copy=True,
    metadata=False,
    tags=False,
    md5_refused=True,
    sha256_refused=False,
    versioning=False,
    object_lock=False,
    lifecycle=False,
    tag_filter=False,
    abort_rule=False,
    versioned=False,
    clock_skew_s=0.0,
    makes_buckets=True,
)
"""What the embedded store can do: rclone 1.75, tried in tests."""


class _Kept(msgspec.Struct, kw_only=True):
    """The content of the file."""

    endpoints: dict[str, Features] = {}


def store_features(home: Home, settings: StoreSettings) -> Features:
    """What is known of the store that the section `[store]` names. Reads one small file; contacts nobody, never fails.

    An endpoint that was never tried, or a file that cannot be read, gives Features in which everything is None.
    """
    if not settings.endpoint:
        return EMBEDDED
    endpoint = normal(settings.endpoint)
    return _read(home).endpoints.get(endpoint) or Features(endpoint=endpoint)


def keep_features(home: Home, features: Features) -> Features:
    """Write down what was found, and give what is known now. Raises OSError.

    What could not be tried this time, as keys with few rights cannot, stays as it was found before.
    """
    if features.endpoint == EMBEDDED_ENDPOINT:
        return features
    with platform.locked(home.path / f".{FILE_NAME}.lock"):
        name, endpoints = normal(features.endpoint), dict(_read(home).endpoints)
        found = msgspec.structs.replace(features, makes_buckets=None)
        known = endpoints[name] = _joined(found, endpoints.get(name))
        kept = _Kept(endpoints=endpoints)
        platform.write_atomic(_path(home), msgspec.json.format(msgspec.json.encode(kept)), mode=0o600)
    return known


def _joined(found: Features, before: Features | None) -> Features:
    if before is None or before.server != found.server:
        return found
    older: dict[str, Any] = {
        name: getattr(before, name)
        for name in Features.__struct_fields__
        if getattr(found, name) is None
        and getattr(before, name) is not None
        # Where the bucket began to keep versions, or stopped, what was tried before says nothing of these.
        and not (
            name.startswith("conditional_") and found.versioned is not None and found.versioned != before.versioned
        )
    }
    notes = {name: note for name, note in found.notes.items() if name not in older}
    notes |= {name: before.notes[name] for name in older if name in before.notes}
    return msgspec.structs.replace(found, **older, notes=notes)


def normal(endpoint: str) -> str:
    """One spelling for one endpoint."""
    return endpoint.rstrip("/").lower()


def _path(home: Home) -> Path:
    return home.path / FILE_NAME


def _read(home: Home) -> _Kept:
    """What the file holds. Uploads ask for it again and again: it is read once for each state it is in."""
    path = _path(home)
    with contextlib.suppress(OSError):
        state = path.stat()
        return _decoded(path, state.st_ino, state.st_mtime_ns, state.st_size)
    return _Kept()


@lru_cache(maxsize=8)
def _decoded(path: Path, *state: int) -> _Kept:  # noqa: ARG001  # the state only tells one content from another
    # What the system refuses now it may give the next time: only an answer is kept.
    content = path.read_bytes()
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(content, type=_Kept)
    return _Kept()
