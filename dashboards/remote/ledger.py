"""A ledger that is somewhere else: what `voxledger.connect()` gives."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from voxledger.catalog.errors import HomeError, SettingsError
from voxledger.catalog.home import Home, default_path
from voxledger.dashboards.remote.audio import RemoteAudio
from voxledger.dashboards.remote.catalog import RemoteCatalog
from voxledger.dashboards.remote.connection import Connection

if TYPE_CHECKING:
    from voxledger.dashboards.remote.models import RemoteModels
    from voxledger.dashboards.remote.reports import RemoteReports
    from voxledger.dashboards.remote.retention import RemoteRetention
    from voxledger.dashboards.remote.search import RemoteSearch
    from voxledger.dashboards.remote.studio import RemoteStudio
    from voxledger.dashboards.remote.voices import RemoteVoices

URL, TOKEN = "VOXLEDGER_URL", "VOXLEDGER_TOKEN"  # names of variables


class RemoteLedger:
    """A node's ledger, with the interface of `Ledger`: `.speak` and `.studio` make clips there, `.catalog` finds them.

    Use it in a `with` block, or call `close()`. Safe from many threads.
    """

    def __init__(self, url: str, token: str, *, cache: Path | None = None) -> None:
        """`cache`: folder for audio that is fetched; the platform's by default."""
        self._connection = Connection(url, token)
        self._audio = RemoteAudio(self._connection, cache or _cache())
        self.catalog = RemoteCatalog(self._connection, self._audio)

    def __enter__(self) -> RemoteLedger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<RemoteLedger {self._connection.url}>"

    def close(self) -> None:
        """Let the connection go. Idempotent."""
        self._connection.close()

    @property
    def speak(self) -> Any:
        """Speak a text and record the clip: a shortcut for `studio.speak`."""
        return self.studio.speak

    @cached_property
    def studio(self) -> RemoteStudio:
        """Makes clips."""
        from voxledger.dashboards.remote.studio import RemoteStudio

        return RemoteStudio(self._connection, self._audio)

    @cached_property
    def voices(self) -> RemoteVoices:
        """Registered voices."""
        from voxledger.dashboards.remote.voices import RemoteVoices

        return RemoteVoices(self._connection)

    @cached_property
    def models(self) -> RemoteModels:
        """Versions of engines' files."""
        from voxledger.dashboards.remote.models import RemoteModels

        return RemoteModels(self._connection)

    @cached_property
    def retention(self) -> RemoteRetention:
        """Says which audio may go, why, and lets it go."""
        from voxledger.dashboards.remote.retention import RemoteRetention

        return RemoteRetention(self._connection)

    @cached_property
    def reports(self) -> RemoteReports:
        """Weekly reports."""
        from voxledger.dashboards.remote.reports import RemoteReports

        return RemoteReports(self._connection)

    @cached_property
    def search(self) -> RemoteSearch:
        """Finds words in texts, names and tags."""
        from voxledger.dashboards.remote.search import RemoteSearch

        return RemoteSearch(self._connection)

    def status(self) -> dict[str, Any]:
        """What is there, what waits, and why: what `voxledger status --json` prints on the node."""
        found: dict[str, Any] = self._connection.get("/api/status")
        return found


def connect(
    url: str | None = None, token: str | None = None, *, home: Path | str | None = None, cache: Path | None = None
) -> RemoteLedger:
    """A node's ledger. Without `url` that of VOXLEDGER_URL, or else the node that serves `home` on this machine.

    `token` defaults to VOXLEDGER_TOKEN; whoever owns HOME needs none for its node. Raises SettingsError for an address that is
    none, HomeError when nobody serves `home`.
    """
    from voxledger.catalog.log.link import found

    chosen = url or (None if home is not None else os.environ.get(URL))
    if chosen:
        if not chosen.startswith(("http://", "https://")):
            raise SettingsError(f"{chosen!r} is no address of a node; write one as http://127.0.0.1:8460", name=URL)
        return RemoteLedger(chosen, token or os.environ.get(TOKEN, ""), cache=cache)
    folder = Path(home).expanduser() if home is not None else default_path()
    node = found(Home(folder.resolve())) if folder.exists() else None
    if node is None or not node.url:
        raise HomeError(
            f"nobody serves {folder}; start `voxledger serve`, or name a node: voxledger.connect(URL, TOKEN)"
        )
    return RemoteLedger(node.url, token or node.secret, cache=cache)


def _cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("voxledger")) / "clips"
