"""Access: who may do what. Roles and what they permit, principals, tokens, what a token has used, who was turned away."""

from voxledger.catalog.access.gate import Gate
from voxledger.catalog.access.limits import UNLIMITED, Limits, Rate, Used
from voxledger.catalog.access.principal import LOCAL, Principal
from voxledger.catalog.access.roles import PERMISSIONS, ROLES, SCOPES, WHOLE, Permission, Scope
from voxledger.catalog.access.token import Issued, Token
from voxledger.catalog.access.tokens import Tokens

__all__ = [
    "LOCAL",
    "PERMISSIONS",
    "ROLES",
    "SCOPES",
    "UNLIMITED",
    "WHOLE",
    "Gate",
    "Issued",
    "Limits",
    "Permission",
    "Principal",
    "Rate",
    "Scope",
    "Token",
    "Tokens",
    "Used",
]
