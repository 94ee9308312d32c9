"""Ranges: which bytes of a file a request asks for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import NamedTuple

from voxledger.dashboards.faults import Refused

_ONE = re.compile(r"bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)
_DIGITS = 19


class Span(NamedTuple):
    """Bytes from `start` up to `end`, which is left out, of `size`."""

    start: int
    end: int
    size: int

    @property
    def header(self) -> str:
        """`Content-Range`."""
        return f"bytes {self.start}-{self.end - 1}/{self.size}"


def wanted(header: str | None, if_range: str | None, *, size: int, etag: str) -> Span | None:
    """The bytes a request asks for; None when the whole is the answer: without a range, for several, for what cannot be
    understood, and when `If-Range` names another version. Raises Refused (416) for a range outside of it.
    """
    if header is None or (if_range is not None and if_range.strip() != etag):
        return None
    given = _ONE.fullmatch(header.strip())
    if given is None or max(map(len, given.groups())) > _DIGITS:
        return None
    first, last = given.groups()
    if not first and not last:
        return None
    if not first:  # the last so many bytes
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or start >= end:
        raise Refused(
            f"the range lies outside of the {size:,} bytes",
            status=416,
            code="range",
            remedy="Ask for a range within it, or for the whole.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return Span(start, end, size)
