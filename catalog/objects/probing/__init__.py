"""Probing: finds out what a store can do by doing it, in a place of its own, and leaves nothing behind."""

from voxledger.catalog.objects.probing.place import PREFIX, Place, tidy
from voxledger.catalog.objects.probing.probe import learn, probe

__all__ = ["PREFIX", "Place", "learn", "probe", "tidy"]
