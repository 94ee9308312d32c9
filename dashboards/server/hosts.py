"""Hosts: under which names the node is reached, so that no page of somebody else reaches it through a browser.

A page can have its own name resolved to 127.0.0.1 (DNS rebinding); the browser then sends that name as `Host`. Whoever asks
by an address instead of a name was not led here by anybody's DNS.
"""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from voxledger.catalog.settings import Serve

_PORTS = {"http": 80, "https": 443}
_REMEMBERED = 64
"""Answers that are kept; a node is reached under a few names."""


class Hosts:
    """The names of one node: those of loopback, `serve.host`, `serve.names`, and that of `serve.url`."""

    def __init__(self, settings: Serve) -> None:
        self._url = _origin(settings.url)
        self._further = frozenset(_plain(name) for name in settings.names if name)
        named = frozenset({self._url.name}) if self._url else frozenset[str]()
        self._names = self._further | named | {"localhost", _plain(settings.host)}
        self._known: set[bytes] = set()

    def knows(self, host: bytes | None) -> bool:
        """Whether a request with this `Host` means us."""
        if host is None:
            return False
        if host in self._known:
            return True
        name = _name(host.decode("latin-1"))
        if name is None or not (name in self._names or _is_address(name)):
            return False
        if len(self._known) < _REMEMBERED:
            self._known.add(host)
        return True

    def wrote(self, origin: bytes, host: bytes) -> bool:
        """Whether a page of this `Origin` is one of ours: it came from where the request goes to, or through the proxy before us.

        Another port is another site. A further name counts with the port of the request, and with that of its scheme.
        """
        said = _origin(origin.decode("latin-1"))
        if said is None:
            return False
        asked = _origin(f"{said.scheme}://{host.decode('latin-1').strip()}")
        if said in (asked, self._url):
            return True
        ports = {_PORTS[said.scheme], asked.port if asked else None}
        return said.name in self._further and said.port in ports


class _Origin(NamedTuple):
    scheme: str
    name: str
    port: int


def _origin(written: str) -> _Origin | None:
    """Scheme, name and port of an address; None for what has none."""
    with suppress(ValueError):
        parts = urlsplit(written.strip().lower())
        if parts.scheme in _PORTS and parts.hostname:
            port = parts.port
            return _Origin(parts.scheme, _plain(parts.hostname), _PORTS[parts.scheme] if port is None else port)
    return None


def means_loopback(host: bytes) -> bool:
    """Whether a `Host` is a name of this machine that means only itself."""
    name = _name(host.decode("latin-1"))
    return name is not None and is_loopback(name)


def is_loopback(name: str) -> bool:
    """Whether nobody elsewhere reaches this name or address."""
    if name == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return False


def _name(host: str) -> str | None:
    """The name or address in a `Host` header, without its port; None for what is none."""
    with suppress(ValueError):
        parts = urlsplit(f"//{host.strip()}")
        if parts.hostname and not (parts.path or parts.query or parts.fragment or parts.username is not None):
            _ = parts.port  # raises for what is no port
            return _plain(parts.hostname)
    return None


def _plain(name: str) -> str:
    return name.lower().strip("[]").removesuffix(".")


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False
