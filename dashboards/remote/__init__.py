"""A node somewhere else, with the interface of a ledger."""

from voxledger.dashboards.remote.connection import Connection, NodeUnreachable
from voxledger.dashboards.remote.ledger import RemoteLedger, connect

__all__ = ["Connection", "NodeUnreachable", "RemoteLedger", "connect"]
