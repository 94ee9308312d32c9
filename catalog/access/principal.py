"""A principal: who asks, in whose name, and what they may do."""

from __future__ import annotations

import msgspec

from voxledger.catalog.access.roles import ROLES, Permission, Scope
from voxledger.catalog.events.access import Role

LOCAL = "local"
"""The id of whoever owns the HOME, and so needs no token."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `id` is opaque (a token's id, or `LOCAL`), `name` the actor in whose name it is recorded."""

    id: str
    name: str
    role: Role
    scope: Scope = "all"

    def may(self, permission: Permission) -> bool:
        """Whether the role permits it."""
        return permission in ROLES[self.role]

    @property
    def sees(self) -> str | None:
        """The actor whose clips are all that this one sees; None = everybody's."""
        return self.name if self.scope == "own" else None
