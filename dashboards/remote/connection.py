"""The connection: requests to a node, tried again where that is safe, and its errors as the classes that a ledger raises."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec
import requests
from requests.adapters import HTTPAdapter

from voxledger.catalog.errors import VoxledgerError
from voxledger.dashboards.faults import raised

_TRIES = 4
_LONGEST_WAIT = 10.0
"""Seconds between two tries, whatever the node asks for."""
_AT_ONCE = 64
_CONNECT = 10.0
_decode = msgspec.json.Decoder().decode


class NodeUnreachable(VoxledgerError):
    """Nobody answers at the node's address, or the answer broke off."""


class Connection:
    """One node, as one principal. Safe from many threads.

    `safe` requests are repeated when nobody answers or the node is busy: those that read, and those that change nothing when
    they are made twice.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 300.0) -> None:
        """`timeout`: seconds without a byte after which a request is given up."""
        self.url = url.rstrip("/")
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = not _is_local(self.url)  # a proxy never leads to this machine
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=_AT_ONCE)
        self._session.mount(self.url, adapter)

    def __repr__(self) -> str:
        return f"<Connection {self.url}>"

    def close(self) -> None:
        """Idempotent."""
        self._session.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON at a path. `params` that are None are left out."""
        with self.answer("GET", path, params=params, safe=True) as response:
            return _decode(response.content)

    def send(
        self, method: str, path: str, body: Any = None, *, params: Mapping[str, Any] | None = None, safe: bool = False
    ) -> Any:
        """What a request with a JSON body is answered; None for an empty answer."""
        with self.answer(method, path, params=params, body=body, safe=safe) as response:
            return _decode(response.content) if response.content else None

    @contextmanager
    def answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        files: Mapping[str, Any] | None = None,
        stream: bool = False,
        safe: bool = False,
    ) -> Iterator[requests.Response]:
        """The answer itself, of a status below 400. Raises what the node said otherwise, and NodeUnreachable."""
        sent = {**(headers or {})}
        data = None
        if body is not None:
            data, sent["Content-Type"] = msgspec.json.encode(body), "application/json"
        asked = {name: value for name, value in (params or {}).items() if value is not None}
        for tries in range(_TRIES):
            last = tries == _TRIES - 1 or not safe
            try:
                response = self._session.request(
                    method, self.url + path, params=asked, data=data, headers=sent, files=files, stream=stream,
                    timeout=(_CONNECT, self._timeout), allow_redirects=False,
                )  # fmt: skip
            except requests.RequestException as error:
                if last:
                    raise self._unreachable(error) from None
                self._pause(tries, None)
                continue
            with response:
                if response.status_code < 400:
                    yield response
                    return
                if response.status_code not in (429, 503) or last:
                    raise raised(response.status_code, _json(response))
            self._pause(tries, response.headers.get("Retry-After"))

    def _pause(self, tries: int, asked: str | None) -> None:
        wait = float(asked) if asked and asked.isdecimal() else 0.2 * 2**tries
        time.sleep(min(wait, _LONGEST_WAIT) * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, not a secret

    def _unreachable(self, error: requests.RequestException) -> NodeUnreachable:
        what = "did not answer in time" if isinstance(error, requests.Timeout) else "does not answer"
        return NodeUnreachable(
            f"the node at {self.url} {what}; is `voxledger serve` running there, and is the address right?"
        )


def _json(response: requests.Response) -> Any:
    try:
        return _decode(response.content)
    except (msgspec.DecodeError, requests.RequestException):
        return None


def _is_local(url: str) -> bool:
    return any(url.startswith(f"http://{host}") for host in ("127.", "localhost", "[::1]"))
