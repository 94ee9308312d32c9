"""The kinds of setting, and the root of all sections."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Rank = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]
Size = Annotated[int, msgspec.Meta(ge=0, le=2**62, extra={"unit": "bytes"})]
Span = Annotated[float, msgspec.Meta(ge=0, le=1000 * 366 * 86400.0, extra={"unit": "seconds"})]
Secret = Annotated[str, msgspec.Meta(extra={"secret": True})]
InHome = Annotated[str, msgspec.Meta(extra={"unit": "folder"})]
"""A folder; one that is not absolute lies in HOME."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of all sections."""

    def __repr__(self) -> str:
        """Secrets never show: settings are printed in tracebacks and by debuggers."""
        shown = {
            field.name: "(set)" if _is_secret(field.type) and getattr(self, field.name) else getattr(self, field.name)
            for field in msgspec.structs.fields(self)
        }
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


def _is_secret(kind: Any) -> bool:
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return any((meta.extra or {}).get("secret") for meta in metas)
