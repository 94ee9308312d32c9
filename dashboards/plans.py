"""Plans: those of retention that somebody looks at, kept for a while so that their pages are not planned again."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan, Retention

KEEP = 900.0
"""Seconds that a plan is kept after somebody last looked at it."""
MOST = 8
"""Plans that are kept at most."""
TRIED = 3
"""Plans of policies that are only tried, which are kept apart: they push out none of the others."""
BYTES = 1_000_000_000
"""Bytes that they take up together at most; the last one is kept however large it is, up to `LARGEST`."""
TRIED_BYTES = BYTES // 4
LARGEST = 4_000_000_000
ALIKE = 2.0
"""Seconds for which a plan serves everybody who asks for one, as long as nothing is recorded."""
_PATIENCE = 60.0
"""Seconds to wait while somebody else's plan of the same kind is made: more at a time would take more memory."""


class View(NamedTuple):
    """A plan that was made, under a name for its pages. One of a policy that is only tried is no plan of this HOME."""

    name: str
    plan: Plan
    every: bool
    past: bool
    made: float
    tried: bool = False


class Plans:
    """Plans that were made lately, bounded in number, memory and time. Safe from many threads."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._trying = threading.Lock()
        self._lock = threading.Lock()
        self._views: OrderedDict[str, tuple[View, float]] = OrderedDict()
        self._tried: OrderedDict[str, tuple[View, float]] = OrderedDict()

    def make(self, retention: Retention, *, every: bool, as_of: datetime | None, head: int) -> View:
        """A plan as things stand, with `head` the journal's head; or as they stood. Raises PolicyError, Refused while others plan."""
        with _alone(self._making):
            if as_of is None and (found := self._alike(head, every=every)) is not None:
                return found
            plan = retention.plan(every=every, as_of=as_of)
            view = View(secrets.token_hex(6), plan, every, as_of is not None, time.monotonic())
            self._keep(view)
            return view

    def tried(self, make: Callable[[], Plan | None]) -> View | None:
        """What a policy that is only tried would do; None where `make` finds none. Raises what that raises, Refused while others try.

        Plans of this HOME do not wait for it.
        """
        with _alone(self._trying):
            plan = make()
            if plan is None:
                return None
            view = View(secrets.token_hex(6), plan, False, False, time.monotonic(), tried=True)
            self._keep(view)
            return view

    def newest(self, *, before: View | None = None) -> View | None:
        """The last plan of this HOME that was made for the present and is still kept; of those `before` another the last one."""
        with self._lock:
            self._drop(time.monotonic())
            found = [each for each, _ in self._views.values() if not (each.past or each.every)]
        if before is not None:
            found = [each for each in found if each.made < before.made]
        return max(found, key=lambda each: each.made, default=None)

    def view(self, name: str) -> View:
        """One that was made. Raises Refused (404) for one that is not kept any more."""
        present = time.monotonic()
        with self._lock:
            self._drop(present)
            for views in (self._views, self._tried):
                if (found := views.get(name)) is not None:
                    views[name] = (found[0], present)
                    return found[0]
        raise Refused(
            f"the view {name[:40]!r} of a plan is not kept any more",
            status=404,
            code="view_not_found",
            remedy=f"GET /api/retention/plan makes one; it is kept for {KEEP / 60:.0f} minutes after the last look.",
        )

    def _alike(self, head: int, *, every: bool) -> View | None:
        present = time.monotonic()
        with self._lock:
            for view, _ in reversed(self._views.values()):
                if present - view.made > ALIKE:
                    return None
                if view.every == every and not view.past and view.plan.position == head:
                    return view
        return None

    def _keep(self, view: View) -> None:
        if view.plan.decisions.size > LARGEST:
            raise Refused(
                f"a plan of {view.plan.decisions.height:,} clips is too large to be looked at clip by clip here",
                status=400,
                code="plan_too_large",
                remedy="Ask for it without the clips that stay, or for one clip: GET /api/retention/explain/ID.",
            )
        present = time.monotonic()
        views, most, most_bytes = (self._tried, TRIED, TRIED_BYTES) if view.tried else (self._views, MOST, BYTES)
        with self._lock:
            views[view.name] = (view, present)
            self._drop(present)
            while len(views) > 1 and (
                len(views) > most or sum(each.plan.decisions.size for each, _ in views.values()) > most_bytes
            ):
                views.popitem(last=False)

    def _drop(self, present: float) -> None:
        for views in (self._views, self._tried):
            for name in [name for name, (_, looked) in views.items() if present - looked > KEEP]:
                del views[name]


@contextmanager
def _alone(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(timeout=_PATIENCE):
        raise Refused(
            "others are having plans made",
            status=503,
            code="busy",
            remedy="Try again later.",
            headers={"Retry-After": "10"},
        )
    try:
        yield
    finally:
        lock.release()
