"""Revisions: each published report as it was, so that a later one can say what it says differently.

They lie in HOME/reports/revisions and, where there is one, in the bucket of reports. They hold names and words of clips: when
somebody is erased, they go, and what is still wanted of them is made again from what is known then.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from voxledger.analytics.publishing.bucket import key
from voxledger.analytics.report import WeeklyReport, render_json
from voxledger.catalog.errors import StoreError
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.platform import write_atomic

_FILE = re.compile(r"voxledger-(\d{4}-W\d{2})-r(\d+)\.json")
_log = logging.getLogger(__name__)


class Revisions:
    """The revisions that this HOME remembers."""

    def __init__(self, home: Home, node: str, store: Callable[[], Store], bucket: str) -> None:
        self._folder = home.reports / "revisions"
        self._node = node
        self._store = store
        self._bucket = bucket

    def keep(self, report: WeeklyReport, revision: int) -> None:
        """Write one down. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(self._path(report.week, revision), render_json(report).encode(), mode=0o600)

    def load(self, week: str, revision: int) -> WeeklyReport | None:
        """A revision as it was published; None where nobody has it any more, or it was of a form that is not read any more."""
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path(week, revision).read_bytes(), type=WeeklyReport)
        if not self._bucket:
            return None
        try:
            found = self._store().get(self._bucket, key(self._node, week, revision, "json"))
            return msgspec.json.decode(found, type=WeeklyReport)
        except (StoreError, msgspec.MsgspecError) as error:
            _log.debug("revision %d of %s is not to be had: %s", revision, week, error)
            return None

    def weeks(self) -> Sequence[str]:
        """The weeks of which there is one here."""
        return sorted({week for week, _, _ in self._files()})

    def forget(self, *, before: str) -> None:
        """Let go what lies here of weeks before one. Raises OSError."""
        for week, _, path in self._files():
            if week < before:
                path.unlink(missing_ok=True)

    def drop(self, week: str, *, before: int) -> None:
        """Let go what lies here of a week's revisions older than `before`. Raises OSError."""
        for found, revision, path in self._files():
            if found == week and revision < before:
                path.unlink(missing_ok=True)

    def _files(self) -> Sequence[tuple[str, int, Path]]:
        named = ((_FILE.fullmatch(path.name), path) for path in self._folder.glob("*"))
        return [(found[1], int(found[2]), path) for found, path in named if found]

    def _path(self, week: str, revision: int) -> Path:
        return self._folder / f"voxledger-{week}-r{revision}.json"
