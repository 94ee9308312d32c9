"""Policies: each is enough for its role on a real Ceph, and allows nothing that belongs to another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.s3 import S3Server
from voxledger.catalog.errors import SettingsError, StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.policies import ROLES, clip_prefix, policy
from voxledger.catalog.settings import Retention as RetentionSettings
from voxledger.catalog.settings import Settings
from voxledger.catalog.settings import Store as StoreSettings

Step = Callable[[Store, str], object]
STEPS: dict[str, Step] = {
    "put a clip": lambda store, name: store.put(f"{name}-audio", "clips/new.wav", b"sound", tags={"app": "voxledger"}),
    "put elsewhere": lambda store, name: store.put(f"{name}-audio", "other/new.wav", b"sound"),
    "put a segment": lambda store, name: store.put(f"{name}-events", "node/1.zst", b"events"),
    "play a clip": lambda store, name: store.get(f"{name}-audio", "clips/old.wav"),
    "read elsewhere": lambda store, name: store.get(f"{name}-audio", "other/old.wav"),
    "see that it is gone": lambda store, name: store.head(f"{name}-audio", "clips/never.wav"),
    "delete a clip": lambda store, name: store.delete(f"{name}-audio", "clips/gone.wav"),
    "delete elsewhere": lambda store, name: store.delete(f"{name}-audio", "other/gone.wav"),
    "tag a clip": lambda store, name: _tag(store, f"{name}-audio", "clips/old.wav"),
    "list old versions": lambda store, name: store.request(
        "VERSIONS", lambda s3: s3.list_object_versions(Bucket=f"{name}-audio")
    ),
    "pull a model": lambda store, name: store.get(f"{name}-models", "blobs/old"),
    "push a model": lambda store, name: store.put(f"{name}-models", "blobs/new", b"weights"),
    "write a backup": lambda store, name: store.put(f"{name}-backup", "chunks/new", b"sealed"),
    "prune a backup": lambda store, name: store.delete(f"{name}-backup", "chunks/gone"),
    "copy into a backup": lambda store, name: store.request(
        "COPY",
        lambda s3: s3.copy_object(
            Bucket=f"{name}-backup", Key="audio/old", CopySource={"Bucket": f"{name}-audio", "Key": "clips/old.wav"}
        ),
    ),
    "clean up models": lambda store, name: _delete_many(store, f"{name}-models", ["blobs/gone", "blobs/gone too"]),
    "read the rules": lambda store, name: _rules(store, f"{name}-audio"),
    "read a voice": lambda store, name: store.get(f"{name}-voices", "voice"),
}
ALLOWED: dict[str, set[str]] = {
    "uploader": {"put a clip", "put a segment", "tag a clip"},  # tags on what it puts need this right on AWS
    "reader": {"play a clip", "see that it is gone", "pull a model", "read a voice"},
    "retention": {"play a clip", "see that it is gone", "delete a clip", "tag a clip"},
    "erasure": {
        "play a clip",
        "see that it is gone",
        "delete a clip",
        "list old versions",
        "read a voice",
        "write a backup",
        "prune a backup",
        "copy into a backup",
    },
    "models": {"pull a model", "push a model", "clean up models"},
    "backup": {"play a clip", "see that it is gone", "write a backup", "prune a backup", "copy into a backup"},
    "administrator": {"read the rules", "see that it is gone"},  # who may list is told that something is not there
}


def _code(step: Step, store: Store, name: str) -> str | None:
    try:
        step(store, name)
    except StoreError as error:
        return error.code
    return None


def _tag(store: Store, bucket: str, key: str) -> None:
    tagging: Any = {"TagSet": [{"Key": "voxledger-expire", "Value": "purged"}]}
    store.request("TAG", lambda s3: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tagging))


def _delete_many(store: Store, bucket: str, keys: list[str]) -> None:
    for code in store.delete_many(bucket, keys).values():
        raise StoreError(bucket, code=code)


def _rules(store: Store, bucket: str) -> None:
    try:
        store.request("RULES", lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=bucket))
    except StoreError as error:
        if error.code != "NoSuchLifecycleConfiguration":
            raise


def _settings(server: S3Server, name: str) -> Settings:
    names = {kind: f"{name}-{kind}" for kind in ("audio", "events", "voices", "models", "backup")}
    return Settings(
        store=server.settings(key="clips/{actor}/{clip}.{ext}", **names),
        retention=RetentionSettings(backstop=30 * 86400.0),
    )


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_do_its_work_and_nothing_else(role: str, tmp_path: Path, ceph_store: S3Server, bucket: str) -> None:
    home = Home.open(tmp_path / "home")
    settings = _settings(ceph_store, bucket)
    owner = Store(home, settings.store)
    for kind, keys in {
        "audio": ["clips/old.wav", "clips/gone.wav", "other/old.wav", "other/gone.wav"],
        "events": ["node/0.zst"],
        "voices": ["voice"],
        "models": ["blobs/old", "blobs/gone", "blobs/gone too"],
        "backup": ["chunks/gone"],
    }.items():
        for key in keys:
            owner.put(f"{bucket}-{kind}", key, b"sound")

    user = ceph_store.user(policy([role], settings))
    limited = Store(home, user.settings(key=settings.store.key))
    codes = {name: _code(step, limited, bucket) for name, step in STEPS.items()}
    assert {name for name, code in codes.items() if code is None} == ALLOWED[role]
    assert set(codes.values()) <= {None, "AccessDenied", "403"}


def test_roles_are_joined_and_keep_to_the_buckets_of_the_settings() -> None:
    settings = Settings(store=StoreSettings(audio="mine", region="cn-north-1"))
    document = policy(["uploader", "reader", "uploader"], settings)
    sids = [statement["Sid"] for statement in document["Statement"]]
    assert len(sids) == len(set(sids))
    resources = {resource for statement in document["Statement"] for resource in statement["Resource"]}
    assert "arn:aws-cn:s3:::mine/*" in resources
    assert not any("indextts-audio" in resource for resource in resources)
    assert all(
        action.startswith("s3:") and "*" not in action for each in document["Statement"] for action in each["Action"]
    )


def test_tags_are_granted_only_with_a_backstop() -> None:
    without, backed = (
        str(policy(["retention"], Settings(retention=RetentionSettings(backstop=span)))) for span in (0.0, 86400.0)
    )
    assert "PutObjectTagging" not in without
    assert "PutObjectTagging" in backed


def test_an_unknown_role_is_named_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match="no role 'boss'; the roles are uploader, reader"):
        policy(["boss"], Settings())


@pytest.mark.parametrize(
    ("template", "prefix"), [("{actor}/{clip}", ""), ("clips/{clip}", "clips/"), ("a/b-{clip}", "a/b-")]
)
def test_the_prefix_of_clips_is_what_all_their_keys_begin_with(template: str, prefix: str) -> None:
    assert clip_prefix(template) == prefix
    assert msgspec.json.encode(policy(ROLES, Settings(store=StoreSettings(key=template))))
