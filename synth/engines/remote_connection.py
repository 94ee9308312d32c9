"""The wire to a speech server: requests, repetitions, and what a refusal means.

The contract is OpenAI's `POST /v1/audio/speech` (https://platform.openai.com/docs/api-reference/audio/createSpeech),
its errors those of https://platform.openai.com/docs/guides/error-codes.
"""

from __future__ import annotations

import email.utils
import json
import logging
import os
import random
import re
import threading
import time
from collections.abc import Mapping
from difflib import SequenceMatcher
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ProtocolError

from voxledger.catalog import settings as catalog_settings
from voxledger.synth.engines.remote_answer import EXHAUSTED, Answer, broken, told
from voxledger.synth.errors import EngineFailed, EngineUnavailable, InvalidRequest, Stage, SynthesisError

OPENAI = "api.openai.com"
LONGEST_WAIT = 30.0
"""Seconds that are waited before a repetition at most; a server that asks for more is taken at its word."""

_FIRST_WAIT = 0.5
_LARGEST_ERROR = 65_536
_BUSY = (429, 503)
_REPEATED = 12
"""Characters of the text in a row that are no coincidence."""
_KEY_REMEDY = "Put the right key into the environment variable that remote.key_variable names."
_REACH_REMEDY = "Start the speech server, or set remote.url to one that runs."
_log = logging.getLogger(__name__)


class Connection:
    """Connections to one server, kept alive and shared by threads."""

    def __init__(self, settings: catalog_settings.Remote) -> None:
        """Raises EngineUnavailable when the settings name no server, or the key is not in the environment."""
        self.url = address(settings.url)
        self.host = urlsplit(self.url).netloc
        self._settings = settings
        self._key_variable = key_variable(settings, self.url)
        key(self._key_variable)
        self._closed = threading.Event()
        self._session = requests.Session()
        self._session.mount("http://", HTTPAdapter(pool_maxsize=settings.concurrency, max_retries=0))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=settings.concurrency, max_retries=0))
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def close(self) -> None:
        """Close what is kept alive, and end waits for repetitions. Idempotent."""
        self._closed.set()
        self._session.close()

    def post(self, body: Mapping[str, Any]) -> Answer:
        """Send one request; the answer is audio that begins to come. Close it.

        Where the server is too busy (429, 503) or nobody listens, the request is repeated after a while, as
        `Retry-After` says or with growing, jittered waits. Raises InvalidRequest for what the server refuses,
        EngineUnavailable for a key, model or address that it does not know, EngineFailed with its stage for the rest.
        """
        deadline = time.monotonic() + self._settings.total_timeout
        repeated = 0
        while True:
            found = self._try(body, deadline)
            if isinstance(found, Answer):
                return found
            wait = found.wait if found.wait is not None else _jittered(repeated)
            if (
                not found.passing or repeated >= self._settings.retries or wait > LONGEST_WAIT
                or time.monotonic() + wait > deadline or self._closed.is_set()
            ):  # fmt: skip
                raise found.error
            repeated += 1
            _log.info("%s could not take a request; repetition %d in %.1f s", self.host, repeated, wait)
            self._closed.wait(wait)

    def _try(self, body: Mapping[str, Any], deadline: float) -> Answer | _Refusal:
        limits = self._settings
        patience = max(0.01, min(limits.first_timeout, deadline - time.monotonic()))
        try:
            response = self._session.post(
                self.url,
                data=json.dumps(body).encode(),
                headers={"Content-Type": "application/json", "Accept": "audio/*", "Accept-Encoding": "identity"},
                auth=_Bearer(key(self._key_variable)),
                timeout=(min(limits.connect_timeout, patience), patience),
                # A redirect would carry the key to wherever it points.
                allow_redirects=False,
                stream=True,
            )
        except requests.ConnectTimeout:
            return _Refusal(self._failed(f"took no connection within {limits.connect_timeout:g} s", "connect"))
        except requests.Timeout:
            return _Refusal(self._failed(f"did not answer within {patience:g} s", "answer"))
        except requests.exceptions.SSLError:
            return _Refusal(self._unreachable(f"{self.host} has no certificate that this machine trusts"))
        except requests.RequestException as error:
            if _is_refused(error):
                unheard = self._unreachable(f"nobody answers at {self.host}; is the server running?")
                return _Refusal(unheard, passing=True)
            if _is_caused_by(error, ProtocolError):
                return _Refusal(self._failed("closed the connection without an answer", "answer"))
            return _Refusal(self._unreachable(f"{self.host} cannot be reached ({type(error).__name__})"))
        answer = Answer(response, self.host, limits, deadline)
        return answer if response.status_code == 200 else self._refusal(answer, str(body.get("input", "")))

    def _refusal(self, answer: Answer, text: str) -> _Refusal:
        """What a status other than 200 means; `text` is what was to be spoken, which some servers repeat."""
        status, headers = answer.status, answer.headers
        code, message = told(answer.beginning(_LARGEST_ERROR))
        message = _without_text(_without(message, key(self._key_variable)), text)
        said = f"{status}{': ' + message if message else ''}"
        if status in _BUSY and code not in EXHAUSTED:
            busy = self._failed(f"is too busy ({said})", "busy")
            busy.remedy = "Try again later, or ask the server for less at once."
            busy.may_pass = False  # asked again it was already, as late as `Retry-After` says
            return _Refusal(busy, passing=True, wait=_retry_after(headers.get("Retry-After")))
        error: SynthesisError
        if status in (401, 403):
            hint = (
                f"is {self._key_variable} right?" if self._key_variable else "name its variable in remote.key_variable"
            )
            error = _unavailable(f"{self.host} does not accept the key ({said}); {hint}", _KEY_REMEDY, "answer")
        elif status == 429:
            error = _unavailable(
                f"{self.host} has no credit left for this key ({said})",
                "Buy credit from the server's operator, or use another engine.",
                "answer",
            )
        elif status == 404:
            error = _unavailable(
                f"{self.host} has no such model or address ({said}); see remote.url and remote.model",
                "Set remote.url and remote.model to what the server has.",
                "answer",
            )
        elif status in (400, 413, 422):
            error = InvalidRequest(f"{self.host} refuses the request ({said})", stage="answer")
        elif 300 <= status < 400:
            error = self._failed(
                f"sends the request elsewhere ({status}); set remote.url to where it belongs", "answer"
            )
        else:
            error = self._failed(f"failed ({said})", "answer")
        return _Refusal(error)

    def _failed(self, what: str, stage: Stage) -> EngineFailed:
        return broken(f"{self.host} {what}", stage=stage)

    def _unreachable(self, message: str) -> EngineUnavailable:
        return _unavailable(message, _REACH_REMEDY, "connect")


class _Refusal:
    """Why there is no audio; `passing`: it may go better in `wait` seconds (None = it was not said when)."""

    def __init__(self, error: SynthesisError, *, passing: bool = False, wait: float | None = None) -> None:
        self.error, self.passing, self.wait = error, passing, wait


class _Bearer(requests.auth.AuthBase):
    """The key, or nothing; and never what a .netrc file would add."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._secret:
            request.headers["Authorization"] = f"Bearer {self._secret}"
        return request


def address(url: str) -> str:
    """The whole URL of the speech endpoint, from a base such as `http://host:8091/v1`. Raises EngineUnavailable."""
    if not url:
        raise _unavailable(
            "remote.url is empty: set it to a server that answers POST /v1/audio/speech, such as http://127.0.0.1:8091/v1",
            "Set remote.url to a speech server.",
        )
    try:
        parts = urlsplit(url.rstrip("/"))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or parts.username is not None:
        # Not shown: people put credentials into URLs.
        raise _unavailable(
            "remote.url is no plain URL, such as http://127.0.0.1:8091/v1; a key goes into the environment",
            "Set remote.url to a speech server.",
        )
    base = url.rstrip("/")
    if parts.path.endswith("/audio/speech"):
        return base
    return f"{base}/audio/speech" if parts.path.endswith("/v1") else f"{base}/v1/audio/speech"


def key_variable(settings: catalog_settings.Remote, url: str) -> str:
    """The environment variable that holds the key for this server; empty = it gets none."""
    if settings.key_variable:
        return settings.key_variable
    return "OPENAI_API_KEY" if urlsplit(url).hostname == OPENAI else ""


def key(variable: str) -> str:
    """The key from the environment. Raises EngineUnavailable when it is not there, or cannot be one."""
    found = os.environ.get(variable, "") if variable else ""
    if variable and not found:
        raise _unavailable(
            f"the environment variable {variable}, which holds the server's key, is not set", _KEY_REMEDY
        )
    if not (found.isascii() and found.isprintable()) or " " in found:
        raise _unavailable(f"the environment variable {variable} holds characters that no key has", _KEY_REMEDY)
    return found


def _unavailable(message: str, remedy: str, stage: Stage = "load") -> EngineUnavailable:
    return EngineUnavailable(message, stage=stage, remedy=remedy)


def _without(message: str, secret: str) -> str:
    """The message without the key, nor what servers show of it: they echo its beginning or its end between stars."""
    if not secret:
        return message
    shown = "|".join(re.escape(part) for part in (secret, secret[:8], secret[-4:], "**"))
    return re.sub(rf"[^\s\"'(]*(?:{shown})[^\s\"')]*", "…", message)


def _without_text(message: str, text: str) -> str:
    """The message without stretches of the text: errors are shown, and may be kept, where texts are not."""
    least = min(_REPEATED, max(1, len(text.strip())))
    pieces, at = [], 0
    for block in SequenceMatcher(None, message, text, autojunk=False).get_matching_blocks():
        if block.size >= least:
            pieces += [message[at : block.a], "…"]
            at = block.a + block.size
    return "".join((*pieces, message[at:]))


def _retry_after(value: str | None) -> float | None:
    """Seconds, from seconds or an HTTP date (RFC 9110, section 10.2.3); None when it says nothing readable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _jittered(repeated: int) -> float:
    longest = min(LONGEST_WAIT, _FIRST_WAIT * 2.0**repeated)
    return random.uniform(longest / 2, longest)  # noqa: S311  # jitter, not a secret


def _is_refused(error: BaseException) -> bool:
    return _is_caused_by(error, ConnectionRefusedError)


def _is_caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    """Whether an exception of this kind is among its causes, arguments and reasons: libraries wrap in all three ways."""
    seen: list[BaseException] = [error]
    for found in seen:
        if isinstance(found, kind):
            return True
        near = (found.__cause__, found.__context__, getattr(found, "reason", None), *found.args)
        seen += [each for each in near if isinstance(each, BaseException) and each not in seen]
    return False
