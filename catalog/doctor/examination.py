"""The examination: everything that `voxledger doctor` looks at, in one record."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from voxledger.catalog.doctor.features import MEANINGS, feature_findings
from voxledger.catalog.doctor.finding import Finding
from voxledger.catalog.doctor.home import home_findings
from voxledger.catalog.doctor.node import node_findings
from voxledger.catalog.doctor.retention import retention_findings
from voxledger.catalog.doctor.store import (
    access_findings,
    bucket_findings,
    clock_finding,
    elsewhere_findings,
    rights_findings,
    rule_findings,
)
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store
from voxledger.catalog.objects.client import MISSING
from voxledger.catalog.objects.features import Features, keep_features
from voxledger.catalog.objects.probing import probe, tidy
from voxledger.catalog.settings import Loaded

if TYPE_CHECKING:
    from voxledger.catalog.retention.nights import Standing

_NOTHING_TRIED = Finding(
    area="store", name="trials", state="note", found="these keys may not delete what would be put, so nothing was tried",
    follows="run `voxledger doctor` once with keys that may make buckets: what it finds stays known here",
)  # fmt: skip


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and what the store can do; `features` is None when it could not be tried."""

    findings: tuple[Finding, ...]
    features: Features | None = None

    @property
    def healthy(self) -> bool:
        """Whether everything works that has to."""
        return not any(finding.state == "bad" for finding in self.findings)


def examine(
    home: Home,
    loaded: Loaded,
    journal: Journal,
    store: Store,
    *,
    retention: Callable[[], Standing] | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Examination:
    """Look at everything; `told` hears what comes next. What the store can do is written down for everybody.

    Changes nothing, and leaves nothing in the store. Never fails: what does not work is a finding.
    """
    told("HOME")
    findings = [*home_findings(home, loaded, journal)]
    if retention is not None:
        findings += retention_findings(retention)
    told("the node")
    findings += node_findings(home, journal)
    told("the store")
    findings += access_findings(store)
    if any(finding.area == "store" and finding.state == "bad" for finding in findings):
        return Examination(findings=tuple(findings))
    settings = loaded.settings
    try:
        findings += elsewhere_findings(home, store, settings, journal)
        tidy(store, [settings.store.audio])
        try:
            features = probe(store, told=lambda name: told(name.replace("_", " ")))
        except StoreError as error:
            if error.code not in MISSING:
                raise
            findings.append(_no_bucket(settings.store.audio))
            findings += bucket_findings(store, settings, made=False)
            return Examination(findings=tuple(findings))
        findings.append(clock_finding(features))
        if all(getattr(features, name) is None for name in MEANINGS):
            findings.append(_NOTHING_TRIED)
        told("the buckets")
        findings += rights_findings(store, settings)
        findings += bucket_findings(store, settings, made=features.makes_buckets)
        findings += rule_findings(store, settings, features)
    except StoreError as error:
        findings.append(
            Finding(
                area="store", name="trials", state="bad", found=f"they ended early ({error.code})",
                follows="run `voxledger doctor` again; until then uploads go by what was known before",
            )
        )  # fmt: skip
        return Examination(findings=tuple(findings))
    try:
        features = keep_features(home, features)
    except OSError as error:
        findings.append(
            Finding(
                area="home", name="features", state="bad",
                found=f"what the store can do cannot be written down: {error.strerror}",
                follows="uploads go by what was known before; make room on this disk, and HOME writable",
            )
        )  # fmt: skip
    findings += feature_findings(features, settings.store)
    return Examination(findings=tuple(findings), features=features)


def _no_bucket(bucket: str) -> Finding:
    return Finding(
        area="store", name="trials", state="bad", found=f"there is no bucket {bucket}, and these keys may not make one",
        follows="make the bucket, or use keys that may; clips wait here until then",
    )  # fmt: skip
