"""Objects: the S3 store, the embedded one, and the uploads into it."""

from voxledger.catalog.objects.embedded.embedded import EmbeddedStore
from voxledger.catalog.objects.embedded.state import Endpoint
from voxledger.catalog.objects.keys import object_key
from voxledger.catalog.objects.object_info import ObjectInfo
from voxledger.catalog.objects.records import is_record, record_key
from voxledger.catalog.objects.store import Store
from voxledger.catalog.objects.uploads.progress import Progress
from voxledger.catalog.objects.uploads.uploader import Uploader

__all__ = [
    "EmbeddedStore",
    "Endpoint",
    "ObjectInfo",
    "Progress",
    "Store",
    "Uploader",
    "is_record",
    "object_key",
    "record_key",
]
