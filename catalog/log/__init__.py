"""The log: the ordered, verified record of all events, and the keeper that brings events there."""

from voxledger.catalog.log.heads import Head
from voxledger.catalog.log.keeper import PATIENCE, Keeper
from voxledger.catalog.log.reading import Parameters, Reading
from voxledger.catalog.log.segments import Segment, Segments

__all__ = ["PATIENCE", "Head", "Keeper", "Parameters", "Reading", "Segment", "Segments"]
