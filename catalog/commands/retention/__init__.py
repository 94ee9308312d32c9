"""Commands about what may go: one module a group of them."""

from voxledger.catalog.commands.retention.commands import Commands

__all__ = ["Commands"]
