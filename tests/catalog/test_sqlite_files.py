"""SQLite files that several open at once."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.soak import rounds
from voxledger.catalog.vault import Vault


def test_many_that_make_a_vault_at_the_same_moment_all_have_it(tmp_path: Path) -> None:
    """SQLite tells some of them that the file is locked, without asking its busy handler."""
    for number in rounds(200):
        path, ready, failed = tmp_path / f"{number}.sqlite", threading.Barrier(6), []

        def make(path: Path = path, ready: threading.Barrier = ready, failed: list[Exception] = failed) -> None:
            ready.wait()
            try:
                Vault(path).close()
            except Exception as error:  # noqa: BLE001  # told below
                failed.append(error)

        threads = [threading.Thread(target=make) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failed
