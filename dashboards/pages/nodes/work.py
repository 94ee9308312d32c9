"""Work: what takes longer than a request: batches, operations, the doctor's look, and models that are brought here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from voxledger.dashboards.faults import Refused
from voxledger.dashboards.pages.words import later

if TYPE_CHECKING:
    from voxledger.catalog.progress import Counting
    from voxledger.dashboards.jobs import Job
    from voxledger.dashboards.operations import Kind, Operation
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site

KINDS: Mapping[str, str] = MappingProxyType({
    "apply": later("Applying a retention plan"),
    "undo": later("Undoing a retention plan"),
    "restore": later("Restoring clips"),
    "hold": later("Placing a hold"),
    "renew": later("Renewing a hold"),
    "release": later("Releasing a hold"),
    "backtest": later("Backtesting a policy"),
    "send": later("Sending a report"),
    "rerender": later("Rendering a clip again"),
    "examine": later("The doctor's look"),
    "deliver": later("Sending to Mixpanel again"),
    "pull": later("Bringing a model here"),
})  # fmt: skip
"""What each operation does, as the page says it."""
_JOBS, _OPERATIONS = 8, 6


def batches(site: Site, caller: Caller) -> Sequence[tuple[Job, float | None]]:
    """Those that go on, and the last ones that ended; with the seconds that they take yet."""
    if site.jobs is None:
        return ()
    found = site.jobs.all(caller.principal)
    going = [each for each in found if each[0].is_open]
    return [*going[:_JOBS], *[each for each in found if not each[0].is_open][: max(0, _JOBS - len(going))]]


def operations(site: Site) -> Sequence[Operation]:
    """The newest ones."""
    found = site.operations.all()
    going = [each for each in found if each.state == "running"]
    return [*going, *[each for each in found if each.state != "running"]][: max(_OPERATIONS, len(going))]


def last(site: Site, kind: Kind) -> Operation | None:
    """The newest operation of a kind."""
    return next((each for each in site.operations.all() if each.kind == kind), None)


def examine(caller: Caller) -> str:
    """Begin to look at everything, as `voxledger doctor` does. Raises Refused while that is being done."""
    from voxledger.catalog.doctor import examine as looked

    _once(caller.site, "examine")
    door, steps = caller.ledger, 0

    def work(progress: Counting) -> Mapping[str, Any]:
        def told(_: str) -> None:
            nonlocal steps
            steps += 1
            progress(steps, 0)

        found = looked(
            door.home, door.loaded, door.journal, door.store, retention=lambda: door.retention.status(), told=told
        )
        return {"healthy": found.healthy, "findings": msgspec.to_builtins(found.findings)}

    return caller.site.operations.begin("examine", work, by=caller.principal.name)


def deliver(caller: Caller, *, again: bool) -> str:
    """Begin to send what Mixpanel refused once more. Raises Refused while that is being done."""
    _once(caller.site, "deliver")
    door, stopping = caller.ledger, caller.site.stopping

    def work(_: Counting) -> Mapping[str, Any]:
        return asdict(door.mixpanel.retry(again=again, stop=stopping))

    return caller.site.operations.begin("deliver", work, by=caller.principal.name)


def pull(caller: Caller, reference: str) -> str:
    """Begin to bring a version of a model onto this machine. Raises Refused while one is being brought."""
    _once(caller.site, "pull")
    door = caller.ledger

    def work(progress: Counting) -> Mapping[str, Any]:
        def heard(_: str, done: int, total: int | None) -> None:
            progress(done, total or 0)

        done = door.models.pull(reference, progress=heard)
        return {"reference": reference, "files": done.fetched_files, "bytes": done.fetched_bytes}

    return caller.site.operations.begin("pull", work, by=caller.principal.name)


def _once(site: Site, kind: Kind) -> None:
    found = last(site, kind)
    if found is not None and found.state == "running":
        raise Refused(
            "this is being done already", status=409, code="busy", remedy="Wait for its end; the page follows it."
        )
