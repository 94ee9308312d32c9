"""The child: a process that answers one question and ends, whatever the question does to it.

It is forked by a process that has loaded everything and never sees a question: starting anew would take half a second each
time. That one only waits; the threads that Arrow has begun in it do not come along. Before a child hears what is asked it has
given up files, new rights and memory (`platform.Confined`); the snapshot is open, read-only, and DuckDB's own way to files is
shut behind it.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
import threading
import time
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import msgspec
import pyarrow as pa

from voxledger.catalog import platform
from voxledger.catalog.errors import QueryError
from voxledger.catalog.query.complaint import STRUCTURED, Complaint
from voxledger.catalog.query.guard import check, parse, parse_with, pieces
from voxledger.dashboards.sql.formats import Encoded, encoded, warm
from voxledger.dashboards.sql.offsets import with_offsets
from voxledger.dashboards.sql.question import (
    ELSEWHERE,
    LENGTH,
    Failure,
    Head,
    Question,
    Ready,
    Setting,
    packed,
    unpacked,
)

_THREADS = max(1, min(8, os.cpu_count() or 1))
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "threads": 1, "async_threads": 0, "temp_directory": "", "autoinstall_known_extensions": False, "autoload_known_extensions": False,
    "allow_community_extensions": False, "python_enable_replacements": False, **STRUCTURED,
}  # fmt: skip
_FETCH = 2048
_LONGEST_ERROR = 2000
_Message = TypeVar("_Message", bound=msgspec.Struct)


def main() -> None:
    """Fork a child whenever the node sends two pipes, and say which process it is; end with the node."""
    sys.meta_path.insert(0, _WithoutPandas())
    warm()
    check(
        "SELECT 1"
    )  # where DuckDB was used before the fork it begins faster after it; this instance ends with the first fork
    gc.freeze()
    control = socket.socket(fileno=os.dup(0))
    while True:
        message, handles, _, _ = socket.recv_fds(control, 64, 2)
        if not message:
            return
        if message.startswith(b"reap "):
            os.waitpid(int(message[5:]), 0)
            control.send(b"done")
            continue
        pid = os.fork()
        if pid == 0:
            try:
                control.close()
                _become(*handles)
                _live()
            finally:
                os._exit(1)
        for handle in handles:
            os.close(handle)
        control.send(str(pid).encode())


class _WithoutPandas(MetaPathFinder):
    """Arrow imports pandas with its first array, where that is installed; here it would only take time and memory."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Of `MetaPathFinder`: nobody finds it."""
        if fullname == "pandas":
            raise ModuleNotFoundError("there is no pandas in this process", name=fullname)


def _become(asked: int, answered: int) -> None:
    """A process with a group of its own, whose input and output are these pipes."""
    os.setsid()
    os.dup2(asked, 0)
    os.dup2(answered, 1)
    os.close(asked)
    os.close(answered)


def _live() -> None:
    setting = _receive(Setting)
    # DuckDB looks at the machine when it begins. Alone in its process until then: threads are confined by who starts them.
    with duckdb.connect(":memory:", config={**_CONFIG, "memory_limit": f"{setting.memory * 8 // 10}B"}) as connection:
        confined = platform.Confined(Path(setting.snapshot))
        parse_with(connection.cursor())  # an instance of its own would take as long again
        _open(connection, setting.snapshot)
        check("SELECT 1")  # what that needs is there before memory is scarce
        found = connection.execute("SELECT position FROM catalog.projections WHERE name = 'catalog'").fetchall()
        position = int(found[0][0])
        confined.limit(memory=setting.memory + 2 * setting.answer, cpu=setting.seconds * _THREADS + 1)
        _send(packed(Ready(position=position)))
        question = _receive(Question)
        threading.Thread(target=_end_with_node, daemon=True).start()
        began = time.perf_counter()
        try:
            answer = _answered(connection, question, position, began)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and this process ends
            _send(packed(_failed(error, question, connection)))
            return
        head = Head(
            rows=answer.rows,
            bytes=sum(map(len, answer.parts)),
            truncated=answer.truncated,
            took_us=round((time.perf_counter() - began) * 1e6),
        )
        _send(packed(head))
        for part in _joined(answer.parts):
            _send(part)
    os._exit(0)  # nothing here is worth tidying up


def _open(connection: duckdb.DuckDBPyConnection, snapshot: str) -> None:
    """Open the snapshot, and shut the way to all other files."""
    path = snapshot.replace("'", "''")
    connection.execute(f"SET threads = {_THREADS}")
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET enable_progress_bar = false")
    connection.execute(f"ATTACH '{path}' AS catalog (READ_ONLY)")
    connection.execute("SET search_path = 'catalog'")
    connection.execute("SET enable_external_access = false; SET disabled_filesystems = 'LocalFileSystem'")
    connection.execute("SET lock_configuration = true")


def _answered(connection: duckdb.DuckDBPyConnection, question: Question, position: int, began: float) -> Encoded:
    check(question.query)
    parameters: Any = question.parameters
    relation = connection.sql(question.query, params=parameters) if parameters else connection.sql(question.query)
    if relation is None:
        raise QueryError("this query gives no rows and no columns; ask for something")
    types = [str(kind) for kind in relation.types]
    reader = with_offsets(relation, types).to_arrow_reader(_FETCH)
    return encoded(reader, types, question, position, lambda: time.perf_counter() - began)


_ABOUT_THE_QUERY = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.SyntaxException)
"""Errors that quote what was asked. The others quote what is there."""
_AT_A_VALUE = ", at a value that is not shown, because it may be personal; TRY_CAST and try_strptime give NULL for such"


def _failed(error: Exception, question: Question, connection: duckdb.DuckDBPyConnection) -> Head:
    """What went wrong, in words for whoever asked, and where."""
    failure: Failure = "query"
    complaint = Complaint.of(str(error), question.query)
    words = complaint.words
    if isinstance(error, QueryError):
        complaint = Complaint(words, error.offset, error.length)
    elif isinstance(error, (duckdb.OutOfMemoryException, MemoryError, pa.ArrowMemoryError)) or "bad_alloc" in words:
        failure, words = "query_memory", "the query needs more memory than sql.memory allows"
    elif isinstance(error, duckdb.CatalogException) and _names_the_log(question.query):
        failure = "not_in_snapshot"
        words = "events, batches and epochs are the log's own, and not in the snapshot that SQL is answered from"
    elif isinstance(error, _ABOUT_THE_QUERY):
        complaint = _placed(complaint, question, connection)
        words = f"DuckDB refused the query: {words}"
    elif isinstance(error, (duckdb.Error, pa.ArrowException)):
        words = f"DuckDB refused the query: {words.partition(':')[0]}{_AT_A_VALUE}"
    else:
        words = f"the answer holds a value that has no place in this format ({words}); cast it to VARCHAR, or ask for another format"
    place = None if complaint.offset is None else (complaint.offset, complaint.length)
    return Head(error=words[:_LONGEST_ERROR], failure=failure, place=place)


def _placed(complaint: Complaint, question: Question, connection: duckdb.DuckDBPyConnection) -> Complaint:
    """The same with its place: of a relation DuckDB tells none, and of a statement it does."""
    parameters: Any = question.parameters
    try:
        connection.execute(question.query, parameters) if parameters else connection.execute(question.query)
    except duckdb.Error as error:
        told = Complaint.of(error, question.query)
        return told if told.words == complaint.words else complaint
    return complaint


def _names_the_log(query: str) -> bool:
    tables = (piece for piece in pieces(parse(query)) if piece.get("type") == "BASE_TABLE")
    return any(
        path[-1].lower() in ELSEWHERE or path[0].lower() == "log"
        for path in (table["qualified_name"]["path"] for table in tables)
    )


def _joined(parts: Any) -> Any:
    """In pieces that are worth a system call."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size > 1 << 17:
            yield b"".join(held)
            held, size = [], 0
    yield b"".join(held)


def _end_with_node() -> None:
    """The node ends what takes too long; when it has gone itself, nobody would."""
    gone = select.poll()
    gone.register(0, 0)  # that the other end is closed is always heard
    gone.poll()
    os._exit(1)


def _receive(kind: type[_Message]) -> _Message:
    (size,) = LENGTH.unpack(_exactly(LENGTH.size))
    return unpacked(_exactly(size), kind)


def _exactly(size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        block = os.read(0, min(size - len(found), 1 << 16))
        if not block:
            os._exit(0)  # the node has no question for us
        found += block
    return bytes(found)


def _send(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
    sys.exit(0)
