"""Running: the process that listens, from its first answer to its last."""

from __future__ import annotations

import contextlib
import ipaddress
import signal
import socket
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

import uvicorn

from voxledger.catalog.errors import SettingsError
from voxledger.dashboards.node import Node
from voxledger.dashboards.server.app import build
from voxledger.dashboards.server.site import Site

if TYPE_CHECKING:
    from fastapi import FastAPI

    from voxledger.catalog.settings import Serve
    from voxledger.dashboards.door import Door

_BACKLOG = 2048
_KEEP_ALIVE = 30
"""Seconds that a connection without requests stays open."""


class _Server(uvicorn.Server):
    """Uvicorn, which tells the site before it waits for requests that are under way."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self._site = site

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Uvicorn's own would send the signal on to whoever had it before, which ends the process before it has tidied up."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._site.stopping.set()
        await super().shutdown(sockets)


def serve(door: Door, version: str, *, on_started: Callable[[str], None]) -> None:
    """Serve this HOME, pages and API included, until SIGTERM or Ctrl-C; `on_started` hears the address.

    Raises HomeError when another node serves it already, SettingsError for an address that cannot be had.
    """
    settings = door.settings.serve
    loopback = _is_loopback(settings.host)
    if settings.tokens == "loopback" and not loopback:
        raise SettingsError(
            f'serve.tokens = "loopback" lets everybody in who reaches {settings.host}; listen at 127.0.0.1, or make tokens',
            name="serve.tokens",
        )
    with contextlib.closing(_listening(settings.host, settings.port)) as listener:
        site = Site(door, version=version, loopback=loopback)
        url = _url(settings.host, listener.getsockname()[1])
        node, server = Node(door), _Server(_config(build(site), settings), site)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, server.handle_exit)  # the second one does not wait for anybody
        with node.working(url) as discovery:
            site.secret = discovery.secret
            on_started(url)
            server.run(sockets=[listener])


def _config(app: FastAPI, settings: Serve) -> uvicorn.Config:
    return uvicorn.Config(
        app, loop="uvloop", http="httptools", lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=max(1, round(settings.stop_wait)), backlog=_BACKLOG,
    )  # fmt: skip


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise SettingsError(
            f"nobody can listen at {host} port {port}: {error.strerror}; choose another with serve.port (0 = a free one)",
            name="serve.port",
        ) from error
    return made


def _url(host: str, port: int) -> str:
    """Where processes of this machine reach us."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared, not bound
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"
