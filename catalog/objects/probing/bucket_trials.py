"""Trials with the configuration of a bucket: changed and read back in one that was made for it, only read elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voxledger.catalog.errors import StoreError
from voxledger.catalog.objects.probing.object_trials import conditional_put
from voxledger.catalog.objects.probing.place import Place
from voxledger.catalog.objects.rules import same

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_NOT_SET = {"NoSuchLifecycleConfiguration", "ObjectLockConfigurationNotFoundError", "404"}


def versioning(place: Place) -> bool | None:
    """A version that was overwritten is listed, and can be read."""
    if not place.made:
        return _versioned(place) or None

    def enable(s3: S3Client) -> None:
        s3.put_bucket_versioning(Bucket=place.bucket, VersioningConfiguration={"Status": "Enabled"})

    if not _versioned(place):
        place.store.request(f"VERSION {place.bucket}", enable)
        if not _versioned(place):
            return False
    key = place.key("versions")
    for content in (b"one", b"two"):
        place.store.put(place.bucket, key, content)

    def old(s3: S3Client) -> bytes:
        listed = s3.list_object_versions(Bucket=place.bucket, Prefix=key).get("Versions", [])
        earlier = [found["VersionId"] for found in listed if not found["IsLatest"]]
        return (
            s3.get_object(Bucket=place.bucket, Key=key, VersionId=earlier[0])["Body"].read()
            if len(earlier) == 1
            else b""
        )

    return place.store.request(f"VERSIONS of {place.bucket}", old) == b"one"


def object_lock(place: Place) -> bool | None:
    """A bucket made with object lock says so."""
    if place.made and not place.locks:
        return False
    found = _read(
        place, lambda s3: s3.get_object_lock_configuration(Bucket=place.bucket).get("ObjectLockConfiguration", {})
    )
    enabled = found is not None and found.get("ObjectLockEnabled") == "Enabled"
    return enabled if place.made else enabled or None


def conditional_versioned(place: Place) -> bool | None:
    """A conditional PUT onto an object is refused also where versions are kept. Raises as `versioning` does."""
    if not _versioned(place):
        return None if not place.made else False
    return conditional_put(place)


def lifecycle(place: Place) -> bool | None:
    """A rule with a prefix comes back as it was written."""
    return _keeps(place, {"ID": "voxledger-probe", "Filter": {"Prefix": place.prefix}, "Expiration": {"Days": 1}})


def tag_filter(place: Place) -> bool | None:
    """A rule with a prefix and a tag comes back as it was written."""
    both = {"And": {"Prefix": place.prefix, "Tags": [{"Key": "voxledger-probe", "Value": "yes"}]}}
    return _keeps(place, {"ID": "voxledger-probe", "Filter": both, "Expiration": {"Days": 1}})


def abort_rule(place: Place) -> bool | None:
    """A rule that gives up unfinished uploads comes back as it was written."""
    given_up = {"DaysAfterInitiation": 1}
    return _keeps(
        place,
        {
            "ID": "voxledger-probe",
            "Filter": {"Prefix": place.prefix},
            "AbortIncompleteMultipartUpload": given_up,
        },
    )


def _keeps(place: Place, rule: dict[str, Any]) -> bool | None:
    """Elsewhere than in a bucket of our own nothing is written: None, that the store knows of rules says little."""
    if not place.made:
        _read(place, lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=place.bucket))
        return None
    written: Any = {"Rules": [{"Status": "Enabled", **rule}]}
    place.store.request(
        f"LIFECYCLE of {place.bucket}",
        lambda s3: s3.put_bucket_lifecycle_configuration(Bucket=place.bucket, LifecycleConfiguration=written),
    )
    found = _read(place, lambda s3: s3.get_bucket_lifecycle_configuration(Bucket=place.bucket)["Rules"])
    return bool(found) and same(found[0], rule)


def _versioned(place: Place) -> bool:
    found = place.store.request(
        f"VERSIONING of {place.bucket}", lambda s3: s3.get_bucket_versioning(Bucket=place.bucket)
    )
    return found.get("Status") == "Enabled"


def _read(place: Place, step: Any) -> Any:
    """What is configured; None when nothing is."""
    try:
        return place.store.request(f"READ configuration of {place.bucket}", step)
    except StoreError as error:
        if error.code in _NOT_SET:
            return None
        raise
