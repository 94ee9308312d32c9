"""Sizes and spans of time as people write them."""

from __future__ import annotations

import re
from datetime import timedelta

_SCALE = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_LARGEST = 2**62
_LONGEST = 1000 * 366 * 86400.0
_UNITS = {"ms": 1e-3, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_size(text: str) -> int:
    """Bytes from `"500MB"`, `"2GiB"` or a plain number. Raises ValueError."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*", text)
    if not found or (found[2].upper() or "B") not in _SCALE:
        raise ValueError(f"{text!r} is no size: write a number with B, KB, MB, GB, TB, KiB, MiB, GiB or TiB")
    size = float(found[1]) * _SCALE[found[2].upper() or "B"]
    if size >= _LARGEST:
        raise ValueError(f"{text[:40]!r} is more than any disk has")
    return int(size)


def parse_span(text: str) -> float:
    """Seconds from `"90s"`, `"15min"`, `"7d"`, `"1d12h"` or a plain number. Raises ValueError."""
    parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)\s*(ms|min|s|m|h|d|w)", text)
    if re.fullmatch(r"\s*[0-9]+(\.[0-9]+)?\s*", text):
        parts = [(text.strip(), "s")]
    elif not parts or re.sub(r"\s", "", text) != "".join(number + unit for number, unit in parts):
        raise ValueError(f"{text!r} is no time span: write a number with ms, s, m, min, h, d or w")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST:
        raise ValueError(f"{text[:40]!r} is longer than a thousand years")
    return seconds


def format_span(seconds: float) -> str:
    """A time span as people write it: `7d`, `1h30min`, `0s`."""
    rest = timedelta(seconds=seconds)
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, rest = divmod(rest, timedelta(seconds=size))
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest.total_seconds():g}s")
    return "".join(parts)
