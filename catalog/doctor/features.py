"""Features under examination: what follows for Voxledger from what a store can and cannot do."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from voxledger.catalog.doctor.finding import Finding, State
from voxledger.catalog.objects.features import Features
from voxledger.catalog.settings import Store as StoreSettings

USED = "used where it works"
"""What is done with most of what nobody has tried."""


class Meaning(msgspec.Struct, frozen=True):
    """How people call a feature, what it means that a store lacks it, how bad that is, and what is done while nobody knows.

    `untried` is empty where what nobody has tried is taken for missing.
    """

    title: str
    without: str
    state: State = "note"
    untried: str = USED


MEANINGS: dict[str, Meaning] = {
    "conditional_put": Meaning(
        "conditional PUT", "uploads look before they send again; keys hold the clip's id, so nobody else writes the same one", untried=""
    ),
    "conditional_race": Meaning("conditional PUT in a race", "uploads do not rely on conditional PUT", untried=""),
    "conditional_versioned": Meaning(
        "conditional PUT with versioning", "where versions are kept, a second PUT adds one; nothing is lost", untried=""
    ),
    "conditional_multipart": Meaning("conditional multipart", "large objects are looked for before they are completed", untried=""),
    "conditional_get": Meaning(
        "conditional GET", "an object replaced while its ranges are fetched is noticed by its SHA-256 alone"
    ),
    "multipart": Meaning("multipart upload", "large files start over, and none above 5 GB can be sent", "warning"),
    "list_parts": Meaning("list parts", "a large upload starts over after a crash"),
    "list_uploads": Meaning("list unfinished uploads", "what nobody finishes takes room that nobody sees"),
    "ranges": Meaning("ranged GET", "downloads run over one connection, and start over", "warning"),
    "presign": Meaning("presigned links", "`voxledger url` and links in reports do not work", "warning"),
    "copy": Meaning("copy in the store", "backups with audio pass through this machine"),
    "metadata": Meaning(
        "user metadata", "a small sealed record lies beside each object; rebuilding reads those",
        untried='taken for kept; set store.records = "always" where the store forgets it',
    ),
    "tags": Meaning(
        "tags", "objects carry none; only `retention.backstop` would need them", untried="sent, but without `retention.backstop`"
    ),
    "md5_refused": Meaning("Content-MD5 is checked", "damage on the way shows only in a look at what was stored", "warning"),
    "sha256_refused": Meaning("SHA-256 header is checked", "nothing: Content-MD5 is what uploads rely on"),
    "versioning": Meaning("versioning", "the store cannot bring back what was deleted; models come from other nodes"),
    "object_lock": Meaning("object lock", "backups cannot be locked against an administrator"),
    "lifecycle": Meaning("lifecycle rules", "`voxledger retention apply` alone removes audio", untried=""),
    "tag_filter": Meaning("lifecycle rules by tag", "no `retention.backstop`: `voxledger retention apply` alone removes audio", untried=""),
    "abort_rule": Meaning("lifecycle of multipart", "uploads that nobody finishes stay until somebody removes them", untried=""),
}  # fmt: skip
"""Every feature that is tried, in the order of the report."""
_WITHIN = {
    "conditional_race": "conditional_put",
    "conditional_versioned": "conditional_put",
    "conditional_multipart": "conditional_put",
    "tag_filter": "lifecycle",
    "abort_rule": "lifecycle",
}
"""Where the second is missing, nobody asks about the first."""


def feature_findings(features: Features, settings: StoreSettings) -> Iterator[Finding]:
    """One finding a feature."""
    for name, meaning in MEANINGS.items():
        if name in _WITHIN and not getattr(features, _WITHIN[name]):
            continue
        works: bool | None = getattr(features, name)
        state: State
        note = features.notes.get(name, "")
        if works:
            state, found, follows = "ok", "yes", ""
        elif works is None:
            state, found = "unknown", note or "not tried"
            follows = meaning.untried or f"taken for missing: {meaning.without}"
        else:
            state, found, follows = meaning.state, note or "no", meaning.without
        if name == "metadata" and works is False and settings.records == "never":
            state = "warning"
            follows = 'no catalog can be rebuilt from the bucket alone; set store.records = "auto"'
        yield Finding(area="features", name=meaning.title, state=state, found=found, follows=follows)
