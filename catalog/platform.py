"""What differs between operating systems: durable writes, locks, processes, disks. Linux is tested, others best
effort.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import math
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import psutil

NETWORK_FILE_SYSTEMS = frozenset(
    [
        "9p",
        "afpfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "davfs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs3",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
        "webdav",
    ]
)

_NICE = 10
_NO_NEW_PRIVS = 38
_LANDLOCK = 444
"""The first of its three system calls; they have the same numbers on every architecture."""
_READ_FILE = 1 << 2
_FICLONE = 0x40049409


def fsync_file(file: BinaryIO) -> None:
    """Force a file's bytes onto the disk. macOS needs F_FULLFSYNC for what fsync promises elsewhere."""
    file.flush()
    if sys.platform == "darwin":
        import fcntl

        fcntl.fcntl(file.fileno(), fcntl.F_FULLFSYNC)
    else:
        os.fsync(file.fileno())


def fsync_folder(folder: Path) -> None:
    """Force a folder's entries onto the disk, so that a rename survives a power cut."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_atomic(path: Path, content: bytes, *, mode: int = 0o644, written: Callable[[], None] = lambda: None) -> None:
    """Write a file so that it is there whole or not at all: temporary file, fsync, rename, fsync of the folder.

    `written` is called when the temporary file holds everything. Raises OSError; the temporary file is removed then.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:40]}.", suffix=".part", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            fsync_file(file)
        temporary.chmod(mode)
        written()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path, *, blocking: bool = True) -> Iterator[bool]:
    """Hold an exclusive lock on a file between processes; yields False when `blocking` is off and another holds it.

    The lock goes with the process, however it ends.
    """
    with path.open("ab") as file:
        held = _lock(file, blocking)
        try:
            yield held
        finally:
            if held:
                _unlock(file)


@contextlib.contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file that is there only while somebody holds it, or waits for it."""
    file = _locked_under(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no file that is open; it serves the next one too
            path.unlink()
        _unlock(file)
        file.close()


def _locked_under(path: Path) -> BinaryIO:
    """The file that has this name, made if need be, and locked."""
    while True:
        file = path.open("ab")
        try:
            # Whoever held it before may have removed it while we waited: then others lock another file of this name.
            if _lock(file, blocking=True) and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def _lock(file: BinaryIO, blocking: bool) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if blocking else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _unlock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


def before_fork(lock: threading.Lock, let_go: Callable[[], None]) -> None:
    """Let `let_go` run under `lock` before each fork of this process: what has threads of its own (DuckDB) must not be
    there then. A child would inherit it without them, and hang when it ends it.
    """

    def prepare() -> None:
        lock.acquire()
        let_go()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=prepare, after_in_parent=lock.release, after_in_child=lock.release)


def started(pid: int) -> float | None:
    """When a process started (s, on a clock of the system's own), None when there is none. With the pid it names one
    process for ever.
    """
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if sys.platform != "linux":
            return float(process.create_time())
        # Ticks since boot: psutil adds the wall clock's idea of when that was, which moves when the clock is set.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (psutil.Error, OSError):
        return None


def is_alive(pid: int, start: float) -> bool:
    """Whether the process that had this pid and start time still runs, and not another one with its pid."""
    found = started(pid)
    return found is not None and abs(found - start) < 0.02


def spawn_detached(argv: Sequence[str], *, environ: Mapping[str, str], log: Path) -> int:
    """Start a process that outlives this one and hears none of its signals; gives its pid."""
    with log.open("ab") as sink:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
            process = subprocess.Popen(
                argv, env=dict(environ), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, creationflags=flags
            )  # argv is ours
        else:
            process = subprocess.Popen(  # argv is ours
                argv, env=dict(environ), stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
            )
    # Should it end before this process does, somebody must take note, or it stays in the process table.
    threading.Thread(target=process.wait, name=f"voxledger-reaper-{process.pid}", daemon=True).start()
    return process.pid


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent ends (Linux). For a child, between fork and exec."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def allow_open_files(wanted: int) -> int:
    """Let this process have so many files and connections open, as far as the system allows it; gives how many it may have."""
    if sys.platform == "win32":
        return wanted  # it has no such limit
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return wanted
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return min(wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def end_group(pid: int) -> None:
    """Kill a process and every process of its group, at once. The pid must be one whose end nobody has taken note of yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            psutil.Process(pid).kill()
        else:
            os.killpg(pid, signal.SIGKILL)


def can_confine() -> bool:
    """Whether this system enforces limits on the memory of one process. macOS and Windows do not."""
    return sys.platform == "linux"


class Confined:
    """A process that gave up, for good, what it needs only before it works for strangers: writing files, reading any but one, new
    rights, TCP. It is the first to go when memory runs out, and the last to get a core. Linux; made before there are threads.

    Kernels without Landlock (before 5.13, or where it is off) enforce only that no file grows, and that nothing gets new rights.
    """

    def __init__(self, readable: Path) -> None:
        """`readable` is the file that it may go on opening. Raises OSError where the kernel refuses, or where there are threads."""
        if sys.platform != "linux":
            raise OSError("only Linux confines a process")
        if len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  # counted, before anything else can be loaded
            raise OSError("a process with threads is not confined: only the thread that asks for it would be")
        import resource

        self._size = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)  # not to be opened any more in a moment
        for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(limit, (0, 0))
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")
        os.nice(_NICE)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "no_new_privs was refused")
        version = libc.syscall(_LANDLOCK, None, ctypes.c_size_t(0), 1)
        if version > 0:
            _lock_in(libc, version, readable)

    def limit(self, *, memory: int, cpu: float) -> None:
        """From here on it gets at most so many bytes of address space more, and so many seconds of all cores together."""
        import resource

        pages = int(os.pread(self._size, 100, 0).split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(cpu),) * 2)


def _lock_in(libc: ctypes.CDLL, version: int, readable: Path) -> None:
    """Landlock: everything that this version knows is forbidden, but reading one file. See linux/landlock.h."""
    kinds = 13 if version < 2 else 14 if version < 3 else 15 if version < 5 else 16
    handled = (ctypes.c_uint64 * 3)((1 << kinds) - 1, 0b11 if version >= 4 else 0, 0b11 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    rules = libc.syscall(_LANDLOCK, handled, ctypes.c_size_t(size), 0)
    file = os.open(readable, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", _READ_FILE, file)
        if rules < 0 or libc.syscall(_LANDLOCK + 1, rules, 1, rule, 0) or libc.syscall(_LANDLOCK + 2, rules, 0):
            raise OSError(ctypes.get_errno(), "Landlock was refused")
    finally:
        os.close(file)
        if rules >= 0:
            os.close(rules)


def clone(source: BinaryIO, target: BinaryIO) -> bool:
    """Make `target` share the blocks of `source`, as it is at this moment; False where the file system cannot (reflink)."""
    if sys.platform != "linux":
        return False
    import fcntl

    try:
        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except OSError:
        return False
    return True


def open_files() -> set[tuple[int, int]]:
    """Device and inode of every file that a process has open, as far as this user may see (Linux; elsewhere nothing is seen)."""
    found: set[tuple[int, int]] = set()
    for process in Path("/proc").glob("[0-9]*/fd"):
        with contextlib.suppress(OSError), os.scandir(process) as handles:  # it ended, or is another user's
            for handle in handles:
                with contextlib.suppress(OSError):
                    seen = os.stat(handle.path)  # noqa: PTH116  # a Path for each of thousands would take twice as long
                    found.add((seen.st_dev, seen.st_ino))
    return found


def file_system(path: Path) -> str:
    """The type of the file system that holds `path`, `""` when it cannot be told."""
    resolved = path.resolve()
    best, kind = -1, ""
    for partition in psutil.disk_partitions(all=True):
        mount = Path(partition.mountpoint)
        if (resolved == mount or mount in resolved.parents) and len(mount.parts) >= best:
            best, kind = len(mount.parts), partition.fstype
    return kind


def is_full(path: Path) -> bool:
    """Whether a write to this disk that failed did so for want of room: less than 1 MB is left."""
    return free_disk(path) < 1_000_000


def lacks_room(error: BaseException, path: Path) -> bool:
    """Whether a write into a folder failed for want of room. Libraries that say nothing better are judged by what is left."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT) if isinstance(error, OSError) else is_full(path)


def free_disk(path: Path) -> int:
    """Bytes an unprivileged user can still write on the disk that holds `path`."""
    return int(psutil.disk_usage(str(path)).free)
