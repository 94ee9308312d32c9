"""The channel `webhook`: one POST of JSON to an address that is a secret, and is told to nobody else."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from voxledger.analytics.mixpanel.answers import retry_after
from voxledger.analytics.publishing.channel import Parcel
from voxledger.analytics.publishing.cutting import CONNECT, Cutter, trusted
from voxledger.analytics.publishing.errors import ChannelAway, ChannelRefused, DeliveryUnknown
from voxledger.analytics.publishing.message import message
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.events import now

_LATER = frozenset({408, 425, 429, 503})
"""The other side says that it did not do it, and may do it later."""
_NEVER = 501
"""It says that it cannot do it. Of every other 5xx nobody knows: something broke there, or in between, maybe after the message was
posted (RFC 9110, 15.6). Slack's documentation promises nothing else."""
_LONGEST = 1000
"""Most bytes of an answer that are read."""


class Webhook:
    """Posts reports. `link` makes a link to the page of a parcel, or None."""

    name: Final = "webhook"
    repeatable: Final = False

    def __init__(self, settings: catalog_settings.Webhook, link: Callable[[Parcel], str | None]) -> None:
        self._settings = settings
        self._link = link
        self._url = urlsplit(settings.url)
        self._host = self._url.hostname or ""

    @property
    def target(self) -> str:
        """The host; the rest of the URL is what must not be known."""
        return self._host

    def send(self, parcel: Parcel, decisive: Callable[[], None], stop: threading.Event) -> str:
        """Post it. Raises ChannelAway, ChannelRefused and DeliveryUnknown, none of which says the URL."""
        body = json.dumps(message(parcel.report, self._link(parcel))).encode()
        with Cutter(self._settings.timeout, stop) as cutter:
            try:
                connection, target = self._connected(cutter)
            except ssl.SSLCertVerificationError as error:
                raise ChannelRefused(
                    f"{self._host} has no certificate that is trusted ({error.verify_message})",
                    failure="CertificateVerifyFailed",
                ) from None
            except (OSError, http.client.HTTPException) as error:
                raise ChannelAway(
                    f"{self._host} cannot be reached ({type(error).__name__}); check webhook.url",
                    failure=type(error).__name__,
                ) from None
            try:
                decisive()
                cutter.wait_for_answer(self._settings.timeout)
                status, after = self._asked(connection, target, body)
            finally:
                connection.close()
        self._judge(status, after)
        return ""

    def _connected(self, cutter: Cutter) -> tuple[http.client.HTTPConnection, str]:
        """A connection, by the proxy that the environment names, and what to ask for over it."""
        url, timeout = self._url, max(0.01, self._settings.timeout)
        secure = url.scheme == "https"
        path = url._replace(scheme="", netloc="", fragment="", path=url.path or "/").geturl()
        proxy = _proxy(url)
        port = url.port or (443 if secure else 80)
        to = (proxy.hostname or "", proxy.port or 3128) if proxy else (self._host, port)
        context = trusted() if secure else None
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._host, port, timeout=timeout)
        raw = socket.create_connection(to, min(CONNECT, timeout))
        try:
            raw.settimeout(timeout)
            cutter.watch(raw)
            if proxy and secure:
                _tunnel(raw, self._host, port, proxy)
            connection.sock = context.wrap_socket(raw, server_hostname=self._host) if context else raw
        except BaseException:
            raw.close()
            raise
        return connection, f"http://{url.netloc}{path}" if proxy and not secure else path

    def _asked(self, connection: http.client.HTTPConnection, target: str, body: bytes) -> tuple[int, str | None]:
        headers = {"Content-Type": "application/json", "User-Agent": "voxledger", "Connection": "close"}
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("Retry-After")
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryUnknown(
                f"{self._host} got the message and did not say whether it takes it ({type(error).__name__})",
                failure=type(error).__name__,
            ) from None

    def _judge(self, status: int, after: str | None) -> None:
        said = f"{self._host} answered HTTP {status}"
        if 200 <= status < 300:
            return
        if status in _LATER:
            raise ChannelAway(said, failure=str(status), after=retry_after(after, now=now()))
        if status >= 500 and status != _NEVER:
            raise DeliveryUnknown(f"{said}: whether it took the message is not known", failure=str(status))
        if 300 <= status < 400:
            raise ChannelRefused(
                f"{said}, to go elsewhere, which is not done: set webhook.url to where it leads", failure=str(status)
            )
        raise ChannelRefused(f"{said}; check webhook.url, or make a new one there", failure=str(status))


def _proxy(url: SplitResult) -> SplitResult | None:
    found = getproxies().get(url.scheme)
    return None if not found or proxy_bypass(url.netloc) else urlsplit(found if "://" in found else f"http://{found}")


def _tunnel(raw: socket.socket, host: str, port: int, proxy: SplitResult) -> None:
    """Ask the proxy for the way through (RFC 9110, 9.3.6). Raises OSError."""
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode() if proxy.username else b""
    known = b"Proxy-Authorization: Basic " + base64.b64encode(login) + b"\r\n" if login else b""
    raw.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n".encode() + known + b"\r\n")
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        byte = raw.recv(1)  # what follows belongs to TLS
        if not byte or len(answer) > _LONGEST:
            raise ConnectionAbortedError("the proxy broke off")
        answer += byte
    if b" 200" not in answer.split(b"\r\n", 1)[0]:
        raise ConnectionRefusedError("the proxy refused")
