"""Recovery: single clips out of backups that hold audio, from the newest that has them."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.backup.audio import listed
from voxledger.catalog.backup.contents import SavedAudio
from voxledger.catalog.backup.passphrase import Seal
from voxledger.catalog.errors import BackupDamaged, BackupError
from voxledger.catalog.hashing import sha256_of
from voxledger.catalog.objects.ranged import fetch_object

if TYPE_CHECKING:
    from voxledger.catalog.backup.backups import Backups


class Found(NamedTuple):
    """The audio of a clip in a backup."""

    saved: SavedAudio
    seal: Seal


class Recovery:
    """Looks clips up in the backups and fetches them. Raises StoreError and StoreUnavailable as the store does."""

    def __init__(self, backups: Backups) -> None:
        self._bucket = backups.bucket

    def find(self, clips: Collection[str]) -> tuple[dict[str, Found], int]:
        """The newest backup of each of these clips, by id, and how many backups with audio were looked into.

        One that cannot be read, because it is damaged or under another key, is passed over.
        """
        wanted, found, looked = set(clips), dict[str, Found](), 0
        for one in reversed(self._bucket.listed()):
            if not wanted:
                break
            try:
                manifest, seal = self._bucket.manifest(one)
                if manifest.audio is None:
                    continue
                looked += 1
                here = {
                    saved.id: Found(saved, seal)
                    for saved in listed(self._bucket, seal, manifest.audio)
                    if saved.id in wanted
                }
            except BackupError:
                continue
            found |= here
            wanted -= here.keys()
        return found, looked

    def fetch(self, found: Found, path: Path) -> None:
        """Write the audio to a file, and see that it is what was backed up. Raises BackupDamaged, OSError."""
        saved = found.saved
        if saved.pieces or found.seal.header is not None:
            with path.open("wb") as file:
                for piece in saved.pieces:
                    file.write(self._bucket.get_piece(piece, found.seal))
            if sha256_of(path) != saved.sha256:
                path.unlink()
                raise BackupDamaged(f"the audio of {saved.id} is not what was backed up")
            return
        fetch_object(
            self._bucket.store,
            self._bucket.name,
            f"audio/{saved.id}",
            path,
            bytes=saved.bytes,
            sha256=saved.sha256,
            threads=2,
        )
