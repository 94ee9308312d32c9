"""Models: versions of an engine's files, pushed once, pulled where they are needed, put back when they are lost."""

from voxledger.catalog.models.collecting import Waste
from voxledger.catalog.models.listing import ModelVersion
from voxledger.catalog.models.local import Damage
from voxledger.catalog.models.manifest import Manifest, ModelFile
from voxledger.catalog.models.models import Models, Restored
from voxledger.catalog.models.names import Reference
from voxledger.catalog.models.pointing import Moved
from voxledger.catalog.models.pulling import Pulled
from voxledger.catalog.models.pushing import Pushed
from voxledger.catalog.models.restoring import Mended
from voxledger.catalog.models.verifying import Checked

__all__ = [
    "Checked",
    "Damage",
    "Manifest",
    "Mended",
    "ModelFile",
    "ModelVersion",
    "Models",
    "Moved",
    "Pulled",
    "Pushed",
    "Reference",
    "Restored",
    "Waste",
]
