"""An uploader in a process of its own: `upload_process.py HOME`; the settings come from VOXLEDGER_STORE_* variables.

It uploads until nothing waits, then prints how many it did.
"""

from __future__ import annotations

import sys
from pathlib import Path

from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.objects import Store, Uploader
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.settings import load
from voxledger.catalog.vault import Vault


def main(path: str) -> None:
    home = Home.open(path)
    settings = load(Path(path)).settings.store
    recorder = Recorder(Journal(home.journal), Vault(home.vault))
    uploader = Uploader(recorder, Store(home, settings), settings)
    uploader.flush()
    uploader.close()
    print(uploader.progress.done)


if __name__ == "__main__":
    main(sys.argv[1])
