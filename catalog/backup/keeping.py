"""Keeping: which backups of a node stay, and why. Pure: it knows neither bucket nor clock.

As restic's `forget` does it: each rule walks from the newest backup to the oldest and keeps the newest of each day, week or
month that has one, until it has kept as many as it is asked for. Days without a backup do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How many are kept by which rule."""

    last: int
    daily: int
    weekly: int
    monthly: int

    @property
    def keep_nothing(self) -> bool:
        """Whether no rule keeps anything."""
        return not (self.last or self.daily or self.weekly or self.monthly)


class Candidate(NamedTuple):
    """A backup that is judged."""

    id: str
    node: str
    created: datetime


class Decision(NamedTuple):
    """What becomes of a backup: it stays for these `reasons`, or goes when there are none."""

    backup: Candidate
    reasons: tuple[str, ...]

    @property
    def keep(self) -> bool:
        """Whether it stays."""
        return bool(self.reasons)


def decide(backups: Iterable[Candidate], rules: Rules, zone: ZoneInfo) -> list[Decision]:
    """Judge the backups of each node by themselves; newest first. A node's newest backup always stays."""
    by_node: dict[str, list[Candidate]] = {}
    for backup in backups:
        by_node.setdefault(backup.node, []).append(backup)
    found = [decision for each in by_node.values() for decision in _of_one_node(each, rules, zone)]
    return sorted(found, key=lambda decision: (decision.backup.created, decision.backup.id), reverse=True)


def _of_one_node(backups: Sequence[Candidate], rules: Rules, zone: ZoneInfo) -> list[Decision]:
    newest_first = sorted(backups, key=lambda backup: (backup.created, backup.id), reverse=True)
    reasons: dict[str, list[str]] = {backup.id: [] for backup in newest_first}
    for word, most, period in (
        ("last", rules.last, lambda when: when.isoformat()),
        ("day", rules.daily, lambda when: f"{when:%Y-%m-%d}"),
        ("week", rules.weekly, lambda when: f"{when:%G-W%V}"),
        ("month", rules.monthly, lambda when: f"{when:%Y-%m}"),
    ):
        _apply(word, most, period, newest_first, zone, reasons)
    if not reasons[newest_first[0].id]:
        reasons[newest_first[0].id].append("the newest")
    return [Decision(backup, tuple(reasons[backup.id])) for backup in newest_first]


def _apply(
    word: str,
    most: int,
    period: Callable[[datetime], str],
    newest_first: Sequence[Candidate],
    zone: ZoneInfo,
    reasons: dict[str, list[str]],
) -> None:
    kept, before = 0, None
    for backup in newest_first:
        if kept >= most:
            return
        this = period(backup.created.astimezone(zone))
        if word == "last" or this != before:
            kept, before = kept + 1, this
            reasons[backup.id].append(f"{kept} of the last {most}" if word == "last" else f"{word} {this}")
