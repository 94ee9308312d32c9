"""The feed: events in the order of the log, from a place on, and then each new one as it is recorded.

What is new is read from the journal, where it was acknowledged: that takes no turn at the log, and makes no difference to
a node that serves. What the journal has let go of is read from the log, a page at a time.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.errors import CatalogBusy, JournalError, LogCorrupt, QueryError
from voxledger.catalog.events import Event, decode
from voxledger.catalog.exchange import logged
from voxledger.catalog.log import PATIENCE
from voxledger.catalog.queries import load
from voxledger.catalog.subscriptions import Subscription

if TYPE_CHECKING:
    from voxledger.catalog.log import Keeper, Reading

PREFIX = "stream-"
"""What the cursors of feeds begin with, so that none is ever that of Mixpanel or of the search."""

_PAGE = 20_000
_PAGE_BYTES = 32_000_000
_LOOK = 0.03
"""Seconds between two looks at the journal: one costs 20 µs."""
_REMEMBER = 0.5
"""Seconds between two moves of a cursor while events flow: each is a commit, and those who speak need the disk too."""
_AGAIN = 0.2
"""Seconds until the log is asked again after it was busy."""
_SQL = load("feed.sql")
_log = logging.getLogger(__name__)


class _Page(NamedTuple):
    events: Sequence[Event]
    through: int
    """Everything up to here is in this page, or in one before it."""


class Feed:
    """Events after a position; with a name, after the place up to which they were dealt with under that name.

    At least once: an event has been dealt with when the next one, or the next page, is asked for. Whoever is killed gets
    again what came in the last half second.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        since: datetime | int | None = None,
        types: Collection[str] = (),
        name: str | None = None,
        follow: bool = False,
        most: int | None = None,
    ) -> None:
        """From a position on, or from what was recorded at a moment (aware) or later. Without either, a named feed goes on
        where it stopped, one that follows begins at the end, and any other at the beginning. A page has `most` positions, 20,000 by
        default.

        Raises QueryError for a place that is not there yet, and for one given to a name that has its own already.
        """
        self._keeper = keeper
        self._journal = keeper.journal
        self._types = list(types)
        self._follow = follow
        self._most = most or _PAGE
        self._cursor = None if name is None else _cursor(name, keeper)
        self._remembered = self._cursor.cursor if self._cursor else 0
        self._moved = 0.0
        if since is not None and self._remembered:
            raise QueryError(
                f"the stream {name!r} goes on after position {self._remembered:,}, where it stopped: give no place to"
                " begin, or another name"
            )
        self.position = self._remembered or self._start(since, named=name is not None)
        """Everything up to here has been dealt with."""

    def pages(self, *, pause: Callable[[float], None] = time.sleep) -> Generator[Sequence[Event], None, None]:
        """Pages of events; without `follow`, up to what is recorded now. `pause` waits so many seconds.

        Raises CatalogBusy when somebody else reads the stream of this name.
        """
        end = None if self._follow else self._journal.head()
        with self._alone():
            try:
                while (page := self._next(end)) is not None or self._follow:
                    if page is None:
                        self._remember()
                        pause(_LOOK)
                        continue
                    if page.events:
                        yield page.events
                    self.position = page.through
                    if time.monotonic() - self._moved > _REMEMBER:
                        self._remember()
            finally:
                # Of a ledger that was closed meanwhile nothing can be remembered; those events come again.
                with contextlib.suppress(JournalError):
                    self._remember()

    def step(self) -> Sequence[Event] | None:
        """The next page, for whoever waits in another way than `pages`: no events where none of it is of the types that are asked
        for, None when nothing follows now. They have been dealt with; under a name nothing is remembered.
        """
        page = self._next(None)
        if page is None:
            return None
        self.position = page.through
        return page.events

    def each(self) -> Generator[Event, None, None]:
        """The same, an event at a time."""
        with contextlib.closing(self.pages()) as pages:
            for page in pages:
                for event in page:
                    yield event
                    self.position = event.position

    def _start(self, since: datetime | int | None, *, named: bool) -> int:
        head = self._journal.head()
        if since is None:
            return head if self._follow and not named else 0
        if isinstance(since, datetime):
            return self._recorded_before(since)
        if not 0 <= since <= head + 1:
            raise QueryError(f"position {since:,} lies beyond the end of the log, which is at {head:,}")
        return max(0, since - 1)

    def _recorded_before(self, moment: datetime) -> int:
        if moment.tzinfo is None:
            raise QueryError(f"the moment {moment.isoformat()} has no time zone; use datetime.now(UTC)")
        if moment > datetime.now(UTC):
            raise QueryError(
                f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC lies in the future; give a time that is over"
            )
        with self._keeper.reading() as reading:
            return int(reading.tuples(_SQL["since"], {"since": moment})[0][0])

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        if self._cursor is None:
            yield
            return
        with self._cursor.exclusively() as held:
            if not held:
                raise CatalogBusy(
                    f"the stream {self._cursor.name.removeprefix(PREFIX)!r} is being read already; end that, or take"
                    " another name"
                )
            yield

    def _remember(self) -> None:
        if self._cursor is not None and self.position > self._remembered:
            self._cursor.advance(self.position)
            self._remembered = self.position
            self._moved = time.monotonic()

    def _next(self, end: int | None) -> _Page | None:
        """What follows; None when there is nothing now."""
        head = self._journal.head() if end is None else end
        if self.position >= head:
            return None
        return self._from_journal(head) or self._from_log(head)

    def _from_journal(self, head: int) -> _Page | None:
        """None when it has let go of what follows, and where positions were lost: the log knows which."""
        oldest = self._journal.oldest()
        if oldest is None or oldest > self.position + 1:
            return None
        events: list[Event] = []
        through = self.position
        for position, body in self._journal.read(self.position, min(self._most, head - self.position)):
            if position != through + 1:
                break
            through = position
            event = decode(body)
            if not self._types or event.type in self._types:
                events.append(event)
        return _Page(events, through) if through > self.position else None

    def _from_log(self, head: int) -> _Page:
        """A node that stops hangs up on us, or breaks off what we ask; so does one that begins to serve."""
        deadline = time.monotonic() + PATIENCE
        said = False
        while True:
            try:
                return self._logged(head)
            except (CatalogBusy, QueryError) as error:
                late = time.monotonic() > deadline
                if late and not self._follow:
                    raise
                if late and not said:
                    said = True
                    _log.warning("%s. The stream waits for it", error)
            time.sleep(_AGAIN)

    def _logged(self, head: int) -> _Page:
        for fresh in (False, True):
            with self._keeper.reading(fresh=fresh) as reading:
                page = self._page(reading, head)
            if page is not None:
                return page
        raise LogCorrupt(
            f"the log misses events after position {self.position}; see `voxledger verify`", position=self.position + 1
        )

    def _page(self, reading: Reading, head: int) -> _Page | None:
        passed = reading.tuples(_SQL["passed"], {"after": self.position})[0][0]
        after = self.position if passed is None else int(passed)
        if after >= head:
            return _Page((), after)
        limits = {"after": after, "last": min(after + self._most, head), "bytes": _PAGE_BYTES}
        last, count = reading.tuples(_SQL["page"], limits)[0]
        if last is None:
            return None
        lost = reading.tuples(_SQL["lost"], {"after": after, "last": last})[0][0]
        if count + lost != last - after:
            return None
        rows = reading.rows(_SQL["events"], {"after": after, "last": last, "types": self._types})
        return _Page([logged(row) for row in rows], int(last))


def _cursor(name: str, keeper: Keeper) -> Subscription:
    try:
        return Subscription(PREFIX + name, keeper)
    except ValueError:
        raise QueryError(f"{name!r} is no name for a stream: use up to 57 of a-z, 0-9, '-' and '_'") from None
