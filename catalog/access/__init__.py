"""Access: who may do what. Roles and what they permit, principals, tokens, what a token has used, who was turned away."""

from voxledger.catalog.access.principal import LOCAL, Principal
from voxledger.catalog.access.roles import PERMISSIONS, ROLES, Permission, Scope

__all__ = ["LOCAL", "PERMISSIONS", "ROLES", "Permission", "Principal", "Scope"]
