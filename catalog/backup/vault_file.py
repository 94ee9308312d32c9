"""The vault's own file: the keys that seal what is personal, under a passphrase of their own, never beside a backup."""

from __future__ import annotations

import sqlite3
from collections.abc import Container
from contextlib import closing
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.backup import passphrase as keys
from voxledger.catalog.backup.passphrase import Header
from voxledger.catalog.errors import BackupError, VaultError
from voxledger.catalog.home import Home

_MAGIC = b"voxledger vault 1\n"
_JOURNAL_MODE = slice(18, 20)
"""The bytes of a database file that say whether it has a write-ahead log, which one in memory cannot have."""


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """The line in the open: which node's vault this is, and how its key is wrapped."""

    node: str
    key: Header


def check(home: Home, place: Path, *, node: str, passphrase: str) -> None:
    """Raises BackupError for a place where the vault must not be written: in HOME, or over something else than an older state of it.

    Another node's vault is not replaced, nor one that cannot be opened, nor one with keys that this HOME lacks: it may be the only
    one that has them. Keys that were destroyed here are to be gone there too.
    """
    _check_place(place, home)
    if not place.expanduser().exists():
        return
    try:
        theirs = _keys(opened(place, node=node, passphrase=passphrase))
    except BackupError as error:
        raise BackupError(
            f"{error}. It is not replaced, because it may hold the only keys: move it away, or name another file. Nothing was written"
        ) from error
    ours = _keys(_copy(home.vault))
    lacking = [actor for actor, key in theirs.items() if key and (actor not in ours or ours[actor] not in (key, None))]
    if lacking:
        count = "1 key" if len(lacking) == 1 else f"{len(lacking)} keys"
        raise BackupError(
            f"{place} holds {count} that this HOME does not have. It is not replaced, because it may hold the only ones: name another"
            " file. Nothing was written"
        )


def _check_place(place: Path, home: Home) -> None:
    target = place.expanduser().resolve()
    if target.is_relative_to(home.path):
        raise BackupError(
            f"--vault {place} lies in HOME itself, where it is lost together with it; name a file on another disk"
        )
    if target.is_dir() or not target.parent.is_dir():
        raise BackupError(f"--vault {place} must be a file in a folder that exists")


def save(home: Home, place: Path, *, node: str, passphrase: str) -> None:
    """Write the vault as it is now into a file of its own (0600), whole or not at all, and read it back.

    Raises BackupError, VaultError; OSError when the file cannot be written.
    """
    check(home, place, node=node, passphrase=passphrase)
    content = _copy(home.vault)
    seal = keys.new(passphrase)
    assert seal.header is not None
    head = msgspec.json.encode(_Open(node=node, key=seal.header))
    target = place.expanduser().resolve()
    platform.write_atomic(target, _MAGIC + head + b"\n" + seal.close(content, about=node), mode=0o600)
    if opened(target, node=node, passphrase=passphrase) != content:
        raise BackupError(f"{target} is not what was written; the disk may be failing")


def opened(place: Path, *, node: str, passphrase: str) -> bytes:
    """The vault in a file, as `vault.sqlite` has it. Raises BackupError for another node's, a wrong passphrase, or damage."""
    try:
        content = place.expanduser().read_bytes()
    except OSError as error:
        raise BackupError(f"the vault {place} cannot be read: {error.strerror or error}") from error
    head, _, sealed = content.removeprefix(_MAGIC).partition(b"\n")
    try:
        about = msgspec.json.decode(head if content.startswith(_MAGIC) else b"", type=_Open)
    except msgspec.DecodeError:
        raise BackupError(f"{place} is no vault that `voxledger backup create --vault` wrote") from None
    if about.node != node:
        raise BackupError(f"{place} is the vault of node {about.node}, and this is node {node}")
    try:
        seal = keys.unlocked(about.key, passphrase)
        if seal is None:
            raise BackupError(f"the passphrase does not open {place} (backup.vault_key, VOXLEDGER_BACKUP_VAULT_KEY)")
        return seal.open(sealed, about=node)
    except ValueError as error:
        raise BackupError(f"{place} is damaged: {error}") from error


def without(vault: bytes, actors: Container[str]) -> tuple[bytes, int]:
    """A vault without the keys of these actors, and how many that were: who was erased since it was saved never comes back."""
    doomed = [actor for actor, key in _keys(vault).items() if key is not None and actor in actors]
    if not doomed:
        return vault, 0
    with closing(_loaded(vault)) as made:
        made.executemany(
            "UPDATE actors SET label = NULL, key = NULL, destroyed = coalesce(destroyed, datetime('now')) WHERE id = ?",
            [(actor,) for actor in doomed],
        )
        made.execute("VACUUM")  # nothing of them may stand in the free room of a page
        return made.serialize(), len(doomed)


def _copy(vault: Path) -> bytes:
    """One moment of it. It passes through memory only: a second file of keys must never lie about."""
    if not vault.exists():
        raise VaultError(f"there is no vault at {vault}; nothing was saved")
    try:
        with closing(sqlite3.connect(vault, timeout=30)) as source, closing(sqlite3.connect(":memory:")) as made:
            source.backup(made)
            copied = made.serialize()
        with closing(_loaded(copied)) as made:
            made.execute("VACUUM")  # a key that was destroyed may still stand in the free room of a page
            return made.serialize()
    except sqlite3.Error as error:
        raise VaultError(f"the vault {vault} cannot be copied: {error}") from error


def _keys(vault: bytes) -> dict[str, bytes | None]:
    """The key of every actor by id; None for one that was destroyed."""
    try:
        with closing(_loaded(vault)) as made:
            return dict(made.execute("SELECT id, key FROM actors").fetchall())
    except sqlite3.Error as error:
        raise BackupError(f"what is sealed there is no vault ({error})") from error


def _loaded(vault: bytes) -> sqlite3.Connection:
    """A vault in memory."""
    content = bytearray(vault)
    content[_JOURNAL_MODE] = b"\1\1"
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.deserialize(bytes(content))
    return made
