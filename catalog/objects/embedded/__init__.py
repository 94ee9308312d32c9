"""The embedded store: rclone's S3 server over HOME/store, one detached process a HOME, found and owned through files."""

from voxledger.catalog.objects.embedded.embedded import EmbeddedStore
from voxledger.catalog.objects.embedded.state import Endpoint

__all__ = ["EmbeddedStore", "Endpoint"]
