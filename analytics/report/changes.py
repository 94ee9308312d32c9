"""Changes: what a later revision of a week's report says differently, number by number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from voxledger.analytics.report.weekly import WeeklyReport

Number: TypeAlias = float | None
OWN = "(none)"
"""What has no name: the engine's own voice, what reached no device."""
_OF_THE_MOMENT = frozenset({
    "quality", "provenance", "retention", "samples", "definitions", "history_weeks", "revision", "revises", "changes", "moves",
    # What became of the week's clips since.
    "funnel",
    # Of the storage: what lies there when the report is made.
    "stored_clips", "stored_bytes", "waiting_clips", "waiting_bytes", "waiting_since", "refused_clips",
})  # fmt: skip
"""Parts that differ whenever a report is made: they tell of that moment and not of the week."""
_OF_OTHER_WEEKS = frozenset({
    "previous", "change", "history", "evidence", "cohorts", "forecast", "unused", "unused_groups",
})  # fmt: skip
"""Parts that rest on the weeks before."""
_KEYS: Mapping[str, tuple[str, ...]] = {
    "headlines": ("metric",),
    "days": ("date",),
    "emotions": ("emotion",),
    "users": ("actor_id",),
    "features": ("feature",),
    "languages": ("name",),
    "voices": ("name",),
    "models": ("name",),
    "channels": ("name",),
    "engines": ("engine", "device"),
    "failures": ("failure", "stage"),
    "loudness": ("lufs",),
    "storage": ("part",),
}
"""By section, the fields that say which row a row is."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One number that another revision gave differently; None where it was not there.

    `section` is a part of the report such as `headlines`, `row` says which line of it (a metric, an emotion, an opaque id), empty
    where there is one only, and `field` which number of the line.
    """

    section: str
    row: str
    field: str
    before: Number
    after: Number


def changes(old: WeeklyReport | None, new: WeeklyReport) -> Sequence[Change]:
    """What `new` says differently about the week, in the order of the report; nothing where no older one is known.

    Numbers of other weeks, and those of the moment at which a report was made, are not compared.
    """
    if old is None:
        return ()
    before, after = _numbers(old), _numbers(new)
    places = [*after, *(place for place in before if place not in after)]
    return tuple(
        Change(section=section, row=row, field=field, before=before.get(place), after=after.get(place))
        for place in places
        for section, row, field in [place]
        if before.get(place) != after.get(place)
    )


def _numbers(report: WeeklyReport) -> dict[tuple[str, str, str], Number]:
    content: Mapping[str, Any] = msgspec.to_builtins(report)
    return {
        (section, row, field): number
        for section, part in content.items()
        if section not in _OF_THE_MOMENT
        for row, field, number in _of(part, "", "", _KEYS.get(section, ()))
    }


def _of(part: Any, row: str, field: str, keys: Sequence[str]) -> Iterator[tuple[str, str, Number]]:
    """The numbers of a part: a list of rows that name themselves by `keys`, an inner part, a vector, or one number."""
    if isinstance(part, Mapping):
        for name, inner in part.items():
            if name not in _OF_THE_MOMENT | _OF_OTHER_WEEKS and name not in keys and not name.endswith("_before"):
                yield from _of(inner, row, f"{field}.{name}".strip("."), keys)
    elif isinstance(part, Sequence) and not isinstance(part, str):
        for place, inner in enumerate(part):
            if isinstance(inner, Mapping):
                names = [str(inner[key] or OWN) for key in keys if key in inner]
                # Which of the two ends of a ranking a group is at, and at which place, is no number.
                yield from _of(
                    inner, " ".join(names), field.removesuffix("top").removesuffix("bottom").strip("."), keys
                )
            else:
                yield from _of(inner, row, f"{field}[{place}]", keys)
    elif isinstance(part, int | float) and not isinstance(part, bool):
        yield row, field, part
