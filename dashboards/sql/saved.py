"""Saved queries: `queries/NAME.sql` in HOME, a file each, which people may also write with an editor. Backups take them along."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, QueryError
from voxledger.catalog.home import QUERY_NAME, Home
from voxledger.dashboards.faults import Refused

LARGEST = 100_000
"""Bytes of a query."""
_MOST = 1000
_LARGEST_FILE = LARGEST + 1000
"""Bytes of it with the line that says whose it is."""
_OWNER = re.compile(r"\n-- owner: ([\w-]+)\s*\Z")
_COMMENT = re.compile(r"\s*--[ \t]?(.*)")
_PARAMETER = re.compile(r"'(?:[^']|'')*'|--[^\n]*|\$([A-Za-z_]\w*)")


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A query under a name. `owner` is the opaque id of the actor who saved it; whoever wrote the file by hand left none."""

    name: str
    query: str
    saved: datetime
    owner: str | None = None

    @property
    def description(self) -> str | None:
        """The comment that it begins with."""
        lines = []
        for line in self.query.splitlines():
            found = _COMMENT.fullmatch(line)
            if found is None:
                break
            lines.append(found[1].strip())
        return " ".join(lines).strip() or None

    @property
    def parameters(self) -> Sequence[str]:
        """The names that it leaves open, `$name`, in the order in which they come."""
        return tuple(dict.fromkeys(found for found in _PARAMETER.findall(self.query) if found))


class Queries:
    """The saved queries of a HOME."""

    def __init__(self, home: Home) -> None:
        self._folder = home.queries

    def all(self) -> Iterator[Saved]:
        """In the order of their names, read one by one; files that are not called as queries are, or are no text of 100 kB, are none."""
        for path in self._files():
            saved = self._read(path)
            if saved is not None:
                yield saved

    def get(self, name: str) -> Saved:
        """One of them. Raises Refused (404)."""
        saved = self._read(self._path(name)) if QUERY_NAME.fullmatch(name) else None
        if saved is None:
            raise Refused(
                "there is no saved query of this name",
                status=404,
                code="query_not_found",
                remedy="GET /api/queries lists them.",
            )
        return saved

    def has(self, name: str) -> bool:
        """Whether there is one of this name."""
        return bool(QUERY_NAME.fullmatch(name)) and self._path(name).is_file()

    def put(self, name: str, query: str, *, owner: str) -> Saved:
        """Save a query, in the place of one of the same name. Raises QueryError, DiskFull."""
        if not QUERY_NAME.fullmatch(name):
            raise _misnamed()
        text = query.strip()
        if not text or len(text.encode(errors="replace")) > LARGEST or "\0" in text:
            raise QueryError(f"a saved query is text of 1 to {LARGEST:,} bytes")
        if not self.has(name) and len(self._files()) >= _MOST:
            raise QueryError(f"there are {_MOST:,} saved queries already; delete some")
        self._folder.mkdir(mode=0o700, exist_ok=True)
        try:
            content = f"{text}\n-- owner: {owner}\n".encode()
        except UnicodeEncodeError:
            raise QueryError("this is not SQL: it holds half a surrogate pair") from None
        try:
            platform.write_atomic(self._path(name), content, mode=0o600)
        except OSError as error:
            if not platform.lacks_room(error, self._folder):
                raise
            raise DiskFull.at(f"the query {name} could not be saved", "nothing was changed") from error
        return self.get(name)

    def rename(self, name: str, new: str) -> Saved:
        """Give one another name, and nothing else. Raises Refused (404; 409 where the name is taken), QueryError."""
        self.get(name)
        if not QUERY_NAME.fullmatch(new):
            raise _misnamed()
        if new != name:
            if self.has(new):
                raise Refused(
                    f"there is a saved query {new} already",
                    status=409,
                    code="query_taken",
                    remedy="Choose another name, or delete that one first.",
                )
            self._path(name).rename(self._path(new))
        return self.get(new)

    def delete(self, name: str) -> None:
        """Remove one. Raises Refused (404)."""
        self.get(name)
        self._path(name).unlink(missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.glob("*.sql") if QUERY_NAME.fullmatch(path.stem))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.sql"

    def _read(self, path: Path) -> Saved | None:
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_FILE + 1)
                changed = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
            text = content.decode()
        except (OSError, UnicodeDecodeError):
            return None
        if len(content) > _LARGEST_FILE:
            return None
        owner = _OWNER.search(text)
        return Saved(
            name=path.stem,
            query=_OWNER.sub("", text).strip(),
            saved=changed,
            owner=owner[1] if owner else None,
        )


def _misnamed() -> QueryError:
    return QueryError(
        "a query's name has 1 to 64 small letters, digits, hyphens and underscores, and begins with a letter or digit"
    )
