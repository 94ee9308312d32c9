"""The cell: a value of a CSV file that no spreadsheet takes for a formula."""

from __future__ import annotations

import re
from typing import Any

_FORMULAS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_UNSEEN = re.compile("[\\s\x00\u00ad\u200b\u200c\u200d\u2060\ufeff]*")


def cell(value: Any) -> Any:
    """A value as it may stand in a table: a text that could be a formula, also behind what is not seen, begins with `'`."""
    if not isinstance(value, str):
        return value
    seen = _UNSEEN.sub("", value, count=1)
    return f"'{value}" if value.startswith(("\t", "\r", "\n")) or seen.startswith(_FORMULAS) else value
