"""Voxledger: the flight recorder of synthetic speech.

import voxledger

with voxledger.open() as vox:
    clip = vox.speak("The tide is turning.", emotion={"happy": 0.7})
    print(clip.path, clip.duration)
"""

from __future__ import annotations

from importlib.metadata import version as _version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.catalog.clip import Clip
    from voxledger.dashboards.remote import RemoteLedger
    from voxledger.ledger import Ledger

__all__ = ["Clip", "Ledger", "RemoteLedger", "VoxledgerError", "connect", "open"]
__version__ = _version("voxledger")


def open(home: Path | str | None = None, **overrides: Any) -> Ledger:  # noqa: A001  # voxledger.open(), like any other store
    """Open a HOME and everything in it; use it in a `with` block, or call `close()`.

    `home` defaults to `VOXLEDGER_HOME`, or the platform's data folder, and is made when it is not there. `overrides`
    are settings by name with an underscore for the dot: `store_endpoint="http://127.0.0.1:9000"`,
    `general_actor="ann"`.

    Raises HomeError when HOME cannot be used, SettingsError for an unknown or malformed setting.
    """
    from voxledger.ledger import Ledger

    return Ledger(home, overrides=overrides)


def connect(
    url: str | None = None, token: str | None = None, *, home: Path | str | None = None, cache: Path | None = None
) -> RemoteLedger:
    """A ledger that a node serves (`voxledger serve`), with the interface of `open()`.

    Without `url` it is that of `VOXLEDGER_URL`, or else the node that serves `home` on this machine, which wants no token of its
    owner. `token` defaults to `VOXLEDGER_TOKEN`; `cache` is a folder for audio that is fetched.

    Raises SettingsError for what is no address, HomeError when nobody serves `home`.
    """
    from voxledger.dashboards.remote import connect as found

    return found(url, token, home=home, cache=cache)


def __getattr__(name: str) -> Any:
    # Names for annotations and notebooks, without paying for DuckDB at import.
    if name == "Ledger":
        from voxledger.ledger import Ledger

        return Ledger
    if name == "RemoteLedger":
        from voxledger.dashboards.remote import RemoteLedger

        return RemoteLedger
    if name == "Clip":
        from voxledger.catalog.clip import Clip

        return Clip
    raise AttributeError(f"module 'voxledger' has no attribute {name!r}")
