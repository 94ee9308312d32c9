"""Queries: what may be asked of the catalog, how answers are paged, and what a clip has been through."""

from voxledger.catalog.query.condition import check_condition
from voxledger.catalog.query.guard import check
from voxledger.catalog.query.history import Happening
from voxledger.catalog.query.page import ORDERS, Page
from voxledger.catalog.query.result import Result

__all__ = ["ORDERS", "Happening", "Page", "Result", "check", "check_condition"]
