"""The shelf: recordings and consent documents in HOME/voices, each under the hash of its content."""

from __future__ import annotations

import threading
from pathlib import Path

from voxledger.catalog import platform
from voxledger.catalog.hashing import sha256_of
from voxledger.synth.voices.intake import Taken

DOCUMENTS = "consents"


class Shelf:
    """Files that are only ever added, whole, or taken away. Readable by the owner alone: a voice is a person's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._sound: dict[str, tuple[int, int, int]] = {}

    def path(self, key: str) -> Path:
        """Where the file with a key of the store lies here."""
        return self.folder / key

    def put(self, taken: Taken, key: str) -> Path:
        """Give a copy its place, durably; a file with the same content that is there already stays as it is.

        Raises OSError.
        """
        path = self.path(key)
        if not self.holds(key, taken.sha256):
            path.parent.mkdir(mode=0o700, exist_ok=True)
            taken.path.replace(path)
            platform.fsync_folder(path.parent)
            platform.fsync_folder(self.folder)
        return path

    def holds(self, key: str, sha256: str) -> bool:
        """Whether the file is here and is what its name says. Read once; after that a look at size and time will do."""
        path = self.path(key)
        try:
            found = path.stat()
            identity = found.st_ino, found.st_size, found.st_mtime_ns
            with self._lock:
                if self._sound.get(key) == identity:
                    return True
            if sha256_of(path) != sha256:
                return False
        except OSError:
            return False
        with self._lock:
            self._sound[key] = identity
        return True

    def drop(self, sha256: str) -> int:
        """Take away what lies under a hash, recording or document; gives how many files went."""
        gone = 0
        for folder in (self.folder, self.folder / DOCUMENTS):
            for path in folder.glob(f"{sha256}.*"):
                path.unlink(missing_ok=True)
                gone += 1
        return gone
