"""Names of model versions: `NAME@VERSION`."""

from __future__ import annotations

import re
from typing import NamedTuple

from voxledger.catalog.errors import ModelError

_PART = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
"""What is the same folder and the same key everywhere: no capitals, no dot in front or at the end."""


class Reference(NamedTuple):
    """One version of a model. Prints as `NAME@VERSION`."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def parse(text: str) -> Reference:
    """Read `NAME@VERSION`. Raises ModelError."""
    name, at, version = text.partition("@")
    if not at:
        raise ModelError(f"{text!r} names no version of a model: write NAME@VERSION, such as indextts@2.5")
    return Reference(checked(name, "name"), checked(version, "version"))


def parse_loose(text: str) -> tuple[str, str | None]:
    """Read `NAME@VERSION`, or `NAME` for its current version: then the version is None. Raises ModelError."""
    if "@" in text:
        return parse(text)
    return checked(text, "name"), None


def checked(part: str, what: str) -> str:
    """A name or version as it was given. Raises ModelError for what is none."""
    if not _PART.fullmatch(part):
        raise ModelError(
            f"{part!r} is no {what} of a model: it takes 1 to 64 of a-z, 0-9, '.', '_' and '-', and begins and ends with a"
            " letter or a digit"
        )
    return part
