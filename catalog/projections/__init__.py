"""Projections: the tables that SQL sees, folded from the log."""

from voxledger.catalog.projections.projections import SCHEMA, VERSION, create, fold, position


def awaits_rebuild(connection, understood):  # stub
    return False


__all__ = ["SCHEMA", "VERSION", "create", "fold", "position"]
