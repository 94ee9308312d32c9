"""Limits: how fast a token may ask, and how much it may use in a day."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from voxledger.catalog.errors import TokenError
from voxledger.catalog.settings import format_span, parse_span

_RATE = re.compile(r"\s*([0-9]{1,9})\s*/\s*([0-9a-z. ]{1,30})")
_LONGEST = 86_400.0


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """So many requests in so many seconds: that many at once, and then as they come back, one after another."""

    requests: int
    seconds: float

    @classmethod
    def parse(cls, text: str) -> Rate:
        """A rate from `60/min`, `5/s` or `1000/12h`. Raises TokenError."""
        found = _RATE.fullmatch(text)
        try:
            span = found[2].strip() if found else ""
            seconds = parse_span(span if span[:1].isdigit() else f"1{span}") if found else 0.0
        except ValueError:
            seconds = 0.0
        if not found or not int(found[1]) or not 0 < seconds <= _LONGEST:
            raise TokenError(
                f"the rate {text[:40]!r} is none: write requests in a time of a day at most, such as 60/min or 5/s"
            )
        return cls(requests=int(found[1]), seconds=seconds)

    @property
    def span(self) -> str:
        """The time as people write it."""
        return format_span(self.seconds)

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.requests}/{self.span[1:] if self.span in ('1s', '1min', '1h', '1d') else self.span}"


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a token may use in a day of `general.time_zone`: requests, audio made (µs), bytes sent; None = as much as it likes."""

    rate: Rate | None = None
    requests: int | None = None
    audio_us: int | None = None
    bytes: int | None = None

    def __post_init__(self) -> None:
        """Raises TokenError for a limit that lets nothing through."""
        for what, limit in (("requests", self.requests), ("audio", self.audio_us), ("bytes", self.bytes)):
            if limit is not None and not 0 < limit < 2**53:
                raise TokenError(f"the limit of {what} must be more than nothing; leave it out for none")

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints, and the API answers."""
        return {
            "rate": str(self.rate) if self.rate else None,
            "requests": self.requests,
            "audio_s": None if self.audio_us is None else self.audio_us / 1e6,
            "bytes": self.bytes,
        }


UNLIMITED = Limits()
"""No limits at all."""


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in a day: requests, audio made (µs), bytes sent."""

    requests: int = 0
    audio_us: int = 0
    bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints, and the API answers."""
        return {"requests": self.requests, "audio_s": self.audio_us / 1e6, "bytes": self.bytes}
