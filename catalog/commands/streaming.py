"""The command that follows the log: `events stream`."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from voxledger.catalog.terminal import Opener

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper
    from voxledger.catalog.settings import Loaded


class Door(AbstractContextManager["Door"], Protocol):
    """What this command needs of a ledger."""

    loaded: Loaded

    @property
    def keeper(self) -> Keeper:
        """Reads the log."""


class Streaming:
    """`events stream`, on whatever HOME `opened` opens."""

    def __init__(self, opened: Opener[Door]) -> None:
        self._opened = opened

    def stream(
        self, *, follow: bool = False, since: str | None = None, type: tuple[str, ...] = (), name: str | None = None
    ) -> None:
        """Write events as they are recorded, as CloudEvents 1.0, one JSON document a line.

        What is personal stays sealed, as in `events export`. With --follow it goes on until Ctrl-C, or until nobody
        reads any more; without, it ends with what is recorded now. It works beside `voxledger serve` and without it.

        With a name, the place is remembered that was written last, and the next run under this name goes on there. What
        was written in the last half second before a crash is written again, so whoever reads knows an event by its id.

        **Examples**

            voxledger events stream --follow | jq .type
            voxledger events stream --follow --since 1h --type GenerationFailed
            voxledger events stream --name warehouse >> events.jsonl
            voxledger events stream --since 120000 | head

        Parameters
        ----------
        follow
            Go on with each new event. Without a place to begin, only with these.
        since
            Begin with this position of the log, or with what was recorded from then on: 2026-03-01T12:00:00Z, 2026-03-01
            (the start of that day) or 7d (seven days ago). With a name only the first time.
        type
            Only events of this type; may be repeated.
        name
            Remember under this name how far it came, and go on from there; the first time it begins with the first event.
        """
        from voxledger.catalog import exchange
        from voxledger.catalog.events import to_cloudevent
        from voxledger.catalog.feed import Feed

        with self._opened() as door:
            exchange.check_types(type, door.keeper)
            place = _place(since, door.loaded.settings.general.time_zone)
            feed = Feed(door.keeper, since=place, types=type, name=name, follow=follow)
            out = sys.stdout.buffer
            with contextlib.closing(feed.pages(pause=_pause(out))) as pages, _ending(follow):
                for page in pages:
                    out.write(b"".join(to_cloudevent(event) + b"\n" for event in page))
                    out.flush()


def _place(since: str | None, zone: str) -> datetime | int | None:
    from voxledger.catalog.query.moment import moment_of

    if since is not None and since.strip().isdecimal():
        return int(since)
    return moment_of("--since", since, zone, day="start")


@contextlib.contextmanager
def _ending(follow: bool) -> Iterator[None]:
    """Whoever follows ends it with Ctrl-C: that is no failure."""
    try:
        yield
    except KeyboardInterrupt:
        if not follow:
            raise


def _pause(out: BinaryIO) -> Callable[[float], None]:
    """Waits, and notices meanwhile that nobody reads the pipe any more: otherwise only the next event would show it."""
    try:
        file = out.fileno()
        mode = os.fstat(file).st_mode
    except (OSError, ValueError):
        return time.sleep
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)) or not hasattr(select, "poll"):
        return time.sleep
    poll = select.poll()
    poll.register(file, 0)

    def pause(seconds: float) -> None:
        if poll.poll(seconds * 1000):
            raise BrokenPipeError

    return pause
