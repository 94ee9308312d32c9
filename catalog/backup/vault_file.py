"""The vault's own file: the keys that seal what is personal, under a passphrase of their own, never beside a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from voxledger.catalog import platform
from voxledger.catalog.backup import passphrase as keys
from voxledger.catalog.backup.passphrase import Header
from voxledger.catalog.errors import BackupError, VaultError
from voxledger.catalog.home import Home

_MAGIC = b"voxledger vault 1\n"


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """The line in the open: which node's vault this is, and how its key is wrapped."""

    node: str
    key: Header


def check_place(place: Path, home: Home) -> None:
    """Raises BackupError for a place where a vault must not be written: in HOME, or over something else."""
    target = place.expanduser().resolve()
    if target.is_relative_to(home.path):
        raise BackupError(
            f"--vault {place} lies in HOME itself, where it is lost together with it; name a file on another disk"
        )
    if target.is_dir() or not target.parent.is_dir():
        raise BackupError(f"--vault {place} must be a file in a folder that exists")
    if target.exists() and not _is_ours(target):
        raise BackupError(f"{place} is there and is no vault of Voxledger's; name another file. Nothing was written")


def save(home: Home, place: Path, *, node: str, passphrase: str) -> None:
    """Write the vault as it is now into a file of its own (0600), whole or not at all, and read it back.

    Raises BackupError, VaultError; OSError when the file cannot be written.
    """
    check_place(place, home)
    if not home.vault.exists():
        raise VaultError(f"there is no vault at {home.vault}; nothing was saved")
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
        raise BackupError(f"{place} is the vault of node {about.node}; this backup is of node {node}")
    seal = keys.unlocked(about.key, passphrase)
    if seal is None:
        raise BackupError(f"the passphrase does not open {place} (backup.vault_key, VOXLEDGER_BACKUP_VAULT_KEY)")
    try:
        return seal.open(sealed, about=node)
    except ValueError as error:
        raise BackupError(f"{place} is damaged: {error}") from error


def _copy(vault: Path) -> bytes:
    """One moment of it. It passes through memory only: a second file of keys must never lie about."""
    try:
        with closing(sqlite3.connect(vault, timeout=30)) as source, closing(sqlite3.connect(":memory:")) as made:
            source.backup(made)
            return made.serialize()
    except sqlite3.Error as error:
        raise VaultError(f"the vault {vault} cannot be copied: {error}") from error


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
