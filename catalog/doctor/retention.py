"""Retention under examination: its nightly run, and holds that wait for somebody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from voxledger.catalog.doctor.finding import Finding, State
from voxledger.catalog.errors import VoxledgerError

if TYPE_CHECKING:
    from voxledger.catalog.retention.nights import Standing


def retention_findings(standing: Callable[[], Standing]) -> Iterator[Finding]:
    """What its state says; where the catalog or the policy cannot be read, that is what is found."""
    try:
        found = standing()
    except VoxledgerError as error:
        yield _finding("retention", "bad", str(error), "`voxledger retention check` says what is wrong with the policy")
        return
    if found.stopped:
        yield _finding(
            "nightly run",
            "warning",
            f"that of {found.stopped.run} waits since {found.stopped.since:%Y-%m-%d %H:%M} UTC ({found.stopped.cause})",
            "`voxledger status` says why; it goes on by itself once that is over",
        )
    elif found.schedule:
        yield _finding("nightly run", "ok", f"at {found.schedule}, last {found.last_run or 'not yet'}")
    if found.overdue_holds:
        holds = "1 legal hold" if found.overdue_holds == 1 else f"{found.overdue_holds:,} legal holds"
        yield _finding(
            "legal holds",
            "warning",
            f"{holds} should have been looked at again by now",
            "`voxledger retention holds --due` lists them; renew or release them",
        )


def _finding(name: str, state: State, found: str, follows: str = "") -> Finding:
    return Finding(area="home", name=name, state=state, found=found, follows=follows)
