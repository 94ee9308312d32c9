"""The supervisor: systemd hears when the node takes requests, and when it stops (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Literal


def tell(state: Literal["READY=1", "STOPPING=1"]) -> None:
    """Say it to whoever started this process as a service of `Type=notify`; nothing where nobody asked."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):  # one without a place in the file system
        address = f"\0{address[1:]}"
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
        line.connect(address)
        line.sendall(state.encode())
