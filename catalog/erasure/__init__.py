"""Erasure: a person or a voice is forgotten, everywhere, and what is held about one is told."""

from voxledger.catalog.erasure.erasure import Erasure, Outcomes
from voxledger.catalog.erasure.export import Exporter, SubjectExport
from voxledger.catalog.erasure.planning import Plan
from voxledger.catalog.erasure.requests import Request
from voxledger.catalog.erasure.subject import Subject
from voxledger.catalog.erasure.targets import Done, Target

__all__ = ["Done", "Erasure", "Exporter", "Outcomes", "Plan", "Request", "Subject", "SubjectExport", "Target"]
