"""Uploads: tasks of the journal that end in the store, in the background, for as long as that takes."""

from voxledger.catalog.objects.uploads.progress import Progress, Working, working
from voxledger.catalog.objects.uploads.upload import Upload
from voxledger.catalog.objects.uploads.uploader import Uploader

__all__ = ["Progress", "Upload", "Uploader", "Working", "working"]
