"""Files of CloudEvents: one JSON document a line, or one JSON array (the batch format)."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, TypeAlias

from voxledger.catalog.errors import EventRejected
from voxledger.catalog.events.cloudevents import LARGEST_CLOUDEVENT

Format: TypeAlias = Literal["cloudevents", "cloudevents-batch"]

_CHUNK = 1 << 18
_BLANK = " \t\r\n"
_json = json.JSONDecoder()


def written(events: Iterable[bytes], format: Format) -> Iterator[bytes]:
    """The pieces of a file that holds these CloudEvents."""
    if format == "cloudevents":
        for event in events:
            yield event + b"\n"
        return
    before = b"[\n"
    for event in events:
        yield before + event
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def entries(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Each CloudEvent of a file, from its start, with the name of its place: `line 3`, or `event 3` of an array.

    Memory is flat. Raises EventRejected when an array is not well-formed; what is in an event is not looked at.
    """
    file.seek(0)
    start = file.read(4096).lstrip()
    file.seek(0)
    return _array(file) if start.startswith(b"[") else _lines(file)


def _lines(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    number = 0
    while line := file.readline(LARGEST_CLOUDEVENT + 2):
        number += 1
        if line.strip():
            yield f"line {number}", line.rstrip(b"\r\n")


def _array(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    text = _Text(file)
    number = 0
    try:
        text.take("[")
        last = text.peek() == "]" and bool(text.take("]"))
        while not last:
            body = text.element()
            number += 1
            yield f"event {number}", body.encode()
            last = text.take(",]") == "]"
        text.finish()
    except EventRejected as error:
        raise EventRejected(f"after event {number}: {error}; nothing was recorded", field="data") from error


class _Text:
    """Reads JSON in chunks; never more than one value and a chunk are in memory."""

    def __init__(self, file: BinaryIO) -> None:
        self._read = codecs.getreader("utf-8")(file).read
        self._text = ""

    def peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        self._text = self._text.lstrip(_BLANK)
        while not self._text and (more := self._more()):
            self._text = more.lstrip(_BLANK)
        return self._text[:1]

    def take(self, allowed: str) -> str:
        """Step over one of these characters."""
        found = self.peek()
        if not found or found not in allowed:
            what = repr(found) if found else "the end"
            raise EventRejected(f"the array is not JSON: {what} where {' or '.join(allowed)} belongs", field="data")
        self._text = self._text[1:]
        return found

    def finish(self) -> None:
        """Nothing but white space is left."""
        if self.peek():
            raise EventRejected("something follows the array", field="data")

    def element(self) -> str:
        """Step over one value, as it is written."""
        self.peek()
        while True:
            try:
                _, end = _json.raw_decode(self._text)
            except (ValueError, RecursionError) as error:
                more = self._more() if len(self._text) <= LARGEST_CLOUDEVENT else ""
                if not more:
                    raise EventRejected(
                        f"the array is not JSON, or an event is too large: {error}", field="data"
                    ) from error
                self._text += more
            else:
                found, self._text = self._text[:end], self._text[end:]
                return found

    def _more(self) -> str:
        try:
            return self._read(_CHUNK)
        except UnicodeDecodeError as error:
            raise EventRejected("the array is not UTF-8", field="data") from error
