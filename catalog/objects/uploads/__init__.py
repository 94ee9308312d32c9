"""Uploads: tasks of the journal that end in the store, in the background, for as long as that takes."""

from voxledger.catalog.objects.uploads.transfer import Upload
from voxledger.catalog.objects.uploads.uploader import Progress, Uploader

__all__ = ["Progress", "Upload", "Uploader"]
