"""A process that makes, restores or prunes backups, to be killed at a failpoint: `create HOME`, `restore INTO`, `prune HOME`.

Segments are sealed of ten events, and pieces are small, so that a little HOME has many.
"""

from __future__ import annotations

import sys
from pathlib import Path

from voxledger.catalog.backup import Backups, Rules
from voxledger.catalog.home import Home
from voxledger.catalog.log import sealing
from voxledger.catalog.objects import Store
from voxledger.catalog.settings import load
from voxledger.ledger import Ledger


def main() -> None:
    what, place = sys.argv[1], Path(sys.argv[2])
    sealing.SEAL = 10
    if what == "create":
        with Ledger(place) as vox:
            vox.backups.create(with_audio=True)
        return
    home = Home(place.with_name("nowhere"))
    settings = load(home.path).settings
    store = Store(home, settings.store)
    backups = Backups(home, settings, lambda: store)
    if what == "restore":
        backups.restore("latest", place, vault=place.with_name("saved.vault"), with_audio=True)
    else:
        backups.prune(rules=Rules(last=1, daily=0, weekly=0, monthly=0), apply=True)


if __name__ == "__main__":
    main()
