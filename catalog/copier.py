"""The copier: a process that copies the tables' file while the node goes on writing it.

Only another process may do that: POSIX takes all locks that a process has on a file from it when it closes any handle on that
file, and DuckDB's lock with them. It speaks in lines: "go" begins a copy, "begun" says that others may write again, then comes
how it ended.

A DuckDB file never overwrites a block of its last checkpoint before the next one is finished, and that shows in the headers.
So when they are the same after the copy as before, the copy is that checkpoint; what was committed after it stands in the
write-ahead log, which only grows meanwhile.

It stands here, and not beside `log.copying` that starts it, because it is started for each copy, and needs nothing else of the log.
"""

from __future__ import annotations

import errno
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

import duckdb

from voxledger.catalog import platform
from voxledger.catalog.duckdb_files import MEMORY

GO, BEGUN, DONE, MOVED, FULL = "go", "begun", "done", "moved", "full"
"""What is said to this process, and what it says."""
_HEADERS = 3 * 4096
_BLOCK = 1 << 20


def main(source: Path, target: Path) -> None:
    """Copy whenever a line says so, until there are no more lines."""
    _say("ready")
    for _ in sys.stdin:
        try:
            _say(_copy(source, target))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            _say(FULL)


def _copy(source: Path, target: Path) -> str:
    log, between = (source.with_name(source.name + end) for end in (".wal", ".wal.checkpoint"))
    for path in (target, target.with_name(target.name + ".wal")):
        path.unlink(missing_ok=True)
    with source.open("rb") as read, target.open("xb") as written:
        headers = _headers(read)
        logged = log.stat().st_size if log.exists() else 0
        if between.exists():  # a checkpoint is under way
            return MOVED
        shares = platform.clone(read, written)
        _say(BEGUN)
        if not shares:
            read.seek(0)
            shutil.copyfileobj(read, written, _BLOCK)
        if logged:
            _copy_log(log, target.with_name(target.name + ".wal"), logged)
        if _headers(read) != headers:
            return MOVED
    return f"{DONE} {_settle(target, replay=logged > 0)}"


def _headers(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(_HEADERS)


def _copy_log(log: Path, target: Path, size: int) -> None:
    """So much of the write-ahead log as there was when the copy began."""
    with log.open("rb") as read, target.open("xb") as written:
        while size and (block := read.read(min(size, _BLOCK))):
            written.write(block)
            size -= len(block)


def _settle(target: Path, *, replay: bool) -> int:
    """Bring the copy into one file that nobody changes any more, and read from it which position it is of; -1 when it has none."""
    config: dict[str, str | bool | int | float | list[str]] = {"memory_limit": MEMORY}
    if replay:
        with duckdb.connect(str(target), config=config) as connection:
            connection.execute("CHECKPOINT")
    target.chmod(0o400)
    with duckdb.connect(str(target), read_only=True, config=config) as connection:
        found = connection.execute("SELECT position FROM projections WHERE name = 'catalog'").fetchall()
    return int(found[0][0]) if found else -1


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201  # it is how it speaks


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
