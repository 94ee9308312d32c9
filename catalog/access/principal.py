"""A principal: who asks, in whose name, and what they may do."""

from __future__ import annotations

from typing import Literal

import msgspec

from voxledger.catalog.access.limits import UNLIMITED, Limits
from voxledger.catalog.access.roles import ROLES, WHOLE, Permission, Scope
from voxledger.catalog.events.access import Role

LOCAL = "local"
"""The id of whoever owns the HOME, and so needs no token."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `id` is opaque (a token's id, or `LOCAL`), `name` the actor in whose name it is recorded."""

    id: str
    name: str
    role: Role
    scope: Scope = "all"
    limits: Limits = UNLIMITED

    def may(self, permission: Permission) -> bool:
        """Whether role and scope permit it."""
        return self.lacks(permission) is None

    def lacks(self, permission: Permission) -> Literal["role", "scope"] | None:
        """What stands against it: the role, or that they see their own clips only; None when they may."""
        if permission not in ROLES[self.role]:
            return "role"
        return "scope" if self.sees is not None and permission in WHOLE else None

    @property
    def sees(self) -> str | None:
        """The actor whose clips are all that this one sees; None = everybody's."""
        return self.name if self.scope == "own" else None
