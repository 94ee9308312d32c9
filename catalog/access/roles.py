"""Roles: five sets of permissions, each once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from voxledger.catalog.events.access import Role

Permission: TypeAlias = Literal["read", "usage", "sql", "speak", "curate", "voices", "retain", "admin"]
Scope: TypeAlias = Literal["own", "all"]
"""Whose clips somebody sees and changes: those made in the own name, or everybody's."""
PERMISSIONS: Mapping[Permission, str] = MappingProxyType({
    "read": "find and hear clips, their texts and histories; see voices and models",
    "usage": "see metrics, reports, the state of the node, and what retention would do",
    "sql": "ask SQL, export, and follow events",
    "speak": "make clips and batches of them",
    "curate": "tag, rate and pin clips",
    "voices": "register voices",
    "retain": "place and release holds, apply retention plans, undo and restore",
    "admin": "everything else: tokens, legal holds, speaking in other names, sending reports",
})  # fmt: skip
ROLES: Mapping[Role, frozenset[Permission]] = MappingProxyType({
    "viewer": frozenset({"read", "usage"}),
    "analyst": frozenset({"read", "usage", "sql"}),
    "creator": frozenset({"read", "speak", "curate"}),
    "curator": frozenset({"read", "usage", "sql", "speak", "curate", "voices", "retain"}),
    "admin": frozenset(PERMISSIONS),
})  # fmt: skip
SCOPES: Mapping[Role, Scope] = MappingProxyType({"creator": "own"})
"""Roles that do not see everything, unless a token grants more."""
WHOLE: frozenset[Permission] = frozenset({"usage", "sql", "retain", "admin"})
"""What shows or changes everybody's clips, whoever asks; so it needs the scope `all`."""
