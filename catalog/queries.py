"""Named queries: SQL lives in `.sql` files, each query under a line `-- name: NAME`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)


@cache
def load(file: str, package: str = "voxledger.catalog") -> Mapping[str, str]:
    """All queries of a file by name."""
    pieces = _NAME.split(files(package).joinpath(file).read_text(encoding="utf-8"))
    return {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
