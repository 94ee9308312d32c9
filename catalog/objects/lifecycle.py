"""Lifecycle rules of our buckets: a backstop that the store itself keeps, behind what retention has decided.

Two kinds are written, and both are called `voxledger-…`: in the bucket of clips, what carries the tag `voxledger-expire`,
which only a purge sets and only after its start is in the log, goes after `retention.backstop`; in each bucket, multipart
uploads that nobody finished are given up. Most keys of ours have no beginning in common, so that these are all uploads
of the bucket, whoever began them: our buckets are ours alone. Rules of others are kept as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects.features import Features, store_features
from voxledger.catalog.objects.policies import clip_prefix
from voxledger.catalog.objects.rules import canonical, same
from voxledger.catalog.objects.store import Store
from voxledger.catalog.settings import Settings

TAG = {"Key": "voxledger-expire", "Value": "purged"}
"""What a purge puts on an object right before it deletes it."""
EXPIRE, ABORT = "voxledger-expire", "voxledger-unfinished"
"""The names of our rules."""
ABORT_DAYS = 7
"""No upload of ours takes longer: a link lives seven days at most, and so does a lease."""
_DAY = 86400.0
_NONE = {"NoSuchLifecycleConfiguration", "404"}
Rule = dict[str, Any]


class BucketRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of one bucket, in one spelling (`rules.canonical`): those there are, and those there should be."""

    bucket: str
    present: tuple[Rule, ...]
    wanted: tuple[Rule, ...]

    @property
    def foreign(self) -> tuple[Rule, ...]:
        """Rules of others. They stay as they are."""
        return tuple(rule for rule in self.present if not is_ours(rule))

    @property
    def target(self) -> tuple[Rule, ...]:
        """All rules that the bucket has after `apply`."""
        return self.foreign + self.wanted

    @property
    def in_order(self) -> bool:
        """Whether there is nothing to do."""
        return _equal(self.present, self.target)

    @property
    def rows(self) -> list[tuple[Rule, Literal["in place", "to be written", "to be removed", "kept"]]]:
        """Each rule with what `apply` does about it: `kept` are those of others."""
        told: list[tuple[Rule, Literal["in place", "to be written", "to be removed", "kept"]]] = []
        for rule in self.present:
            if not is_ours(rule):
                told.append((rule, "kept"))
            elif not any(same(rule, other) for other in self.wanted):
                told.append((rule, "to be removed"))
        for rule in self.wanted:
            there = any(same(rule, other) for other in self.present)
            told.append((rule, "in place" if there else "to be written"))
        return told

    @property
    def is_for_us_alone(self) -> bool:
        """Whether the bucket has, or should have, a rule of ours that would also give up uploads of others."""
        ours = (rule for rule in (*self.present, *self.wanted) if rule.get("ID") == ABORT)
        return any(rule["Filter"] == {"Prefix": ""} for rule in ours)

    @property
    def reckless(self) -> tuple[Rule, ...]:
        """Rules of others that let the store delete what no retention of ours has decided about."""
        return tuple(rule for rule in self.foreign if rule.get("Status") == "Enabled" and _deletes(rule))


def is_ours(rule: Rule) -> bool:
    """Whether a rule was written by `apply`."""
    return str(rule.get("ID", "")) in (EXPIRE, ABORT)


def require_lifecycle(features: Features) -> None:
    """Raises StoreError unless trying has shown that the store keeps lifecycle rules.

    A store without them may take the request for another one: rclone deletes the bucket when its rules are deleted.
    """
    if features.lifecycle:
        return
    reason = (
        "it does not keep lifecycle rules: `voxledger retention apply` alone removes what may go"
        if features.lifecycle is False
        else "nobody has tried whether it keeps lifecycle rules: run `voxledger doctor` first, with a key that may make buckets"
    )
    raise StoreError(f"no rules for the store {features.endpoint}: {reason}", code="NoLifecycle")


def buckets(settings: Settings) -> tuple[str, ...]:
    """All buckets of ours."""
    store = settings.store
    return tuple(dict.fromkeys((store.audio, store.voices, store.events, store.models, store.backup)))


def wanted(bucket: str, settings: Settings, features: Features) -> tuple[Rule, ...]:
    """The rules that a bucket of ours should have; none where the store cannot keep them exactly."""
    rules: list[Rule] = []
    clips = bucket == settings.store.audio
    prefix = clip_prefix(settings.store.key) if clips else ""
    if clips and settings.retention.backstop and features.tag_filter and features.tags:
        days = math.ceil(settings.retention.backstop / _DAY)
        rules.append(
            {
                "ID": EXPIRE,
                "Status": "Enabled",
                "Filter": {"And": {"Prefix": prefix, "Tags": [TAG]}},
                "Expiration": {"Days": days},
                "NoncurrentVersionExpiration": {"NoncurrentDays": days},
            }
        )
    if features.abort_rule:
        given_up = {"DaysAfterInitiation": ABORT_DAYS}
        rules.append(
            {
                "ID": ABORT,
                "Status": "Enabled",
                "Filter": {"Prefix": prefix},
                "AbortIncompleteMultipartUpload": given_up,
            }
        )
    return tuple(canonical(rule) for rule in rules)


def survey(store: Store, settings: Settings, features: Features) -> list[BucketRules]:
    """The rules of all buckets of ours that are there. Raises StoreError, also when the store keeps no such rules."""
    require_lifecycle(features)
    found = []
    for bucket in buckets(settings):
        present = read_rules(store, bucket)
        if present is not None:
            found.append(BucketRules(bucket=bucket, present=present, wanted=wanted(bucket, settings, features)))
    return found


def read_rules(store: Store, bucket: str) -> tuple[Rule, ...] | None:
    """The rules of a bucket; None when it is not there. Raises StoreError."""
    try:
        found: Any = store.request(
            f"LIFECYCLE of {bucket}", lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        )
    except StoreError as error:
        if error.code == "NoSuchBucket":
            return None
        if error.code in _NONE:
            return ()
        raise
    return tuple(canonical(rule) for rule in found.get("Rules", []))


def apply(store: Store, found: BucketRules, features: Features) -> bool:
    """Give a bucket the rules it should have; whether anything had to be written.

    The rules are read again before, and once more after: a store that made something else of them, be it of a rule of
    somebody else, gets back what was there. Raises StoreError.
    """
    require_lifecycle(features)
    present = read_rules(store, found.bucket)
    if present is None or not _equal(present, found.present):
        raise StoreError(
            f"the lifecycle rules of {found.bucket} have changed meanwhile. Nothing was changed; look at"
            " `voxledger lifecycle show` again",
            code="Changed",
        )
    if found.in_order:
        return False
    _write(store, found.bucket, found.target)
    kept = read_rules(store, found.bucket)
    if kept is None or not _equal(kept, found.target):
        _write(store, found.bucket, present)
        raise StoreError(
            f"{found.bucket}: the store did not keep the lifecycle rules as they were written, so those of before were"
            " put back; do without them (retention does not need them)",
            code="NotKept",
        )
    return True


def condemner(home: Home, settings: Settings, store: object) -> Callable[[str, str], None] | None:
    """What a purge does to an object before it deletes it: the tag that the backstop goes by.

    None where there is no backstop, or the store keeps no tags.
    """
    features = store_features(home, settings.store)
    if not isinstance(store, Store) or not (settings.retention.backstop and features.tags and features.tag_filter):
        return None

    def condemn(bucket: str, key: str) -> None:
        tagging: Any = {"TagSet": [TAG]}
        store.request(f"TAG {bucket}/{key}", lambda s3: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=tagging))

    return condemn


def _write(store: Store, bucket: str, rules: Sequence[Rule]) -> None:
    if not rules:
        store.request(f"DELETE lifecycle of {bucket}", lambda s3: s3.delete_bucket_lifecycle(Bucket=bucket))
        return
    written: Any = {"Rules": list(rules)}
    store.request(
        f"PUT lifecycle of {bucket}",
        lambda s3: s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration=written),
    )


def _equal(one: Sequence[Rule], other: Sequence[Rule]) -> bool:
    """Whether two sets of rules say the same; their order means nothing."""
    return len(one) == len(other) and all(any(same(rule, match) for match in other) for rule in one)


def _deletes(rule: Rule) -> bool:
    tags = rule["Filter"].get("And", {}).get("Tags", [rule["Filter"].get("Tag")])
    removes = any(name in rule for name in ("Expiration", "NoncurrentVersionExpiration"))
    only_markers = set(rule.get("Expiration", {})) == {"ExpiredObjectDeleteMarker"}
    return removes and not (only_markers and "NoncurrentVersionExpiration" not in rule) and TAG not in tags
