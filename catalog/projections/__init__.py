"""Projections: the tables that SQL sees, folded from the log."""

from voxledger.catalog.projections.projections import (
    RELATIONS,
    SCHEMA,
    VERSION,
    as_of,
    awaits_rebuild,
    create,
    fold,
    position,
)

__all__ = ["RELATIONS", "SCHEMA", "VERSION", "as_of", "awaits_rebuild", "create", "fold", "position"]
