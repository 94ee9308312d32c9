"""Policies: the least that the access key of each role must be allowed, as IAM documents for the buckets in use.

AWS, MinIO, Silo, RustFS, SeaweedFS and Ceph take such documents for users (docs/stores.md says how). One key may have
several roles: their documents are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.objects.probing.place import BUCKET
from voxledger.catalog.settings import Settings

VERSION = "2012-10-17"
"""The version of the policy language, a constant of IAM."""
TOMBSTONES = "erased/"
"""How the keys of tombstones begin."""
_WRITE = ("PutObject", "AbortMultipartUpload", "ListMultipartUploadParts")


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """Actions (without `s3:`) on a bucket, or with `prefix` on its objects that begin with it."""

    actions: tuple[str, ...]
    bucket: str
    prefix: str | None = None


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of work needs. `purpose` says what a key with this role is for."""

    purpose: str
    grants: Callable[[Settings], Sequence[Grant]]


def clip_prefix(template: str) -> str:
    """How the keys of all clips begin: `store.key` up to its first field; often nothing."""
    return template.partition("{")[0]


def policy(roles: Iterable[str], settings: Settings) -> dict[str, Any]:
    """The IAM document for a key that has these roles. Raises SettingsError for a role that there is not."""
    statements = []
    for name in dict.fromkeys(roles):
        if name not in ROLES:
            raise SettingsError(f"there is no role {name!r}; the roles are {', '.join(ROLES)}")
        statements += [
            _statement(f"{name.title()}{number}", grant, _partition(settings.store.region))
            for number, grant in enumerate(ROLES[name].grants(settings), 1)
        ]
    return {"Version": VERSION, "Statement": statements}


def _statement(identity: str, grant: Grant, partition: str) -> dict[str, Any]:
    resource = f"arn:{partition}:s3:::{grant.bucket}"
    if grant.prefix is not None:
        resource += f"/{grant.prefix}*"
    return {
        "Sid": identity,
        "Effect": "Allow",
        "Action": [f"s3:{action}" for action in grant.actions],
        "Resource": [resource],
    }


def _partition(region: str) -> str:
    """AWS names the things of China and of GovCloud in namespaces of their own."""
    return "aws-cn" if region.startswith("cn-") else "aws-us-gov" if region.startswith("us-gov-") else "aws"


def _uploader(settings: Settings) -> list[Grant]:
    store = settings.store
    return [
        Grant(actions=(*_WRITE, "PutObjectTagging"), bucket=store.audio, prefix=clip_prefix(store.key)),
        Grant(actions=(*_WRITE, "PutObjectTagging"), bucket=store.voices, prefix=""),
        Grant(actions=_WRITE, bucket=store.events, prefix=""),
    ]


def _reader(settings: Settings) -> list[Grant]:
    store = settings.store
    grants = [Grant(actions=("GetObject",), bucket=store.audio, prefix=clip_prefix(store.key))]
    grants += [
        Grant(actions=("GetObject",), bucket=bucket, prefix="") for bucket in (store.voices, store.events, store.models)
    ]
    # Without it the store says 403 rather than 404 of what is not there, and nobody can tell the two apart.
    return [*grants, *_listing(store.audio, store.voices, store.events, store.models)]


def _retention(settings: Settings) -> list[Grant]:
    store, prefix = settings.store, clip_prefix(settings.store.key)
    # A purge looks whether what it deleted is gone: GetObject is the right to look.
    actions = ("DeleteObject", "GetObject", *(("PutObjectTagging",) if settings.retention.backstop else ()))
    return [Grant(actions=actions, bucket=store.audio, prefix=prefix), *_listing(store.audio)]


def _erasure(settings: Settings) -> list[Grant]:
    store = settings.store
    actions = ("DeleteObject", "DeleteObjectVersion", "GetObject", "AbortMultipartUpload")
    return [
        Grant(actions=actions, bucket=store.audio, prefix=clip_prefix(store.key)),
        Grant(actions=actions, bucket=store.voices, prefix=""),
        # Manifests are written anew, and a tombstone says that nobody comes back.
        Grant(actions=(*actions, "PutObject"), bucket=store.backup, prefix=""),
        Grant(actions=("GetObject", "PutObject"), bucket=store.events, prefix=TOMBSTONES),
        *(
            Grant(actions=("ListBucket", "ListBucketVersions", "GetBucketVersioning"), bucket=bucket)
            for bucket in (store.audio, store.voices, store.backup)
        ),
        *_listing(store.events),
    ]


def _models(settings: Settings) -> list[Grant]:
    bucket = settings.store.models
    return [
        # To bring back what was deleted is to delete the deletion, which is a version of its own.
        Grant(
            actions=(*_WRITE, "GetObject", "GetObjectVersion", "DeleteObject", "DeleteObjectVersion"),
            bucket=bucket,
            prefix="",
        ),
        Grant(actions=("ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"), bucket=bucket),
    ]


def _backup(settings: Settings) -> list[Grant]:
    store = settings.store
    return [
        # A copy within the store takes the tags along.
        Grant(actions=("GetObject", "GetObjectTagging"), bucket=store.audio, prefix=clip_prefix(store.key)),
        Grant(actions=("GetObject",), bucket=store.events, prefix=""),
        *_listing(store.audio, store.events),
        Grant(actions=(*_WRITE, "PutObjectTagging", "GetObject", "DeleteObject"), bucket=store.backup, prefix=""),
        Grant(actions=("ListBucket", "ListBucketMultipartUploads"), bucket=store.backup),
    ]


def _administrator(settings: Settings) -> list[Grant]:
    store = settings.store
    configure = (
        "CreateBucket", "ListBucket", "GetBucketLocation", "GetBucketVersioning", "PutBucketVersioning", "GetBucketPolicy",
        "PutBucketPolicy", "GetLifecycleConfiguration", "PutLifecycleConfiguration", "GetBucketObjectLockConfiguration",
    )  # fmt: skip
    ours = dict.fromkeys((store.audio, store.events, store.voices, store.models, store.backup))
    probes = f"{BUCKET}*"
    return [
        *(Grant(actions=configure, bucket=bucket) for bucket in ours),
        Grant(
            actions=(
                *configure, "DeleteBucket", "PutBucketObjectLockConfiguration", "ListBucketVersions",
                "ListBucketMultipartUploads",
            ),
            bucket=probes,
        ),
        Grant(
            actions=(
                *_WRITE, "GetObject", "GetObjectVersion", "DeleteObject", "DeleteObjectVersion", "GetObjectTagging",
                "PutObjectTagging",
            ),
            bucket=probes,
            prefix="",
        ),
    ]  # fmt: skip


def _listing(*buckets: str) -> list[Grant]:
    return [Grant(actions=("ListBucket",), bucket=bucket) for bucket in dict.fromkeys(buckets)]


ROLES: dict[str, Role] = {
    "uploader": Role(purpose="puts clips, voices and sealed segments of the log; reads and deletes nothing", grants=_uploader),
    "reader": Role(purpose="plays clips, makes links, pulls models and lost segments; changes nothing", grants=_reader),
    "retention": Role(purpose="deletes the audio that a policy condemned, and sees that it is gone", grants=_retention),
    "erasure": Role(purpose="deletes old versions too, for whoever asks to be forgotten", grants=_erasure),
    "models": Role(purpose="pushes, restores and cleans up model versions", grants=_models),
    "backup": Role(purpose="reads what is saved, and keeps the bucket of backups", grants=_backup),
    "administrator": Role(
        purpose="makes buckets, sets lifecycle rules and policies, and lets `voxledger doctor` try everything",
        grants=_administrator,
    ),
}  # fmt: skip
"""The roles, by name."""
