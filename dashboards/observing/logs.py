"""Logs: every line of the node's process, its libraries included, as text or as one JSON object.

A line holds what happened and to which request, never what somebody wrote: of an exception only its kind and where it came from are
written, because its message may quote.
"""

from __future__ import annotations

import logging
import sys
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

import msgspec

from voxledger.dashboards.observing.at_hand import at_hand

if TYPE_CHECKING:
    from voxledger.catalog.settings import Serve

_LIBRARIES = (
    "botocore",
    "boto3",
    "urllib3",
    "s3transfer",
    "apscheduler",
    "opentelemetry",
    "asyncio",
    "multipart",
    "python_multipart",
)
"""Below warnings they tell of headers, bodies and their own timers."""
_FRAMES = 12
_encode = msgspec.json.Encoder(enc_hook=str).encode


def facts(**known: Any) -> dict[str, Any]:
    """What `extra` of a log call takes, so that a JSON line has these as members of their own."""
    return {"facts": {name: value for name, value in known.items() if value is not None}}


def configure(settings: Serve, *, stream: IO[str] | None = None) -> None:
    """From here on everything that is logged in this process is written as `serve.log` and `serve.log_level` say."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if settings.log == "json" else TextLines())
    root = logging.getLogger()
    for former in list(root.handlers):
        if isinstance(former, logging.StreamHandler) or type(former).__name__ == "RichHandler":
            root.removeHandler(former)
    root.addHandler(handler)
    logging.getLogger("voxledger").setLevel(settings.log_level.upper())
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns of each turn of a job that falls away because the one before is not over, which is meant to be so.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    logging.captureWarnings(True)
    threading.excepthook = _ended


def _ended(ended: threading.ExceptHookArgs) -> None:
    name = ended.thread.name if ended.thread else "?"
    error = ended.exc_value
    logging.getLogger("voxledger.threads").error("the thread %s ended with an error", name, exc_info=error)


class JsonLines(logging.Formatter):
    """A record as one JSON object: `time`, `level`, `logger`, `message`, `request`, and what the record brings besides."""

    def format(self, record: logging.LogRecord) -> str:
        """Of `Formatter`."""
        line: dict[str, Any] = {
            "time": _time(record), "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage(),
        }  # fmt: skip
        if (current := at_hand.get()) is not None:
            line["request"] = current.id
        line.update(_facts(record))
        if (error := _error(record)) is not None:
            line["error"], line["where"] = error
        return _encode(line).decode()


class TextLines(logging.Formatter):
    """A record as a line for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Of `Formatter`."""
        current = at_hand.get()
        about = f" [{current.id}]" if current is not None else ""
        said = record.getMessage().replace("\n", "\n    ")  # so that nobody can write what looks like a line of ours
        line = f"{_time(record)} {record.levelname.lower():7} {record.name.removeprefix('voxledger.')}{about}: {said}"
        for name, value in _facts(record).items():
            line += f" {name}={value}"
        if (error := _error(record)) is not None:
            line += f"\n  {error[0]}" + "".join(f"\n    {place}" for place in error[1])
        return line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _facts(record: logging.LogRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = getattr(record, "facts", {})
    return found


def _error(record: logging.LogRecord) -> tuple[str, list[str]] | None:
    """What kind of error it was, what it came from, and the last places in the code."""
    if not isinstance(record.exc_info, tuple) or record.exc_info[1] is None:
        return None
    error: BaseException | None = record.exc_info[1]
    frames = traceback.extract_tb(record.exc_info[2])[-_FRAMES:]
    kinds: list[str] = []
    while error is not None and len(kinds) < _FRAMES:
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        kinds.append(type(error).__name__ + reason)
        error = error.__cause__ or error.__context__
    return " from ".join(kinds), [f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
