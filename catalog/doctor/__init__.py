"""The doctor: looks at a HOME and its store, and says what works, what does not, and what follows from it."""

from voxledger.catalog.doctor.examination import Examination, examine
from voxledger.catalog.doctor.finding import Finding, State

__all__ = ["Examination", "Finding", "State", "examine"]
