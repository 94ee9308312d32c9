"""The answer of a speech server while it comes: audio that may be slow or break off, or an error in JSON.

Errors look like `{"error": {"message", "type", "param", "code"}}` (https://platform.openai.com/docs/guides/error-codes);
other shapes that servers are known for are read too.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import requests
from urllib3.exceptions import HTTPError, IncompleteRead, ProtocolError, ReadTimeoutError

from voxledger.catalog import settings as catalog_settings
from voxledger.synth.errors import EngineFailed, Stage

EXHAUSTED = ("insufficient_quota", "credit_balance_exhausted")
"""Codes of a 429 that waiting does not help."""


def broken(message: str, *, stage: Stage, remedy: str = "") -> EngineFailed:
    """The error of an answer that is no audio, or not all of it; the remedy is the operator's, not the speaker's."""
    return EngineFailed(
        message,
        stage=stage,
        remedy=remedy or "Try again; if it fails again, look into the log of the speech server.",
    )


class Answer:
    """The answer to one request, while it comes. Close it: that ends the server's work too."""

    def __init__(
        self, response: requests.Response, host: str, limits: catalog_settings.Remote, deadline: float
    ) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.content_type = response.headers.get("Content-Type", "")
        self._response, self._host, self._limits, self._deadline = response, host, limits, deadline

    def close(self) -> None:
        """Close the connection, unless the answer was read to its end. Idempotent."""
        self._response.close()

    def chunks(self) -> Iterator[bytes]:
        """The body as it comes. Raises EngineFailed: stage `answer` before its first byte, `audio` after it."""
        stage: Stage = "answer"
        limit = self._limits.first_timeout
        if self.headers.get("Content-Encoding", "identity") != "identity":
            raise broken(f"{self._host} packed its answer, which was not asked for", stage=stage)
        while True:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise broken(f"{self._host} did not finish within {self._limits.total_timeout:g} s", stage=stage)
            self._be_patient_for(min(limit, left))
            try:
                piece: bytes = self._response.raw.read1(65_536, decode_content=False)
            except (ReadTimeoutError, TimeoutError):
                raise broken(f"{self._host} sent nothing for {min(limit, left):g} s", stage=stage) from None
            except (IncompleteRead, ProtocolError):
                raise broken(f"{self._host} broke off its answer", stage=stage) from None
            except (HTTPError, OSError) as error:
                raise broken(f"the connection to {self._host} broke ({type(error).__name__})", stage=stage) from None
            if not piece:
                return
            yield piece
            stage, limit = "audio", self._limits.pause_timeout

    def beginning(self, size: int) -> bytes:
        """At most so many bytes of the body, then close. Never fails: it is about an error already."""
        content = b""
        try:
            for piece in self.chunks():
                content += piece
                if len(content) >= size:
                    break
        except EngineFailed:
            pass
        finally:
            self.close()
        return content[:size]

    def _be_patient_for(self, seconds: float) -> None:
        """How long the next read may take. An answer that ends with its connection keeps the limit of the request."""
        sock = getattr(self._response.raw.connection, "sock", None)
        if sock is not None:
            sock.settimeout(max(0.01, seconds))


def told(content: bytes) -> tuple[str, str]:
    """Code and message of an error's body, in the shapes that servers use; the message in one short line."""
    try:
        body = json.loads(content)
    except ValueError:  # HTML of a proxy, or nothing
        return "", ""
    found = body.get("error", body) if isinstance(body, dict) else {}
    if isinstance(found, str):
        return "", _short(found)
    if not isinstance(found, dict):
        return "", ""
    message = found.get("message") or found.get("detail") or ""
    codes = [found[name] for name in ("code", "type") if isinstance(found.get(name), str)]
    exhausted = [code for code in codes if code in EXHAUSTED]
    return (exhausted or codes or [""])[0], _short(message if isinstance(message, str) else "")


def _short(message: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in message).split())
    return line if len(line) <= 200 else line[:199] + "…"
