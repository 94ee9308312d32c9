"""Watching: `voxledger status --watch`, what goes on in a HOME as it goes on."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from voxledger.catalog import terminal
from voxledger.catalog.errors import VoxledgerError
from voxledger.catalog.settings import format_span
from voxledger.dashboards.observing.counted import Counted, Node
from voxledger.dashboards.observing.remembered import Remembered

if TYPE_CHECKING:
    from voxledger.catalog.status import Status
    from voxledger.dashboards.door import Door

_WINDOW = 10.0
"""Seconds over which rates are taken."""
_ERRORS = 5
_OLD = 5.0
"""Seconds from which on it is said how old the state is."""
_REQUESTS, _GENERATIONS = "voxledger_http_requests_total", "voxledger_generations_total"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One look: `at` on the monotonic clock; `counted` is None where no node answers."""

    at: float
    head: int
    status: Status
    age: float
    """Seconds since the state was looked at, which takes longer the more there is."""
    counted: Counted | None

    def counters(self) -> dict[str, float]:
        """What only grows, by its name."""
        found = {"events": float(self.head)}
        if self.counted is not None:
            found["requests"] = self.counted.sum(_REQUESTS)
            for outcome in ("completed", "reused", "failed"):
                found[outcome] = self.counted.sum(_GENERATIONS, outcome=outcome)
            found["delivered"] = self.counted.sum("voxledger_delivered_events_total")
            found["uploaded"] = self.counted.sum("voxledger_uploads_total", outcome="stored")
        return found


class Rates:
    """How much of each counter comes in a second, over the last seconds."""

    def __init__(self) -> None:
        self._looks: deque[tuple[float, dict[str, float]]] = deque()

    def after(self, seen: Seen) -> dict[str, float]:
        """The rates with this look; a counter that began anew (another node) has none yet."""
        counters = seen.counters()
        while self._looks and seen.at - self._looks[0][0] > _WINDOW:
            self._looks.popleft()
        self._looks.append((seen.at, counters))
        began, first = self._looks[0]
        span = seen.at - began
        if not span:
            return {}
        return {
            name: (value - first[name]) / span
            for name, value in counters.items()
            if value >= first.get(name, value + 1)
        }


def watch(door: Door, every: float, *, json: bool) -> None:
    """Show how a HOME stands every so many seconds, until `q` or Ctrl-C; with `json` a line of JSON each time.

    Raises VoxledgerError where there is no terminal to show it on.
    """
    if not json and not terminal.console.is_terminal:
        raise VoxledgerError("--watch needs a terminal; with --json it prints a line of JSON each time")
    with contextlib.suppress(KeyboardInterrupt), closing(Node(door.home)) as node, _keys() as pressed:
        looks = _looks(door, node, every)
        if json:
            for seen, rates in looks:
                terminal.print_json(_as_dict(seen, rates))
                sys.stdout.flush()
                if pressed(every):
                    return
        seen, rates = next(looks)
        with Live(_shown(seen, rates, node), console=terminal.console, screen=False, auto_refresh=False) as live:
            while not pressed(every):
                seen, rates = next(looks)
                live.update(_shown(seen, rates, node), refresh=True)


def _looks(door: Door, node: Node, every: float) -> Iterator[tuple[Seen, dict[str, float]]]:
    remembered, rates = Remembered(door, fresh=every, seldom=1.0), Rates()
    while True:
        status = remembered.now()
        if status is None:
            raise VoxledgerError("the state of this HOME cannot be looked at; `voxledger status` says why")
        seen = Seen(
            at=time.monotonic(), head=door.journal.head(), status=status, age=time.time() - remembered.at, counted=node.counted()
        )  # fmt: skip
        yield seen, rates.after(seen)


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Waits so many seconds, less when `q` is pressed: then it gives True."""
    try:
        import termios
        import tty

        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
    except (ImportError, OSError, ValueError, AttributeError):  # no terminal, or a system without them
        yield _nobody_types
        return
    except termios.error:
        yield _nobody_types
        return

    def pressed(seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([keyboard], [], [], left)[0]:
                typed = os.read(keyboard, 64)  # not through Python's buffer, into which `select` does not look
                if not typed or b"q" in typed.lower():
                    return True
        return False

    try:
        tty.setcbreak(keyboard)
        yield pressed
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _nobody_types(seconds: float) -> bool:
    time.sleep(seconds)
    return False


def _as_dict(seen: Seen, rates: dict[str, float]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "status": msgspec.to_builtins(seen.status, enc_hook=str),
        "age": round(seen.age, 3),
        "rates": {name: round(rate, 3) for name, rate in rates.items()},
        "node": None,
    }
    if seen.counted is not None:
        found["node"] = {
            "requests_in_progress": seen.counted.sum("voxledger_http_requests_in_progress"),
            "slots_taken": seen.counted.sum("voxledger_http_slots_taken"),
            "queue": dict(seen.counted.by("voxledger_queue_waiting", "engine")),
        }
    return found


def _shown(seen: Seen, rates: dict[str, float], node: Node) -> Group:
    status = seen.status
    rows = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    rows.add_column(style="dim", no_wrap=True)
    rows.add_column(overflow="fold")
    for name, cell in (
        ("clips", f"{status.clips:,}, {terminal.length(status.duration_us / 1e6)}, {terminal.size(status.bytes)}"),
        ("events", f"{seen.head:,}{_rate(rates, 'events')}"),
        *_of_the_node(seen, rates),
        ("uploads", _uploads(status, rates)),
        *((f"for {each.name}", f"{each.waiting:,} wait") for each in status.subscriptions if each.waiting),
        ("disk", f"{terminal.size(status.free_disk)} free"),
        *((("as of", f"{format_span(round(seen.age))} ago, but for rates and queues"),) if seen.age >= _OLD else ()),
    ):
        rows.add_row(name, terminal.text(cell))
    where = f"the node answers at {node.url}" if seen.counted is not None else (
        "a node serves, without an HTTP API" if node.serves and not node.url else
        f"the node at {node.url} does not answer" if node.serves else "nobody serves this HOME"
    )  # fmt: skip
    title = Text(str(status.home), style="bold")
    parts: list[Any] = [
        Panel(rows, title=title, subtitle=Text(where), title_align="left", border_style="dim", expand=False)
    ]
    for said in _errors(status):
        line = terminal.text(said)
        line.stylize("yellow")
        parts.append(line)
    parts.append(Text("q ends", style="dim"))
    return Group(*parts)


def _of_the_node(seen: Seen, rates: dict[str, float]) -> Iterator[tuple[str, str]]:
    counted = seen.counted
    if counted is None:
        return
    slots = (
        f"{counted.sum('voxledger_http_slots_taken'):,.0f} of {counted.sum('voxledger_http_slots'):,.0f} slots taken"
    )
    yield "requests", f"{slots}{_rate(rates, 'requests')}"
    made = [f"{rates[name]:,.1f}/s {name}" for name in ("completed", "reused", "failed") if rates.get(name)]
    yield "speech", ", ".join(made) or "none"
    for engine, waiting in counted.by("voxledger_queue_waiting", "engine"):
        free = counted.sum("voxledger_engine_turns_free", engine=engine)
        yield f"engine {engine}", f"{waiting:,.0f} wait, {terminal.count(round(free), 'turn')} free"
    if rates.get("delivered"):
        yield "Mixpanel", f"{rates['delivered']:,.1f} events/s"


def _uploads(status: Status, rates: dict[str, float]) -> str:
    waiting = sum(task.count for task in status.tasks if task.kind == "upload" and task.state != "parked")
    parked = sum(task.count for task in status.tasks if task.kind == "upload" and task.state == "parked")
    running = sum(each.progress.running for each in status.uploading)
    speed = sum(each.progress.rate for each in status.uploading)
    said = f"{running} under way at {terminal.size(speed)}/s, {waiting:,} left{_rate(rates, 'uploaded')}"
    return f"{said}, {parked:,} parked" if parked else said


def _rate(rates: dict[str, float], name: str) -> str:
    return f", {rates[name]:,.1f}/s" if name in rates else ""


def _errors(status: Status) -> list[str]:
    """What is wrong, as far as anybody says it."""
    found = [f"store: {each.progress.trouble}" for each in status.uploading if each.progress.trouble]
    found += [f"{task.kind}: {task.error}" for task in status.tasks if task.error]
    found += [f"{each.name}: {each.note}" for each in status.subscriptions if each.waiting and each.note]
    if status.free_disk < status.min_free_disk:
        found.append(f"disk: less than {terminal.size(status.min_free_disk)} free, nothing is generated")
    if status.retention is not None and status.retention.stopped:
        found.append(f"retention: {status.retention.stopped.said}")
    if status.reports:
        since = format_span(max(0, round(time.time() - status.reports[0].since)))
        found.append(f"reports: {terminal.count(len(status.reports), 'week')} due, since {since}")
    return list(dict.fromkeys(found))[:_ERRORS]
