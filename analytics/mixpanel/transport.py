"""The wire to Mixpanel: one POST, one answer. Neither retries nor judges."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Literal
from urllib.parse import urlsplit

import mixpanel
import requests
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError

from voxledger.analytics.mixpanel.answers import Answer
from voxledger.catalog import settings as catalog_settings
from voxledger.catalog.errors import SettingsError

Path = Literal["/import", "/engage", "/groups"]
HOSTS = {
    "us": "https://api.mixpanel.com",
    "eu": "https://api-eu.mixpanel.com",
    "in": "https://api-in.mixpanel.com",
}
"""Where a project of each region is fed."""

_CONNECT = 10.0
_LARGEST_ANSWER = 4_000_000


class NoAnswer(Exception):
    """The request got no whole answer; whether Mixpanel took the events is unknown."""


class Transport:
    """A keep-alive connection to one door of a project. Safe from several threads. Close it, or use it in a `with`."""

    def __init__(self, settings: catalog_settings.Mixpanel, path: Path = "/import") -> None:
        """`/import` takes gzipped NDJSON; `/engage` and `/groups` a JSON array, neither gzip nor credentials: the token is in
        each message (https://developer.mixpanel.com/reference/profile-set). Raises SettingsError for an endpoint or credentials
        that cannot be.
        """
        self.url = address(settings, path)
        self.host = urlsplit(self.url).hostname or ""
        self._auth, self._parameters = _credentials(settings)
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if path != "/import":
            # `ip` would give everybody the place of this machine; `verbose` says why nothing was taken.
            self._auth, self._parameters = None, {"strict": "1", "verbose": "1", "ip": "0"}
            headers = {"Content-Type": "application/json"}
        self._timeout = settings.timeout
        self._session = requests.Session()
        self._session.headers.update(
            headers | {"Accept": "application/json", "User-Agent": f"voxledger/{version('voxledger')}"}
        )

    def __enter__(self) -> Transport:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Idempotent."""
        self._session.close()

    def post(self, body: bytes) -> Answer:
        """Send one body. Raises NoAnswer when nobody answers, not in time, or not to the end."""
        deadline = time.monotonic() + self._timeout
        try:
            with self._session.post(
                self.url,
                params=self._parameters,
                data=body,
                auth=self._auth,
                timeout=(min(_CONNECT, self._timeout), self._timeout),
                # A redirect would carry the credentials to wherever it points.
                allow_redirects=False,
                stream=True,
            ) as response:
                return Answer(
                    status=response.status_code,
                    body=self._read(response, deadline),
                    retry_after=response.headers.get("Retry-After"),
                )
        except requests.Timeout:
            raise NoAnswer(f"{self.host} did not answer within {self._timeout:g} s") from None
        except requests.exceptions.SSLError:
            raise NoAnswer(f"{self.host} has no certificate that this machine trusts, or its clock is wrong") from None
        except requests.RequestException as error:
            raise NoAnswer(f"{self.host} could not be reached ({type(error).__name__})") from None

    def _read(self, response: requests.Response, deadline: float) -> bytes:
        """The body, whole. requests' own time-out counts from byte to byte, and a slow trickle would never end."""
        content = bytearray()
        try:
            while piece := response.raw.read1(65_536, decode_content=True):
                content += piece
                if time.monotonic() > deadline:
                    raise NoAnswer(f"{self.host} did not finish its answer within {self._timeout:g} s")
                if len(content) > _LARGEST_ANSWER:
                    raise NoAnswer(f"{self.host} answered with more than {_LARGEST_ANSWER:,} bytes")
        except (HTTPError, OSError) as error:
            raise NoAnswer(f"{self.host} broke off its answer ({type(error).__name__})") from None
        return bytes(content)


def address(settings: catalog_settings.Mixpanel, path: Path = "/import") -> str:
    """The URL of a door for these settings. Raises SettingsError."""
    base = settings.endpoint.rstrip("/") or HOSTS[settings.region]
    try:
        parts = urlsplit(base)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        # Not shown: people put credentials into URLs.
        raise SettingsError(
            "mixpanel.endpoint is no plain URL, such as 'https://proxy.example.org'; credentials go into"
            " mixpanel.token or mixpanel.service_account",
            name="mixpanel.endpoint",
        )
    return f"{base.removesuffix('/import')}{path}"


def _credentials(settings: catalog_settings.Mixpanel) -> tuple[HTTPBasicAuth | None, dict[str, str]]:
    """Basic auth and query: a service account with its project, or the project token without a password."""
    parameters = {"strict": "1"} | ({"project_id": settings.project_id} if settings.project_id else {})
    if not settings.service_account:
        return HTTPBasicAuth(settings.token.encode(), b""), parameters
    for name, value in (("service_secret", settings.service_secret), ("project_id", settings.project_id)):
        if not value.strip():
            raise SettingsError(
                f"mixpanel.{name} is empty, but mixpanel.service_account needs it", name=f"mixpanel.{name}"
            )
    account = mixpanel.ServiceAccountCredentials(settings.service_account, settings.service_secret, settings.project_id)
    parameters["project_id"] = account.project_id
    return HTTPBasicAuth(account.username.encode(), account.secret.encode()), parameters
