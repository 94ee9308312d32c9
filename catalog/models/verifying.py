"""Verifying: whether versions are whole, in the store and here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from typing import Literal, NamedTuple

from voxledger.catalog.errors import ModelError
from voxledger.catalog.models.bucket import Bucket
from voxledger.catalog.models.local import Damage, Local
from voxledger.catalog.models.manifest import Manifest
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.progress import Meter
from voxledger.catalog.models.restoring import damaged_in_store
from voxledger.catalog.objects.patience import patiently
from voxledger.catalog.progress import Heard, Progress, unheard


class Checked(NamedTuple):
    """What was found of a version at one place. `trouble` is about the version as a whole, empty when it is well."""

    reference: Reference
    place: Literal["store", "here"]
    files: int
    bytes: int
    damages: tuple[Damage, ...] = ()
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damages and not self.trouble


def verify_local(local: Local, references: Iterable[Reference], *, deep: bool, progress: Progress) -> list[Checked]:
    """Each version that was pulled here: sizes, or with `deep` every byte."""
    wanted = set(references)
    found = [(reference, local.manifest(reference)) for reference in local.versions() if reference in wanted]
    meter = _meter(deep, (manifest for _, manifest in found if manifest), progress)
    checked = []
    for reference, manifest in found:
        if manifest is None:
            checked.append(
                Checked(reference, "here", 0, 0, trouble="nobody can tell what it should hold: its manifest is damaged")
            )
        elif not local.path(reference).exists():
            checked.append(Checked(reference, "here", len(manifest.files), manifest.size, trouble="its folder is gone"))
        else:
            damages = local.damages(manifest, meter) if deep else local.gaps(manifest)
            checked.append(Checked(reference, "here", len(manifest.files), manifest.size, tuple(damages)))
    return checked


def in_store(bucket: Bucket) -> set[Reference]:
    """The versions that the store has, or had until somebody deleted their manifest by hand."""
    return patiently(lambda: {each.reference for each in chain(bucket.listed("manifests"), bucket.listed("copies"))})


def verify_store(
    bucket: Bucket,
    references: Iterable[Reference],
    *,
    deep: bool,
    recorded: Callable[[Reference], str | None],
    progress: Progress,
) -> list[Checked]:
    """Each version in the store: manifests against what was recorded, and each content's size, or with `deep` every byte.

    A store that is busy or away is asked again, a few times; then StoreError, as that says nothing of what it has.
    """
    manifests: dict[Reference, Manifest] = {}
    checked = []
    for reference in references:
        trouble = ""
        try:
            manifest = patiently(partial(bucket.manifest, reference))
        except ModelError as error:
            checked.append(Checked(reference, "store", 0, 0, trouble=str(error)))
            continue
        expected = recorded(reference)
        if manifest is None:
            trouble = "its manifest is gone"
        elif expected not in (None, manifest.sha256):
            trouble = f"its manifest was altered: the log has {str(expected)[:12]}…, not {manifest.sha256[:12]}…"
        if manifest is None or trouble:
            files, size = (0, 0) if manifest is None else (len(manifest.files), manifest.size)
            checked.append(Checked(reference, "store", files, size, trouble=trouble))
        else:
            manifests[reference] = manifest
    contents = patiently(lambda: list(bucket.blobs())) if manifests and not deep else []
    sizes = {content.key.rpartition("/")[2]: content.bytes for content in contents}
    meter = _meter(deep, manifests.values(), progress)
    for reference, manifest in manifests.items():
        damages = _damaged(bucket, manifest, meter) if deep else _gaps(manifest, sizes)
        checked.append(Checked(reference, "store", len(manifest.files), manifest.size, tuple(damages)))
    return sorted(checked, key=lambda each: each.reference)


def _gaps(manifest: Manifest, sizes: dict[str, int]) -> list[Damage]:
    found = []
    for file in manifest.files:
        size = sizes.get(file.sha256)
        if size is None:
            found.append(Damage(file.path, "is missing"))
        elif size != file.bytes:
            found.append(Damage(file.path, f"has {size:,} bytes, not {file.bytes:,}"))
    return found


def _damaged(bucket: Bucket, manifest: Manifest, meter: Heard) -> list[Damage]:
    bad = {file.sha256 for file in damaged_in_store(bucket, manifest, meter)}
    return [Damage(file.path, "is missing or damaged") for file in manifest.files if file.sha256 in bad]


def _meter(deep: bool, manifests: Iterable[Manifest], progress: Progress) -> Heard:
    total = sum(manifest.size for manifest in manifests)
    return Meter("checking", total, progress).add if deep and total else unheard
