"""Explaining: gathers what is known of one clip, lets the planner judge it, and tells both in sentences."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from voxledger.catalog.clip import Clip
from voxledger.catalog.errors import ClipNotFound
from voxledger.catalog.log import Keeper, Reading
from voxledger.catalog.queries import load
from voxledger.catalog.retention.explaining.life import Label, Row, told
from voxledger.catalog.retention.explaining.verdict import doubtful, rules, saving, verdict
from voxledger.catalog.retention.holds import Holds
from voxledger.catalog.retention.planning.planner import aware, one
from voxledger.catalog.retention.planning.wording import explained
from voxledger.catalog.retention.policy import Policy

_SQL = load("explaining.sql", "voxledger.catalog.retention.explaining")


class Matching(msgspec.Struct, frozen=True, kw_only=True):
    """A rule that matches a clip now. `keep_for` is in seconds, None for a keep rule; one of all `decides`, or none."""

    name: str
    condition: str
    keep_for: float | None
    decides: bool


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A pin or a hold on a clip. `hold` is None for a pin; owner and reason are None once erased."""

    hold: str | None
    kind: str
    owner: str | None
    reason: str | None
    until: datetime | None
    review: datetime | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One clip, explained; to be looped over for its sentences.

    `decision`, `cause` and `decides` are those of a plan made now; None once its audio is gone. `goes` is when it is
    deleted at the earliest if nothing happens to it. `unknown` says why nobody knows whether it was used lately, if so.
    """

    clip: str
    state: str
    decision: str | None
    cause: str | None
    decides: str | None
    goes: datetime | None
    rules: tuple[Matching, ...]
    keep: tuple[Matching, ...]
    held: tuple[Held, ...]
    unknown: str | None
    sentences: tuple[str, ...]

    def __iter__(self) -> Iterator[str]:
        """Its sentences."""
        return iter(self.sentences)

    def as_dict(self) -> dict[str, Any]:
        """What `--json` prints."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


def explain(
    keeper: Keeper,
    policy: Policy,
    holds: Holds,
    reference: str | Clip,
    now: datetime,
    doubt: Callable[[Reading, datetime], str | None],
) -> Explanation:
    """One clip, named by its id or the end of it; `doubt` says why nobody knows what was used lately, if so.

    Raises ClipNotFound for none, and for several.
    """
    present, label = aware(now), holds.label
    with keeper.reading() as reading:
        identity = _named(reading, reference)
        clip = reading.rows(_SQL["clip"], {"clip": identity, "now": present})[0]
        marks = reading.rows(_SQL["marks"], {"clip": identity})
        purges = reading.rows(_SQL["purges"], {"clip": identity})
        under = holds.of(reading, identity, present)
        unknown = doubt(reading, present)
        decided = one(reading, policy, present, identity, blind=unknown is not None)
    life = told(clip, under, marks, purges, label, policy, present)
    held = _held(clip, under, label)
    if decided.is_empty():
        return Explanation(
            clip=identity, state=clip["state"], decision=None, cause=None, decides=None, goes=None, rules=(), keep=(),
            held=held, unknown=None, sentences=(*life, _return(clip)),
        )  # fmt: skip
    row = explained(decided, policy, present).to_dicts()[0]
    cause, by = str(decided["cause"][0]), decided["by"][0]
    matched, protecting = int(decided["matched"][0]), int(decided["protecting"][0])
    fits = [rule for number, rule in enumerate(policy.rules) if matched >> number & 1]
    keeping = [rule for number, rule in enumerate(policy.keep) if protecting >> number & 1]
    idle = [rule for rule in policy.keep if rule not in keeping]
    return Explanation(
        clip=identity,
        state=clip["state"],
        decision=row["decision"],
        cause=cause,
        decides=by,
        goes=row["goes"],
        rules=tuple(
            Matching(
                name=rule.name, condition=rule.words, keep_for=rule.keep_for.total_seconds(),
                decides=cause in ("expired", "kept", "linked", "minimum age") and rule.name == by,
            )
            for rule in fits
        ),
        keep=tuple(
            Matching(name=rule.name, condition=rule.words, keep_for=None, decides=cause == "protected" and rule.name == by)
            for rule in keeping
        ),
        held=held,
        unknown=unknown,
        sentences=(
            *life, *rules(fits, keeping), *doubtful(unknown), *verdict(row, cause, policy, clip),
            *saving(row["decision"], cause, fits, idle),
        ),
    )  # fmt: skip


def _named(reading: Reading, reference: str | Clip) -> str:
    wanted = Clip.named(reference)
    ending = wanted.replace("-", "")
    if len(ending) == 32 and re.fullmatch(
        r"[0-9a-f]{32}", ending
    ):  # which is found by its id, and not by looking at all
        if not reading.tuples(_SQL["whole"], {"clip": str(UUID(ending))}):
            raise ClipNotFound(f"there is no clip {wanted!r}; `voxledger clips` lists the newest")
        return str(UUID(ending))
    if not re.fullmatch(r"[0-9a-f]{4,32}", ending):
        raise ClipNotFound(
            f"{wanted!r} is no clip id: give at least the last 4 hex digits of one (see `voxledger clips`)"
        )
    found = reading.tuples(_SQL["ending"], {"ending": ending})
    if len(found) > 1:
        raise ClipNotFound(f"more than one clip id ends in {wanted!r}; give more of its digits")
    if not found:
        raise ClipNotFound(f"there is no clip {wanted!r}; `voxledger clips` lists the newest")
    return str(found[0][0])


def _held(clip: Row, under: list[dict[str, Any]], label: Label) -> tuple[Held, ...]:
    """What keeps it at present: its pin, and its holds."""
    found = [
        Held(
            hold=hold["hold"], kind=hold["kind"], owner=hold["owner"], reason=hold["reason"], until=_utc(hold["until"]),
            review=_utc(hold["review"]),
        )
        for hold in under
        if hold["stands"]
    ]  # fmt: skip
    if clip["pinned"]:
        pin = Held(
            hold=None, kind="pin", owner=label(clip["pinned_by"]), reason=clip["pin_reason"],
            until=_utc(clip["pinned_until"]), review=None,
        )  # fmt: skip
        found.insert(0, pin)
    return tuple(found)


def _return(clip: Row) -> str:
    """How audio that is gone may come back."""
    if clip["key"] is None:
        return "Nothing brings it back: whoever it belonged to was erased."
    return (
        f"Where its bytes still are, `voxledger retention restore {clip['id'][-8:]}` brings it back; the same request makes a new"
        " clip."
    )


def _utc(when: datetime | None) -> datetime | None:
    return None if when is None else when.astimezone(UTC)
