"""Assets: what pages are made of, served under names that change with their content, so that browsers keep them for good.

All is read when the node starts, and compressed once, when somebody asks for it. Modules import each other by their plain names
(`import "./app.js"`), which are replaced by the names with the hash; so a change in one is a change in all that import it.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec
import zstandard
from fastapi import APIRouter, Request
from starlette.responses import Response

from voxledger.analytics import palette
from voxledger.dashboards.pages.words import LANGUAGES, WORDS

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_TYPES: Mapping[str, str] = {
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml", "png": "image/png",
}  # fmt: skip
_IMPORT = re.compile(r'((?:\bfrom|\bimport)\s*\(?\s*")\./([\w./-]+\.js)(")')
SAID = re.compile(r'\bsay(?:Many)?\(\s*"((?:[^"\\]|\\.)*)"')
"""A sentence in a script."""
_FOREVER = "public, max-age=31536000, immutable"
_SMALL = 500
"""Bytes below which compressing gains nothing."""


class Asset:
    """A file as it is served."""

    def __init__(self, address: str, kind: str, plain: bytes) -> None:
        self.address = address
        self.kind = kind
        self.plain = plain
        self._packs = kind != _TYPES["png"] and len(plain) > _SMALL

    @cached_property
    def zstd(self) -> bytes | None:
        """Compressed; None where that gains nothing."""
        return zstandard.compress(self.plain, 12) if self._packs else None

    @cached_property
    def gzip(self) -> bytes | None:
        """The same for browsers that know no better."""
        return gzip.compress(self.plain, 9, mtime=0) if self._packs else None


class Assets:
    """All of them. `sources` are the plain names and contents."""

    def __init__(self, sources: Mapping[str, bytes] | None = None) -> None:
        self._sources = dict(_sources() if sources is None else sources)
        self._made: dict[str, Asset] = {}
        for name in self._sources:
            self._make(name, ())
        self._by_address = {asset.address: asset for asset in self._made.values()}

    def __call__(self, name: str) -> str:
        """The address of a file: what templates write as `{{ asset("app.js") }}`. Raises KeyError."""
        return self._made[name].address

    def router(self) -> APIRouter:
        """`/assets/`."""
        routes = APIRouter(include_in_schema=False)

        @routes.get("/assets/{name:path}")
        async def asset(name: str, request: Request) -> Response:
            found = self._by_address.get(f"/assets/{name}")
            if found is None:
                return Response(status_code=404)
            accepted = request.headers.get("accept-encoding", "")
            headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
            for coding in ("zstd", "gzip"):
                if coding in accepted and (body := getattr(found, coding)) is not None:
                    return Response(body, headers={**headers, "Content-Encoding": coding}, media_type=found.kind)
            return Response(found.plain, headers=headers, media_type=found.kind)

        return routes

    def _make(self, name: str, importing: tuple[str, ...]) -> Asset:
        if name in self._made:
            return self._made[name]
        if name in importing:
            raise ValueError(f"the modules {' -> '.join((*importing, name))} import each other in a circle")
        stem, _, ending = name.rpartition(".")
        plain = self._sources[name]
        if ending == "js" and not name.startswith("vendor/"):
            plain = _IMPORT.sub(
                lambda found: f"{found[1]}{self._make(found[2], (*importing, name)).address}{found[3]}", plain.decode()
            ).encode()
        digest = hashlib.sha256(plain).hexdigest()[:12]
        made = self._made[name] = Asset(f"/assets/{stem}.{digest}.{ending}", _TYPES[ending], plain)
        return made


def _sources() -> dict[str, bytes]:
    found = dict(_files(files("voxledger.dashboards.pages") / "assets", ""))
    found["colours.css"] = colours().encode()
    scripts = "\n".join(content.decode() for name, content in found.items() if name.endswith(".js") and "/" not in name)
    said = {msgspec.json.decode(f'"{each}"', type=str) for each in SAID.findall(scripts)}
    for language in LANGUAGES:
        words = {english: WORDS[language][english] for english in sorted(said) if english in WORDS[language]}
        found[f"words.{language}.js"] = b"globalThis.voxWords = " + msgspec.json.encode(words) + b";\n"
    return found


def _files(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.is_dir():
            yield from _files(file, f"{prefix}{file.name}/")
        elif file.name.rpartition(".")[2] in _TYPES:
            yield prefix + file.name, file.read_bytes()


def colours() -> str:
    """The colours of `analytics.palette` as custom properties, one that suits both light and dark: the weekly report has the same."""
    lines = [
        f"  --{name}: light-dark({colour.light}, {colour.dark});"
        for group in (palette.ROLES, palette.EMOTIONS, palette.OUTCOMES)
        for name, colour in group.items()
    ]
    emotions = [f'[data-emotion="{name}"] {{ --emotion: var(--{name}); }}' for name in palette.EMOTIONS]
    return "\n".join((":root {", *lines, "}", *emotions)) + "\n"
