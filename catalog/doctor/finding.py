"""A finding: one thing that was looked at."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["ok", "note", "warning", "bad", "unknown"]
"""`note`: it works, in another way; `warning`: it works, with a risk; `bad`: something does not work."""
Area = Literal["home", "node", "store", "buckets", "features"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`found` says what is the case, `follows` what comes of it or what to do; neither holds a secret or a key."""

    area: Area
    name: str
    state: State
    found: str
    follows: str = ""
