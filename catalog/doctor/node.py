"""The node under examination: whether the process that serves this HOME answers, as which version, and who is let in for how long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
import urllib3

from voxledger.catalog.access.token import state_of
from voxledger.catalog.doctor.finding import Finding, State
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.journal.tokens import TokenTables
from voxledger.catalog.log import link

_PATIENCE = 5.0
_SOON = 14 * 86_400
"""Seconds before a token's end from which on it is said."""
_NAMED = 5


def node_findings(home: Home, journal: Journal) -> Iterator[Finding]:
    """The serving process, as other programs of this machine meet it, and the tokens. Raises nothing."""
    found = link.found(home)
    if found is None:
        yield _finding("node", "note", "nobody serves this HOME", "nothing runs by itself; `voxledger serve` does")
    elif not found.url:
        yield _finding("node", "ok", f"process {found.pid} does the jobs, without an HTTP API")
    else:
        yield from _answers(found.url, found.pid)
    yield from _tokens(journal)


def _answers(url: str, pid: int) -> Iterator[Finding]:
    with urllib3.PoolManager(timeout=_PATIENCE, retries=False) as http:
        try:
            told = _asked(http, f"{url}/healthz")[1]
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError):
            yield _finding(
                "node", "bad", f"process {pid} serves, but does not answer at {url}",
                "see its log; end it and start `voxledger serve` again: nothing acknowledged is lost",
            )  # fmt: skip
            return
        ours, theirs = version("voxledger"), str(told.get("version"))
        if ours == theirs:
            yield _finding("node", "ok", f"version {theirs} answers at {url}")
        else:
            follows = f"this command is of version {ours}; start the node again after an update"
            yield _finding("node", "warning", f"version {theirs} answers at {url}", follows)
        try:
            status, told = _asked(http, f"{url}/readyz")
        except (urllib3.exceptions.HTTPError, msgspec.DecodeError):
            status, told = 503, {"status": "does not say whether it is ready"}
    if status == 200:
        yield _finding("readiness", "ok", "it takes work")
        return
    reasons = [str(each.get("reason")) for each in told.get("reasons", ())]
    yield _finding("readiness", "bad", "; ".join(reasons) or str(told.get("status")), "requests are refused until then")


def _asked(http: urllib3.PoolManager, url: str) -> tuple[int, dict[str, Any]]:
    answer = http.request("GET", url)
    return answer.status, msgspec.json.decode(answer.data, type=dict[str, Any])


def _tokens(journal: Journal) -> Iterator[Finding]:
    now = time.time()
    valid = [row for row in TokenTables(journal).all() if state_of(row, now) == "valid"]
    ending = sorted((row.expires, row.id) for row in valid if row.expires and row.expires < 1e6 * (now + _SOON))
    if ending:
        named = ", ".join(
            f"{token} on {datetime.fromtimestamp(at / 1e6, UTC):%Y-%m-%d}" for at, token in ending[:_NAMED]
        )
        more = f" and {len(ending) - _NAMED:,} more" if len(ending) > _NAMED else ""
        found = f"{len(ending):,} of {len(valid):,} end within 14 days: {named}{more}"
        yield _finding("tokens", "warning", found, "`voxledger tokens create` makes another one in time")
    elif valid:
        yield _finding("tokens", "ok", f"{len(valid):,}, none ends within 14 days")


def _finding(name: str, state: State, found: str, follows: str = "") -> Finding:
    return Finding(area="node", name=name, state=state, found=found, follows=follows)
