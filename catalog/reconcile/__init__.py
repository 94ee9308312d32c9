"""Reconciling: the store compared with the catalog, and audio from elsewhere taken into it. Deletes nothing."""

from voxledger.catalog.reconcile.adopting import adopt
from voxledger.catalog.reconcile.around import Around
from voxledger.catalog.reconcile.findings import Finding, Reconciled
from voxledger.catalog.reconcile.from_store import Rebuilt, rebuild_from_store
from voxledger.catalog.reconcile.importing import import_folder
from voxledger.catalog.reconcile.reconciler import reconcile
from voxledger.catalog.reconcile.taken import Measures, Note, Taken

__all__ = [
    "Around",
    "Finding",
    "Measures",
    "Note",
    "Rebuilt",
    "Reconciled",
    "Taken",
    "adopt",
    "import_folder",
    "rebuild_from_store",
    "reconcile",
]
