"""Following: the parts of the page that change by themselves, sent when they have changed."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping

import anyio.to_thread
import msgspec

from voxledger.catalog.errors import VoxledgerError

_SLICES, _SLICE = 6, 0.5
"""How often one looks whether the node stops, and every how many seconds, between two looks at the parts."""
_HEARTBEAT = 15.0
_encode = msgspec.json.Encoder().encode


async def parts(
    render: Callable[[], Mapping[str, str]], *, check: Callable[[], object], stopping: threading.Event
) -> AsyncIterator[bytes]:
    """Server-sent events `part` with the id of a part and its HTML. `check` raises for whoever may follow no longer."""
    yield b"retry: 3000\n\n"
    before: Mapping[str, str] = {}
    said = time.monotonic()
    try:
        while not stopping.is_set():
            check()
            after = await anyio.to_thread.run_sync(render)
            for name, html in after.items():
                if before.get(name) != html:
                    said = time.monotonic()
                    yield b"event: part\ndata: " + _encode({"id": name, "html": html}) + b"\n\n"
            before = after
            if time.monotonic() - said > _HEARTBEAT:
                said = time.monotonic()
                yield b": alive\n\n"
            for _ in range(_SLICES):
                if not stopping.is_set():
                    await asyncio.sleep(_SLICE)
    except VoxledgerError:
        yield b"event: end\ndata: {}\n\n"
