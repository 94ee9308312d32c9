"""The bucket of models: which objects there are, and what each holds.

blobs/sha256/ab/abcdef…          the content of a file, shared by all versions that have it
manifests/NAME/VERSION.json      the files of a version; whoever deletes it deletes the version
copies/NAME/VERSION/SHA256.json  the same once more, so that a version deleted by hand can be told again
removed/NAME/VERSION/SHA256.json the same, of a version that was removed on purpose; `gc` takes it after a grace
gone/NAME/VERSION/SHA256.json    that there was one, after that: its name is not given to other files
current/NAME.json                which version is the current one, and which were before
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

from voxledger.catalog.errors import ModelError, StoreError
from voxledger.catalog.models.manifest import MOST_BYTES, Manifest, read_manifest
from voxledger.catalog.models.names import Reference, parse
from voxledger.catalog.objects import ObjectInfo, Store
from voxledger.catalog.objects.client import MISSING, NOT_KNOWN, TAKEN

_JSON = "application/json"
_TRIES = 4
_LONGEST_HISTORY = 200

Kept: TypeAlias = Literal["manifests", "copies", "removed", "gone"]
COPIES: tuple[Kept, Kept] = ("copies", "removed")
USED: tuple[Kept, ...] = (*COPIES, "gone")
"""Where it stands that a version's name was given to files."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is or was the current one, since when, and its manifest's SHA-256."""

    version: str
    manifest: str
    since: datetime


class Pointer(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of a model is the current one: the last of `history`, which is never empty."""

    format: Literal[1] = 1
    name: str
    history: tuple[Step, ...]

    @property
    def current(self) -> Reference:
        """The current version."""
        return Reference(self.name, self.history[-1].version)


class Found(NamedTuple):
    """A pointer with the ETag it was read under."""

    pointer: Pointer
    etag: str


class Listed(NamedTuple):
    """A manifest in a listing; `sha256` is empty for those under manifests/, whose keys do not tell."""

    reference: Reference
    sha256: str
    modified: datetime
    key: str


def blob_key(sha256: str) -> str:
    """Where a content lies."""
    return f"blobs/sha256/{sha256[:2]}/{sha256}"


def manifest_key(reference: Reference) -> str:
    """Where the manifest of a version lies."""
    return f"manifests/{reference.name}/{reference.version}.json"


def current_key(name: str) -> str:
    """Where it stands which version of a model is the current one."""
    return f"current/{name}.json"


class Bucket:
    """Model versions as they lie in a store. Every method also raises StoreError and StoreUnavailable."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name

    def manifest(self, reference: Reference) -> Manifest | None:
        """The manifest of a version, None when there is none. Raises ModelError when it cannot be taken as it is."""
        content = self._get(manifest_key(reference))
        where = f"{self.name}/{manifest_key(reference)}"
        return None if content is None else read_manifest(content, reference, where=where)

    def kept(self, listed: Listed) -> Manifest:
        """A copy by its listing, held against its SHA-256. Raises ModelError when it is damaged or gone."""
        content = self._get(listed.key)
        where = f"{self.name}/{listed.key}"
        if content is None or hashlib.sha256(content).hexdigest() != listed.sha256:
            raise ModelError(
                f"{where} is {'gone' if content is None else 'damaged: its SHA-256 is not that of its name'}"
            )
        return read_manifest(content, listed.reference, where=where)

    def put_manifest(self, manifest: Manifest) -> None:
        """Put a version's manifest and the copy of it. Raises ModelError when the version has other files already."""
        content, key = manifest.encoded(), manifest_key(manifest.reference)
        if not self._put_new(key, content) and (found := self.manifest(manifest.reference)) != manifest:
            sha256 = "none" if found is None else found.sha256[:12]
            raise ModelError(
                f"{manifest.reference} lies in the store already with other files (manifest {sha256}…, not"
                f" {manifest.sha256[:12]}…): a version never changes. Choose another version"
            )
        self.settle(key)
        self.put_kept("copies", manifest)

    def put_kept(self, kind: Kept, manifest: Manifest) -> None:
        """Put a copy of a manifest under its SHA-256; again, where it is there: then it counts from now."""
        key = self._kept_key(kind, manifest)
        self.store.put(self.name, key, manifest.encoded(), content_type=_JSON)
        self.settle(key)

    def drop_kept(self, kind: Kept, manifest: Manifest) -> None:
        """Delete a copy of a manifest."""
        self.store.delete(self.name, self._kept_key(kind, manifest))

    def forget(self, removed: Listed) -> None:
        """Of a version that was removed keep no more than that there was one."""
        key = f"gone/{removed.key.partition('/')[2]}"
        self.store.put(self.name, key, b"{}\n", content_type=_JSON)
        self.settle(key)
        self.store.delete(self.name, removed.key)

    def listed(self, kind: Kept, under: str = "") -> Iterator[Listed]:
        """Manifests of one kind by key; `under` is the beginning of `NAME/VERSION`. Other keys are passed over."""
        for found in self.store.list(self.name, f"{kind}/{under}"):
            parts = found.key.removesuffix(".json").split("/")
            with_sha = kind != "manifests"
            if not found.key.endswith(".json") or len(parts) != (4 if with_sha else 3):
                continue
            try:
                reference = parse(f"{parts[1]}@{parts[2]}")
            except ModelError:
                continue
            yield Listed(reference, parts[3] if with_sha else "", found.modified, found.key)

    def blob(self, sha256: str) -> ObjectInfo | None:
        """What the store knows of a content."""
        return self.store.head(self.name, blob_key(sha256))

    def blobs(self) -> Iterator[ObjectInfo]:
        """All contents."""
        return self.store.list(self.name, "blobs/sha256/")

    def pointer(self, name: str) -> Found | None:
        """Which version of a model is the current one; None when nobody has said. Raises ModelError when it is damaged."""
        key = current_key(name)
        try:
            content, etag = self.store.request(f"GET {self.name}/{key}", lambda s3: _read(s3, self.name, key))
        except StoreError as error:
            if error.code in MISSING:
                return None
            raise
        try:
            pointer = msgspec.json.decode(content, type=Pointer)
            if not pointer.history or pointer.name != name:
                raise msgspec.ValidationError("it is empty, or another model's")
            for step in pointer.history:
                parse(f"{name}@{step.version}")
        except (msgspec.MsgspecError, UnicodeDecodeError, ModelError) as error:
            raise ModelError(
                f"{self.name}/{key} cannot be read ({error}); `voxledger models rollback {name} --to VERSION` writes it anew"
            ) from error
        return Found(pointer, etag)

    def point(self, name: str, history: Iterable[Step], *, before: Found | None) -> bool:
        """Write which version is the current one; False when somebody else did since `before` was read.

        That is noticed where the store honours conditions; elsewhere who comes last is right. Elsewhere is also a bucket that
        keeps versions in Ceph 16.2, which refuses the condition whatever lies there.
        """
        key = current_key(name)
        pointer = Pointer(name=name, history=tuple(history)[-_LONGEST_HISTORY:])
        content = msgspec.json.format(msgspec.json.encode(pointer), indent=1) + b"\n"
        if before is None:
            done = self._put_if(key, content, {"IfNoneMatch": "*"})
        else:
            # Ceph compares what it is sent as it is; others want the quotes, as HTTP has it.
            spellings = (before.etag, before.etag.strip('"'))
            refusals: list[str] = []
            done = any(self._put_if(key, content, {"IfMatch": etag}, refusals) for etag in spellings)
            if not done and "PreconditionFailed" in refusals and self._refuses_all(name, before):
                self.store.put(self.name, key, content, content_type=_JSON)
                done = True
        self.settle(key)
        return done

    def _refuses_all(self, name: str, before: Found) -> bool:
        """Whether a condition was refused although it held, as Ceph 16.2 does where versions are kept."""
        kept = self.store.request(
            f"GET versioning of {self.name}", lambda s3: s3.get_bucket_versioning(Bucket=self.name)
        ).get("Status")
        present = self.pointer(name)
        return bool(kept) and present is not None and present.etag == before.etag

    def settle(self, *keys: str) -> None:
        """Make what was put survive a power cut, where that is left to us."""
        self.store.settle(self.name, *keys)

    def _kept_key(self, kind: Kept, manifest: Manifest) -> str:
        return f"{kind}/{manifest.name}/{manifest.version}/{manifest.sha256}.json"

    def _get(self, key: str) -> bytes | None:
        try:
            found = self.store.head(self.name, key)
            if found is None:
                return None
            if found.bytes > MOST_BYTES:
                raise ModelError(f"{self.name}/{key} has {found.bytes:,} bytes, which no manifest of a model has")
            return self.store.get(self.name, key)
        except StoreError as error:
            if error.code in MISSING:
                return None
            raise

    def _put_new(self, key: str, content: bytes) -> bool:
        """Put an object that must not be there; False when it is."""
        if self.store.exists(self.name, key):
            return False
        return self._put_if(key, content, {"IfNoneMatch": "*"})

    def _put_if(self, key: str, content: bytes, condition: dict[str, str], refusals: list[str] | None = None) -> bool:
        """Put with a condition, which a store honours, ignores, or does not know: then without. `refusals` takes the code of one."""
        self.store.ensure_bucket(self.name)
        options: dict[str, Any] = {**condition, "ContentType": _JSON}
        for attempt in range(_TRIES):
            try:
                self.store.request(
                    f"PUT {self.name}/{key}",
                    lambda s3: s3.put_object(Bucket=self.name, Key=key, Body=content, **options),
                )
            except StoreError as error:
                if error.code in TAKEN:
                    if refusals is not None:
                        refusals.append("PreconditionFailed" if error.code == "412" else error.code or "")
                    # An answer may have been lost: then it is our own that is there.
                    return self._get(key) == content
                if error.code in NOT_KNOWN:
                    break
                if error.code == "InternalError" and attempt + 1 < _TRIES:
                    continue  # see Store.put
                raise
            else:
                return True
        self.store.put(self.name, key, content, content_type=_JSON)
        return True


def _read(s3: Any, bucket: str, key: str) -> tuple[bytes, str]:
    answer = s3.get_object(Bucket=bucket, Key=key)
    return answer["Body"].read(MOST_BYTES), answer["ETag"]
