"""What waits for a slow client: whole and in order, and no more of it than there is room for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voxledger.dashboards.server.spool import IN_MEMORY, Room, Spool


async def _written_and_read(room: Room, blocks: list[bytes], reads_after: int) -> bytes:
    """Write in a thread; read some after each so many blocks, and the rest at the end."""
    spool = Spool(room, asyncio.get_running_loop())
    turn, written = threading.Semaphore(0), threading.Semaphore(0)

    def write() -> None:
        for block in blocks:
            turn.acquire()
            spool.write(block)
            written.release()
        spool.end()

    thread = threading.Thread(target=write)
    thread.start()
    read = b""
    for number in range(1, len(blocks) + 1):
        turn.release()
        await asyncio.to_thread(written.acquire)
        if number % reads_after == 0 and len(read) < sum(map(len, blocks[:number])):
            read += await spool.read()
    while more := await spool.read():
        read += more
    thread.join()
    spool.close()
    return read


@settings(deadline=None, max_examples=25)
@given(
    sizes=st.lists(st.sampled_from([1, 1000, IN_MEMORY // 2, IN_MEMORY, 3 * IN_MEMORY]), min_size=1, max_size=8),
    reads_after=st.integers(1, 9),
)
def test_what_was_written_is_read_whole_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], reads_after: int
) -> None:
    room = Room(tmp_path_factory.getbasetemp())
    blocks = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    assert asyncio.run(_written_and_read(room, blocks, reads_after)) == b"".join(blocks)
    assert room.take(1 << 31), "what was read is no longer held against the room"


def test_a_client_that_is_too_far_behind_is_cut_off_and_leaves_nothing(tmp_path: Path) -> None:
    async def ahead(room: Room, most: int) -> tuple[bool, bytes]:
        spool = Spool(room, asyncio.get_running_loop(), most=most)
        for _ in range(8):
            spool.write(b"x" * IN_MEMORY)
        cut = spool.cut
        spool.close()
        return cut, await spool.read()

    room = Room(tmp_path)
    assert asyncio.run(ahead(room, 4 * IN_MEMORY)) == (True, b"")
    assert asyncio.run(ahead(room, 8 * IN_MEMORY)) == (False, b"")
    assert asyncio.run(ahead(Room(tmp_path, most=2 * IN_MEMORY), 8 * IN_MEMORY)) == (True, b"")
    assert asyncio.run(ahead(Room(tmp_path, has_room=lambda: False), 8 * IN_MEMORY)) == (True, b"")
    assert asyncio.run(ahead(Room(tmp_path / "nowhere"), 8 * IN_MEMORY)) == (True, b"")
    assert not list(tmp_path.iterdir())
