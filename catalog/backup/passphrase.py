"""What seals backups: a passphrase opens a random key, and from that come the keys that encrypt and that name.

The passphrase goes through scrypt (RFC 7914), the random key is wrapped by AES-256-GCM and split by HKDF (RFC 5869). The
name of a sealed piece is an HMAC of what it holds: equal pieces have equal names, and a name tells nothing to anybody
without the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from functools import lru_cache
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12
_WRAPPED = _NONCE + 32 + 16
"""Bytes of a wrapped key: nonce, key, tag."""
_COST = 15
"""scrypt with N = 2 ** 15, r = 8, p = 1: 32 MB and about 0.1 s for each guess."""
_MOST_COST = 20
"""A header that asks for more (1 GB) is none of ours: it must not be able to use up the memory."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """How a random key is wrapped: lies in the open, and is worth nothing without the passphrase."""

    salt: str
    cost: int
    wrapped: str


class Seal(Protocol):
    """Names pieces, and seals what is put into a bucket."""

    header: Header | None

    def name(self, content: bytes) -> str:
        """64 hex digits: the same for the same content."""

    def close(self, content: bytes, *, about: str) -> bytes:
        """Seal; `about` is bound to it, so that no piece can stand in for another."""

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """The inverse of `close`. Raises ValueError for what was altered."""


class Encrypted:
    """AES-256-GCM and HMAC-SHA-256 under keys that come from `master`. Safe for many threads."""

    def __init__(self, master: bytes, header: Header) -> None:
        self.header: Header | None = header
        self._cipher = AESGCM(_derived(master, b"voxledger backup: content"))
        self._naming = _derived(master, b"voxledger backup: names")

    def __repr__(self) -> str:
        return "<Encrypted>"

    def name(self, content: bytes) -> str:
        """An HMAC of the content."""
        return hmac.digest(self._naming, content, "sha256").hex()

    def close(self, content: bytes, *, about: str) -> bytes:
        """A random nonce, then ciphertext and tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, content, about.encode())

    def open(self, sealed: bytes, *, about: str) -> bytes:
        """Raises ValueError when bytes and `about` do not belong together."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], about.encode())
        except InvalidTag:
            raise ValueError("it was altered, or sealed with another key") from None


class Plain:
    """No encryption: names are SHA-256, so that damage is found all the same."""

    header: Header | None = None

    def name(self, content: bytes) -> str:
        """The SHA-256 of the content."""
        return hashlib.sha256(content).hexdigest()

    def close(self, content: bytes, *, about: str) -> bytes:  # noqa: ARG002  # a Seal
        """As it is."""
        return content

    def open(self, sealed: bytes, *, about: str) -> bytes:  # noqa: ARG002  # a Seal
        """As it is."""
        return sealed


def new(passphrase: str) -> Encrypted:
    """A new random key, wrapped under a passphrase."""
    master, salt = AESGCM.generate_key(256), os.urandom(16)
    nonce = os.urandom(_NONCE)
    wrapped = nonce + AESGCM(_stretched(passphrase, salt, _COST)).encrypt(nonce, master, b"voxledger backup key")
    header = Header(salt=_text(salt), cost=_COST, wrapped=_text(wrapped))
    return Encrypted(master, header)


def unlocked(header: Header, passphrase: str) -> Encrypted | None:
    """The key behind a header; None when it is another passphrase's. Raises ValueError that says what is wrong with a header."""
    try:
        salt, wrapped = base64.b64decode(header.salt, validate=True), base64.b64decode(header.wrapped, validate=True)
    except ValueError:
        raise ValueError("the header of its key was altered") from None
    if not 1 <= header.cost <= _MOST_COST:
        raise ValueError(f"the header of its key asks for a cost of {header.cost}: altered, or of a newer version")
    if len(wrapped) != _WRAPPED:
        raise ValueError("the header of its key is cut")
    try:
        master = AESGCM(_stretched(passphrase, salt, header.cost)).decrypt(
            wrapped[:_NONCE], wrapped[_NONCE:], b"voxledger backup key"
        )
    except InvalidTag:
        return None
    return Encrypted(master, header)


@lru_cache(maxsize=8)
def _stretched(passphrase: str, salt: bytes, cost: int) -> bytes:
    return hashlib.scrypt(
        passphrase.encode(errors="surrogateescape"), salt=salt, n=2**cost, r=8, p=1, maxmem=2 ** (cost + 11), dklen=32
    )


def _derived(master: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(master)


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
