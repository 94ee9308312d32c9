"""A process as the children of the SQL service are, without the guard before it: tells of each try whether it was refused."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb

from voxledger.catalog import platform
from voxledger.dashboards.sql import child


def main(snapshot: Path, file: Path, new: Path) -> None:
    """Print the names of the tries that were not refused."""
    tables = duckdb.connect(":memory:", config={**child._CONFIG, "memory_limit": "200MB"})
    confined = platform.Confined(snapshot)
    child._open(tables, str(snapshot))
    confined.limit(memory=300_000_000, cpu=60)
    queries = {
        "read_text": f"SELECT content FROM read_text('{file}')",
        "read_blob of the snapshot": f"SELECT content FROM read_blob('{snapshot}')",
        "read_csv": f"FROM read_csv('{file}')",
        "from a file": f"FROM '{file}'",
        "glob": "SELECT * FROM glob('/etc/*')",
        "copy": f"COPY (SELECT 1) TO '{new}'",
        "copy onto the snapshot": f"COPY clips TO '{snapshot}'",
        "attach": f"ATTACH '{new}' AS x",
        "attach again": f"ATTACH '{snapshot}' AS x (READ_WRITE)",
        "install": "INSTALL httpfs",
        "load": "LOAD httpfs",
        "delete": "DELETE FROM clips",
        "drop": "DROP TABLE catalog.projections",
        "set": "SET enable_external_access = true",
        "set file systems": "SET disabled_filesystems = ''",
        "reset": "RESET lock_configuration",
        "export": f"EXPORT DATABASE '{new}'",
        "repeat": "SELECT repeat('x', 2000000000)",
    }
    tries: dict[str, Callable[[], object]] = {
        "open": lambda: file.read_bytes(),
        "open passwd": lambda: Path("/etc/passwd").read_bytes(),
        "write": lambda: new.write_text("x"),
        "write the snapshot": lambda: snapshot.open("r+b"),
        "remove": lambda: file.unlink(),
        "list": lambda: list(Path("/").iterdir()),
        "another process": lambda: subprocess.run(["/bin/true"], check=True),
        "environment of the parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
        "tcp": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[4])), timeout=5),
        "memory": lambda: bytes(2_000_000_000),
        **{name: lambda query=query: tables.execute(query).fetchall() for name, query in queries.items()},
    }
    print(json.dumps([name for name, attempt in tries.items() if not _refused(attempt)]), flush=True)
    print(json.dumps(tables.execute("SELECT count(*) FROM clips").fetchall()), flush=True)
    os._exit(0)


def _refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (duckdb.Error, OSError, MemoryError):
        return True
    return False


if __name__ == "__main__":
    forked = os.fork()  # as the nursery does: Arrow has begun threads, and they do not come along
    if forked == 0:
        main(*map(Path, sys.argv[1:4]))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]))
