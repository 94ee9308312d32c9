"""Attention: what somebody should look at, worst first, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.overview.figures import SQL, seen
from voxledger.dashboards.pages.words import later
from voxledger.dashboards.schedule import noted

if TYPE_CHECKING:
    from voxledger.catalog.status import Status
    from voxledger.dashboards.server.callers import Caller

LATELY = timedelta(days=7)
"""How far back doubts and failures are looked for."""
_FEW = 3
_LOW = 1.5
"""Free disk below so many times the least that is allowed is said before it is too late."""
_DOUBTFUL = "/library?mark=doubtful&rating=0&within=7d"
_ASKED_WRONGLY = frozenset({
    "invalid_request", "invalid_text", "invalid_emotion", "unsupported_language", "unsupported_format", "unknown_voice", "unknown_engine",
    "unknown_preset", "not_supported", "voice_withdrawn", "manifest",
})  # fmt: skip
"""Failures that another request mends; all others have to do with the node."""


class Matter(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at. `what` is English with `%(num)s` (`many` where the number is not 1), `values` fill it.

    `path` leads to the page where it is dealt with, `action` is what the link says; `command` is for where there is no page.
    """

    level: Literal["bad", "warn"]
    icon: str
    what: str
    many: str = ""
    number: int = 0
    detail: str = ""
    path: str = ""
    action: str = ""
    command: str = ""
    clips: tuple[dict[str, Any], ...] = ()


class Noticed(msgspec.Struct, frozen=True, kw_only=True):
    """What the catalog tells of the last days: doubted clips, the newest of them, and failures by class."""

    doubted: int
    clips: tuple[dict[str, Any], ...]
    failures: tuple[dict[str, Any], ...]


def noticed(caller: Caller) -> Noticed:
    """Of all that the caller sees. Raises QueryError."""
    whose, values = seen(caller)
    given = {**values, "since": datetime.now(UTC) - LATELY, "limit": _FEW}
    with asked(caller, fresh=False) as reading:
        doubted = reading.rows(SQL["doubted"].format(whose=whose), given)
        failures = reading.rows(SQL["failures"].format(whose=whose), given)
        ids = [row["clip"] for row in doubted]
        clips = {row["clip"]: row for row in reading.rows(SQL["clips"], {"ids": ids})} if ids else {}
    return Noticed(
        doubted=doubted[0]["clips"] if doubted else 0,
        clips=tuple(clips[clip] for clip in ids if clip in clips),
        failures=tuple(failures),
    )


def matters(caller: Caller, found: Noticed, status: Status | None) -> list[Matter]:
    """All of it. `status` is None for whoever may not see how the node stands."""
    told = [*_of_node(status), *_of_jobs(caller), *_of_retention(status)] if status else []
    told += _of_clips(caller, found)
    return sorted(told, key=lambda matter: matter.level != "bad")


def _of_clips(caller: Caller, found: Noticed) -> Iterator[Matter]:
    for row in found.failures:
        path, action = _way(caller, row["failure"])
        yield Matter(
            level="bad", icon="circle-alert", number=row["attempts"],
            what=later("%(num)s attempt failed: %(detail)s"), many=later("%(num)s attempts failed: %(detail)s"),
            detail=f"{row['failure']} ({row['engine']}). {row['remedy'] or ''}".strip(), path=path, action=action,
        )  # fmt: skip
    if found.doubted:
        yield Matter(
            level="warn", icon="audio-waveform", number=found.doubted,
            what=later("%(num)s clip of this week may sound wrong"), many=later("%(num)s clips of this week may sound wrong"),
            path=_DOUBTFUL, action=later("Listen to all"), clips=found.clips,
        )  # fmt: skip


def _way(caller: Caller, failure: str) -> tuple[str, str]:
    """The page where somebody deals with a failure, of those that they may see, and what leads there."""
    may = caller.principal.may
    if may("speak") and (failure in _ASKED_WRONGLY or not may("usage")):
        return "/studio", later("Open the studio")
    if failure in _ASKED_WRONGLY:
        return "/usage?metric=failure_rate", later("Show")
    return "/nodes#engines-title", later("Show")


def _of_node(status: Status) -> Iterator[Matter]:
    if status.elsewhere is not None and status.elsewhere.is_recent:
        yield Matter(
            level="bad", icon="server", what=later("Another HOME goes on as this node"), command="voxledger doctor"
        )
    if status.free_disk < _LOW * status.min_free_disk:
        full = status.free_disk < status.min_free_disk
        what = later("The disk is full: nothing is generated") if full else later("The disk is nearly full")
        yield Matter(level="bad" if full else "warn", icon="hard-drive", what=what, command="voxledger cache trim")
    if status.missing:
        yield Matter(
            level="bad", icon="cloud-upload", number=status.missing,
            what=later("%(num)s object is missing in the store"), many=later("%(num)s objects are missing in the store"),
            path="/library?state=missing", action=later("Show"), command="voxledger reconcile",
        )  # fmt: skip
    parked = [task for task in status.tasks if task.state == "parked"]
    if parked:
        yield Matter(
            level="bad", icon="cloud-upload", number=sum(task.count for task in parked),
            what=later("%(num)s task was given up: %(detail)s"), many=later("%(num)s tasks were given up: %(detail)s"),
            detail=parked[0].error or parked[0].kind, path="/nodes", action=later("Show"), command="voxledger status",
        )  # fmt: skip
    if status.quarantined:
        yield Matter(
            level="warn", icon="send", number=status.quarantined,
            what=later("%(num)s event was refused by Mixpanel"), many=later("%(num)s events were refused by Mixpanel"),
            path="/nodes#quarantine", action=later("Show"), command="voxledger mixpanel quarantine list",
        )  # fmt: skip
    if status.erasures:
        yield Matter(
            level="warn", icon="trash-2", number=status.erasures,
            what=later("%(num)s erasure waits"), many=later("%(num)s erasures wait"), command="voxledger erasures",
        )  # fmt: skip


def _of_jobs(caller: Caller) -> Iterator[Matter]:
    """Jobs of the node that have failed several times on end."""
    found = noted(caller.ledger.home)
    for name in sorted(found.runs if found else ()):
        said = caller.site.trouble(name)
        if said:
            yield Matter(
                level="bad", icon="clock", what=later("The job %(detail)s"), detail=f"{name}: {said}", path="/nodes",
                action=later("Show"), command="voxledger schedule",
            )  # fmt: skip


def _of_retention(status: Status) -> Iterator[Matter]:
    standing = status.retention
    if standing is None:
        yield Matter(
            level="bad", icon="hourglass", what=later("The retention policy contradicts itself"), path="/retention",
            action=later("Check"), command="voxledger retention check",
        )  # fmt: skip
        return
    if standing.stopped is not None:
        yield Matter(
            level="bad", icon="hourglass", what=later("The nightly run is stopped: %(detail)s"), detail=standing.stopped.said,
            path="/retention", action=later("Show"), command="voxledger status",
        )  # fmt: skip
    if standing.overdue_holds:
        yield Matter(
            level="warn", icon="scale", number=standing.overdue_holds,
            what=later("%(num)s legal hold is due for review"), many=later("%(num)s legal holds are due for review"),
            path="/retention#holds", action=later("Review"), command="voxledger retention holds",
        )  # fmt: skip
