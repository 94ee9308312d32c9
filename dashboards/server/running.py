"""Running: the process that listens, from its first answer to its last."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import anyio.to_thread
import uvicorn
import uvloop

from voxledger.catalog import platform
from voxledger.catalog.errors import SettingsError
from voxledger.catalog.log import link
from voxledger.dashboards.node import Node
from voxledger.dashboards.server import supervisor
from voxledger.dashboards.server.app import application
from voxledger.dashboards.server.connections import connections
from voxledger.dashboards.server.hosts import is_loopback
from voxledger.dashboards.server.site import Site
from voxledger.dashboards.server.stopping import Stopping
from voxledger.dashboards.server.warming import warm

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from voxledger.catalog.settings import Serve
    from voxledger.dashboards.door import Door

_BACKLOG = 2048
_SPARE = 16
"""Threads beside those of requests."""
_QUESTIONS = 128
"""Routes that are worked on in threads at the same time."""
_FILES = 500
"""Open files of a node beside its connections."""
_LAST_WORDS = 2
"""Seconds for answers to be sent after everything has ended; then they are cut off."""
_SWITCH = 0.0005
"""Seconds after which a thread that wants the interpreter gets it. Encoders and the event loop want it thousands of times a
second, for microseconds each; with Python's usual 5 ms, a packet of audio waits longer for it than it takes to encode."""
_log = logging.getLogger(__name__)
_KEEP_ALIVE = 30
"""Seconds that a connection without requests stays open."""


class _Server(uvicorn.Server):
    """Uvicorn, which goes on listening, and refuses, until requests that are under way have ended."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Uvicorn's own would send the signal on to whoever had it before, which ends the process before it has tidied up."""
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stopping.finish()
        await super().shutdown(sockets)


def serve(door: Door, version: str, *, on_started: Callable[[str, str], None]) -> None:
    """Serve this HOME, pages and API included, until SIGTERM or Ctrl-C; `on_started` hears the address, and
    the path of a link that signs its owner in, once.

    Raises HomeError when another node serves it already, SettingsError for an address that cannot be had.
    """
    sys.setswitchinterval(_SWITCH)
    settings = door.settings.serve
    loopback = is_loopback(settings.host)
    if settings.tokens == "loopback":
        _require_nobody_else(settings, loopback=loopback)
    with contextlib.closing(_listening(settings.host, settings.port)) as listener:
        site = Site(door, version=version, loopback=loopback)
        url = _url(settings.host, listener.getsockname()[1])
        node = Node(door)
        stopping = Stopping(site, at_once=lambda: link.path(door.home).unlink(missing_ok=True))
        server = _Server(_config(application(site), site), stopping)

        def stop(*_: object) -> None:
            stopping.begin()
            supervisor.tell("STOPPING=1")
            node.stop()
            server.should_exit = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        site.trouble = node.trouble
        with node.working(url) as discovery:
            site.secret = discovery.secret
            site.begin()
            on_started(url, site.visits.link(site.owner))
            supervisor.tell("READY=1")
            if settings.warm:
                warm(door)
            _run(server, listener, settings.at_once)


def _require_nobody_else(settings: Serve, *, loopback: bool) -> None:
    """Raises SettingsError where others than this machine's are let in as its admin."""
    if not loopback:
        raise SettingsError(
            f'serve.tokens = "loopback" lets everybody in who reaches {settings.host}; listen at 127.0.0.1, or make tokens',
            name="serve.tokens",
        )
    further = "serve.names" if settings.names else "serve.url" if settings.url else None
    if further:
        raise SettingsError(
            f'serve.tokens = "loopback" does not go with {further}: whoever comes through the proxy would be let in as an admin;'
            f" leave {further} out, or make tokens",
            name="serve.tokens",
        )


def _run(server: _Server, listener: socket.socket, at_once: int) -> None:
    """What `uvicorn.Server.run` does, but for its end, at which it would wait for every thread however long that takes."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    # By default there are six on two cores, and each answer that streams needs one.
    loop.set_default_executor(ThreadPoolExecutor(at_once + _SPARE, thread_name_prefix="voxledger-request"))
    try:
        loop.run_until_complete(_served(server, listener, min(at_once, _QUESTIONS)))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_LAST_WORDS))
        asyncio.set_event_loop(None)
        loop.close()


async def _served(server: _Server, listener: socket.socket, questions: int) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = questions
    await server.serve(sockets=[listener])


def _config(app: ASGIApp, site: Site) -> uvicorn.Config:
    wanted = site.settings.serve.connections
    most = max(1, min(wanted, platform.allow_open_files(wanted + _FILES) - _FILES))
    if most < wanted:
        _log.warning("this process may open so few files that %d connections are taken at a time, not %d", most, wanted)
    return uvicorn.Config(
        app, http=connections(site.slots, most), ws="none", lifespan="off", log_config=None, access_log=False,
        server_header=False, timeout_keep_alive=_KEEP_ALIVE, timeout_graceful_shutdown=_LAST_WORDS, backlog=_BACKLOG,
    )  # fmt: skip


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
