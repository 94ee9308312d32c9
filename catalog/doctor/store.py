"""The store under examination: who answers, with which keys, how far clocks are apart, and what the buckets are like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from voxledger.catalog.doctor.finding import Area, Finding, State
from voxledger.catalog.errors import StoreError, StoreUnavailable
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import CREDENTIALS, MISSING, REFUSED, is_transient
from voxledger.catalog.objects.credentials import find_credentials
from voxledger.catalog.objects.elsewhere import elsewhere, note
from voxledger.catalog.objects.features import Features
from voxledger.catalog.objects.lifecycle import BucketRules, buckets, read_rules
from voxledger.catalog.objects.policies import clip_prefix
from voxledger.catalog.objects.probing.object_trials import anonymous_get
from voxledger.catalog.objects.probing.place import PREFIX
from voxledger.catalog.settings import Settings

_SKEW_LIMIT = 900.0
"""Seconds at which stores refuse a request as too old."""
_SKEW_NOTED = 60.0


def access_findings(store: Store) -> Iterator[Finding]:
    """Endpoint and keys, up to the first request. Raises nothing."""
    if store.is_embedded:
        yield _finding("store", "endpoint", "ok", "the embedded store, in this HOME")
        yield _finding("store", "credentials", "ok", "keys of its own, in store.json")
    else:
        secure = store.endpoint.startswith("https://")
        local = store.endpoint.partition("://")[2].startswith(("127.", "localhost", "[::1]"))
        yield _finding(
            "store", "endpoint", "ok" if secure or local else "warning", store.endpoint,
            "" if secure or local else "not encrypted: whoever sits in between hears what is spoken; use https",
        )  # fmt: skip
        keys = find_credentials(store.settings)
        if keys.trouble:
            trouble, _, remedy = keys.trouble.partition("; ")
            yield _finding("store", "credentials", "bad", trouble, f"{remedy}; clips wait here until then")
            return
        lasting = ", temporary" if keys.temporary else ""
        yield _finding("store", "credentials", "ok", f"from {keys.source}{lasting}")
    try:
        # Unlike a HEAD, its refusal has a body that tells wrong keys from missing rights.
        store.request("GREET", lambda s3: s3.list_objects_v2(Bucket=store.settings.audio, MaxKeys=1))
    except StoreUnavailable as error:
        found, follows = f"nobody answers ({error.code})", "check store.endpoint and the network"
        if error.code == "SSLError":
            found, follows = (
                "no trusted TLS connection",
                "check the certificate, and whether store.endpoint begins with http:// or https://",
            )
        yield _finding("store", "answer", "bad", found, f"{follows}; clips wait here until then")
    except StoreError as error:
        if error.code == "RequestTimeTooSkewed":
            yield _finding(
                "store",
                "answer",
                "bad",
                "the clocks are too far apart",
                f"{_remedy(error)}; clips wait here until then",
            )
        elif error.code in ("404", "405"):  # a store of S3 says more than a number
            yield _finding(
                "store",
                "answer",
                "bad",
                f"this is no S3 store (HTTP {error.code})",
                "check store.endpoint: another server listens there",
            )
        elif error.code in CREDENTIALS:
            remedy = _remedy(error) if store.is_embedded or store.settings.access_key else "check where they come from"
            yield _finding(
                "store",
                "answer",
                "bad",
                f"the keys are refused ({error.code})",
                f"{remedy}; clips wait here until then",
            )
        elif error.code in REFUSED | MISSING:
            yield _finding("store", "answer", "ok", "it answers")
        else:
            follows = "try again later" if is_transient(error) else _remedy(error) or "check store.endpoint"
            yield _finding("store", "answer", "bad", f"it answers, but with {error.code}", follows)
    else:
        yield _finding("store", "answer", "ok", "it answers")


def clock_finding(features: Features) -> Finding:
    """How far the clocks are apart."""
    skew = features.clock_skew_s
    if skew is None:
        return _finding("store", "clock", "unknown", "the store does not say what time it has")
    if abs(skew) < 1:
        return _finding("store", "clock", "ok", "within a second of ours")
    found = f"{abs(skew):,.0f} s {'ahead of' if skew > 0 else 'behind'} ours"
    if abs(skew) >= _SKEW_LIMIT:
        return _finding(
            "store", "clock", "bad", found, "requests are refused from 15 minutes on; set this machine's clock"
        )
    state: State = "warning" if abs(skew) >= _SKEW_NOTED else "ok"
    return _finding(
        "store", "clock", state, found, "requests are refused from 15 minutes on" if state == "warning" else ""
    )


def rights_findings(store: Store, settings: Settings) -> Iterator[Finding]:
    """Whether the keys may put clips. Nothing is put: it is a part for an upload that nobody has begun. Raises StoreUnavailable.

    Who may is told that there is no such upload, who may not is refused:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html.
    """
    bucket, key = settings.store.audio, f"{clip_prefix(settings.store.key)}{PREFIX}rights"
    part: Any = {"Bucket": bucket, "Key": key, "UploadId": "voxledger-probe", "PartNumber": 1, "Body": b"x"}
    try:
        store.request(f"PART in {bucket}", lambda s3: s3.upload_part(**part))
    except StoreUnavailable:
        raise
    except StoreError as error:
        if error.code in REFUSED:
            yield _finding(
                "store", "rights", "warning", "these keys may not put clips",
                "enough to play; what is made here stays here: uploads need the role `uploader`",
            )  # fmt: skip


def bucket_findings(store: Store, settings: Settings, *, made: bool | None) -> Iterator[Finding]:
    """Each bucket of ours; `made` says whether the keys may make those that lack. Raises StoreUnavailable."""
    for bucket in buckets(settings):
        yield _bucket(store, bucket, made=made)


def elsewhere_findings(home: Home, store: Store, settings: Settings, journal: Journal) -> Iterator[Finding]:
    """Whether another HOME goes on as this node; noted for `status`. Raises StoreUnavailable."""
    if store.is_embedded:
        return
    try:
        found = elsewhere(store, settings.store.events, journal, home.segments)
    except StoreUnavailable:
        raise
    except StoreError as error:
        yield _finding(
            "home", "node", "unknown", f"whether another HOME goes on as this node is not known ({error.code})",
            "keys that may list the bucket of events can tell",
        )  # fmt: skip
        return
    with suppress(OSError):
        note(home, found)
    if found is None:
        yield _finding("home", "node", "ok", "no other HOME goes on as this node, as far as the store tells")
    else:
        said, _, follows = str(found).partition(". ")
        yield _finding("home", "node", "bad" if found.is_recent else "note", said, follows)


def rule_findings(store: Store, settings: Settings, features: Features) -> Iterator[Finding]:
    """Rules of others that delete what retention has not decided about. Raises StoreUnavailable."""
    if not features.lifecycle:
        return
    for bucket in buckets(settings):
        try:
            present = read_rules(store, bucket)
        except StoreUnavailable:
            raise
        except StoreError:
            continue
        for rule in BucketRules(bucket=bucket, present=present or (), wanted=()).reckless:
            yield _finding(
                "buckets", bucket, "warning", f"the lifecycle rule {rule.get('ID') or 'without a name'!r} deletes objects here",
                "they go without a policy of ours, a grace or an event; see `voxledger lifecycle show`",
            )  # fmt: skip


def _bucket(store: Store, bucket: str, *, made: bool | None) -> Finding:
    try:
        store.request(f"HEAD {bucket}", lambda s3: s3.head_bucket(Bucket=bucket))
    except StoreUnavailable:
        raise
    except StoreError as error:
        if error.code in REFUSED:
            return _finding(
                "buckets", bucket, "note", "these keys may not look at it",
                "enough to upload; playing, links and trimming the cache need the role `reader`",
            )  # fmt: skip
        if error.code in CREDENTIALS:
            return _finding("buckets", bucket, "bad", f"refused ({error.code})", _remedy(error))
        if made is False:
            return _finding(
                "buckets", bucket, "warning", "not there, and these keys may not make it", "make it before it is needed"
            )
        return _finding("buckets", bucket, "note", "not there yet", "it is made when it is first needed")
    if _is_public(store, bucket):
        return _finding(
            "buckets", bucket, "bad", "anybody can list it, without keys", "take the public right away in the store"
        )
    return _finding("buckets", bucket, "ok", f"there, {_versions(store, bucket)}")


def _versions(store: Store, bucket: str) -> str:
    try:
        found: Any = store.request(f"VERSIONING of {bucket}", lambda s3: s3.get_bucket_versioning(Bucket=bucket))
    except StoreUnavailable:
        raise
    except StoreError:
        return "these keys may not ask whether it keeps versions"
    return {"Enabled": "keeps versions", "Suspended": "keeps old versions, but no new ones"}.get(
        found.get("Status", ""), "keeps no versions"
    )


def _is_public(store: Store, bucket: str) -> bool:
    """Only where the bucket stands in the path: another host name is somebody else's affair."""
    if store.is_embedded or not store.settings.path_style:
        return False
    return anonymous_get(f"{store.endpoint.rstrip('/')}/{quote(bucket)}?list-type=2&max-keys=1")[0] == 200


def _remedy(error: StoreError) -> str:
    return str(error).rpartition("; ")[2] if "; " in str(error) else ""


def _finding(area: Area, name: str, state: State, found: str, follows: str = "") -> Finding:
    return Finding(area=area, name=name, state=state, found=found, follows=follows)
