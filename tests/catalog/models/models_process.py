"""Models in a process of its own: `models_process.py HOME METHOD ARGUMENT…`; settings come from VOXLEDGER_* variables."""

from __future__ import annotations

import sys
from pathlib import Path

from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.models import Models
from voxledger.catalog.objects import Store
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import load
from voxledger.catalog.vault import Vault


def main(path: str, method: str, *arguments: str) -> None:
    home = Home.open(path)
    settings = load(Path(path)).settings
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    keeper, store = Keeper(home, recorder), Store(home, settings.store)
    models = Models(settings, recorder, lambda: keeper, lambda: store, actor="ann")
    try:
        print(getattr(models, method)(*arguments))
    except VoxledgerError as error:
        print(f"{type(error).__name__}: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
