"""The models of a node."""

from __future__ import annotations

from datetime import datetime

from voxledger.catalog.models.listing import ModelVersion
from voxledger.catalog.models.names import Reference
from voxledger.dashboards.remote.connection import Connection


class RemoteModels:
    """Versions of engines' files that a node knows. They are pushed and pulled on the node itself."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(self) -> tuple[ModelVersion, ...]:
        """Every version, by name, then in the order they were pushed."""
        return tuple(
            ModelVersion(
                reference=Reference(told["name"], told["version"]),
                files=told["files"],
                bytes=told["bytes"],
                own_bytes=told["own_bytes"],
                manifest=told["manifest"],
                pushed=told["pushed"] and datetime.fromisoformat(told["pushed"]),
                in_store=told["in_store"],
                here=told["here"],
                is_current=told["is_current"],
            )
            for told in self._connection.get("/api/models")["models"]
        )
