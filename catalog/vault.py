"""The vault: one key per actor. Destroying a key erases a person from the log without rewriting it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from voxledger.catalog import platform
from voxledger.catalog.errors import DiskFull, VaultError
from voxledger.catalog.events import new_id, now
from voxledger.catalog.lazy import lazy
from voxledger.catalog.sqlite_files import write_ahead

_NONCE = 12
_PATIENCE = 60.0
"""Seconds that a destroyed key is allowed to stay in the write-ahead log, while others read it."""


@dataclass(frozen=True)
class ActorKey:
    """One actor's opaque id and the key that seals what is personal about them."""

    id: str
    label: str | None
    key: bytes = field(repr=False)

    @lazy
    def _cipher(self) -> AESGCM:
        return AESGCM(self.key)

    def seal(self, plain: bytes, *, about: str) -> bytes:
        """AES-256-GCM; `about` (the event's id) is bound to it, so a sealed part fits no other event."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """The inverse of `seal`. Raises VaultError when bytes, key or `about` do not belong together."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except InvalidTag:
            raise VaultError(f"the sealed part of event {about} was altered, or sealed with another key") from None


class Vault:
    """The keys in `vault.sqlite`, readable by its owner only. Any number of processes and threads may use it."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._by_label: dict[str, ActorKey] = {}
        self._by_id: dict[str, ActorKey | None] = {}
        self._forgotten: dict[str, int] | None = None
        self._seen = -1
        try:
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
            write_ahead(self._connection)
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA fullfsync = ON")
            self._connection.executescript(files("voxledger.catalog").joinpath("vault.sql").read_text())
        except (OSError, sqlite3.Error) as error:
            if platform.lacks_room(error, path.parent):
                raise DiskFull.at(f"{path} cannot be used", "nothing was changed") from error
            raise VaultError(f"the vault {path} cannot be opened: {error}; restore it from its backup") from error

    def close(self) -> None:
        """Idempotent."""
        if self._pid == os.getpid():
            self._connection.close()

    def _execute(self, query: str, values: tuple[object, ...]) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query, values)
        except sqlite3.Error as error:
            closed = "closed database" in str(error)
            raise VaultError(
                "this ledger is closed; open it again with voxledger.open()"
                if closed
                else f"the vault cannot be used: {error}"
            ) from error

    def _check_process(self) -> None:
        """SQLite's connections do not survive a fork."""
        if self._pid != os.getpid():
            raise VaultError("this ledger was opened before a fork; open Voxledger again in the child process")

    def _look(self) -> None:
        """Forget what is remembered when another process, or another vault of this one, has changed the file: keys are destroyed."""
        seen = int(self._execute("PRAGMA data_version", ()).fetchone()[0])
        if seen != self._seen:
            self._seen = seen
            self._forget_all()

    def _forget_all(self) -> None:
        self._by_label.clear()
        self._by_id.clear()
        self._forgotten = None

    def actor(self, label: str) -> ActorKey:
        """The key of the actor people call `label`, made on first use."""
        self._check_process()
        with self._lock:
            self._look()
            known = self._by_label.get(label)
            if known is None:
                known = self._find("label", label) or self._create(label)
                self._by_label[label] = self._by_id[known.id] = known
            return known

    def known(self, label: str) -> ActorKey | None:
        """The key of the actor people call `label`, without making one; None when there is none, or it was destroyed."""
        self._check_process()
        with self._lock:
            self._look()
            return self._by_label.get(label) or self._find("label", label)

    def labels(self) -> list[str]:
        """What people call the actors that have a key and a name here."""
        self._check_process()
        with self._lock:
            found = self._execute("SELECT label FROM actors WHERE label IS NOT NULL AND key IS NOT NULL", ()).fetchall()
        return sorted(label for (label,) in found)

    def key(self, actor: str) -> ActorKey | None:
        """The key behind an opaque id; None when it was destroyed or never here."""
        self._check_process()
        with self._lock:
            self._look()
            if actor not in self._by_id:
                self._by_id[actor] = self._find("id", actor)
            return self._by_id[actor]

    def destroyed(self, actor: str) -> bool:
        """Whether there was a key behind an opaque id that was destroyed, rather than none that ever was here."""
        self._check_process()
        with self._lock:
            row = self._execute("SELECT key FROM actors WHERE id = ?", (actor,)).fetchone()
        return row is not None and not row[0]

    def detach(self, actor: str) -> None:
        """Take an actor's name away: whoever uses it from now on is somebody new, with another key. What is sealed can be read still."""
        self._check_process()
        with self._lock:
            self._execute("PRAGMA secure_delete = ON", ())
            self._execute("UPDATE actors SET label = NULL WHERE id = ?", (actor,))
            self._forget_all()

    def destroy(self, actor: str) -> bool:
        """Destroy the key behind an opaque id, for ever; says whether there was one. Idempotent.

        Its place in the file is overwritten, and nothing of it is left in the write-ahead log. An id that never had a key here
        is noted too, so that it never gets one. Raises VaultError when the file cannot be emptied of it.
        """
        self._check_process()
        with self._lock:
            self._execute("PRAGMA secure_delete = ON", ())
            present = now().isoformat()
            row = self._execute("SELECT key FROM actors WHERE id = ?", (actor,)).fetchone()
            self._execute(
                "INSERT INTO actors (id, label, key, created, destroyed) VALUES (?, NULL, NULL, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET label = NULL, key = NULL, destroyed = coalesce(destroyed, excluded.destroyed)",
                (actor, present, present),
            )
            self._forget_all()
            self._wipe()
        return row is not None and row[0] is not None

    def forget_voice(self, sha256: str, position: int) -> None:
        """Never open again what events up to `position` call a voice, whoever sealed that. Idempotent."""
        self._check_process()
        with self._lock:
            self._execute(
                "INSERT INTO forgotten_voices (sha256, position) VALUES (?, ?)"
                " ON CONFLICT (sha256) DO UPDATE SET position = max(position, excluded.position)",
                (sha256, position),
            )
            self._forget_all()

    def forgotten_voices(self) -> dict[str, int]:
        """The voices that were erased, by SHA-256, each with the position up to which nothing may name it."""
        self._check_process()
        with self._lock:
            self._look()
            if self._forgotten is None:
                self._forgotten = dict(self._execute("SELECT sha256, position FROM forgotten_voices", ()).fetchall())
            return self._forgotten

    def _wipe(self) -> None:
        """Write the file anew, without what was deleted, and empty its write-ahead log."""
        deadline = time.monotonic() + _PATIENCE
        self._execute("VACUUM", ())
        while self._execute("PRAGMA wal_checkpoint(TRUNCATE)", ()).fetchone()[0]:
            if time.monotonic() > deadline:
                raise VaultError(
                    "another process has been reading the vault for a minute, and its write-ahead log may still hold a key that was"
                    " destroyed; close that process and run it again"
                )
            time.sleep(0.05)

    def secret(self, name: str, size: int = 32) -> bytes:
        """A random secret of this node, made on first use and the same ever after."""
        self._check_process()
        with self._lock:
            self._execute(
                "INSERT INTO secrets (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (name, secrets.token_bytes(size)),
            )
            return bytes(self._execute("SELECT value FROM secrets WHERE name = ?", (name,)).fetchone()[0])

    @lazy
    def _hash_key(self) -> bytes:
        return self.secret("hash")

    def keyed_hash(self, content: bytes, *, purpose: str) -> str:
        """A BLAKE2b under this node's secret, 32 hex digits: equal content can be recognized, but not guessed from
        outside.
        """
        return blake2b(content, key=self._hash_key, person=purpose.encode()[:16], digest_size=16).hexdigest()

    def _find(self, column: str, value: str) -> ActorKey | None:
        row = self._execute(f"SELECT id, label, key FROM actors WHERE {column} = ?", (value,)).fetchone()  # noqa: S608  # column is ours
        return ActorKey(row[0], row[1], bytes(row[2])) if row and row[2] else None

    def _create(self, label: str) -> ActorKey:
        self._execute(
            "INSERT INTO actors (id, label, key, created) VALUES (?, ?, ?, ?) ON CONFLICT (label) DO NOTHING",
            (new_id(), label, AESGCM.generate_key(256), now().isoformat()),
        )
        found = self._find("label", label)
        if found is None:
            raise VaultError(f"the key of actor {label!r} was destroyed; use another name")
        return found
