"""Choices: which values there are to filter by, and how many clips that fit the other filters have each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog.queries import load
from voxledger.dashboards.api.answering import asked
from voxledger.dashboards.pages.kept import Kept
from voxledger.dashboards.pages.library.wanted import NAMES, Name, Wanted, sees

if TYPE_CHECKING:
    from voxledger.catalog.log.reading import Reading
    from voxledger.dashboards.server.callers import Caller
    from voxledger.dashboards.server.site import Site

MOST = 20
"""Values of a field that are offered; of more, one looks for a part of the name."""
SQL = load("library.sql", "voxledger.dashboards.pages.library")


class Choice(NamedTuple):
    """A value, None for none, and how many clips have it; None where that is not known."""

    value: str | None
    clips: int | None


class Counted(NamedTuple):
    """How many clips there are, and how long they are together (µs)."""

    clips: int
    audio_us: int


class Choices:
    """Counts of the library. They are dear in a large one, so they are kept, and renewed beside whoever asks."""

    def __init__(self, site: Site) -> None:
        self._counts: Kept[Counted] = Kept(3.0, oldest=60.0, gone=site.gone.place)
        self._values: Kept[Sequence[Choice]] = Kept(15.0, gone=site.gone.place)

    def counted(self, wanted: Wanted, caller: Caller, zone: str) -> Counted:
        """The same as of now."""
        return _count(caller, _conditions(wanted, caller, zone), fresh=True)

    def count(self, wanted: Wanted, caller: Caller, zone: str) -> Counted:
        """How many fit; of words, all that the filters leave."""
        conditions = _conditions(wanted, caller, zone)
        return self._counts.get(conditions, lambda: _count(caller, conditions))

    def of(self, name: Name, wanted: Wanted, caller: Caller, zone: str, find: str = "") -> Sequence[Choice]:
        """The values of a field, counted among what the other filters leave."""
        conditions = _conditions(wanted, caller, zone, but=name)
        return self._values.get((name, conditions, find), lambda: _values(caller, name, conditions, find))

    def known(self, caller: Caller, zone: str) -> dict[Name, Sequence[Choice]]:
        """The values of all fields, as far as they are known already; the others are asked for beside whoever asks."""
        conditions = _conditions(Wanted(), caller, zone)
        found: dict[Name, Sequence[Choice]] = {}
        for name in NAMES:
            known = self._values.known(
                (name, conditions, ""),
                lambda name=name: _values(caller, name, conditions, ""),  # type: ignore[misc]
            )
            found[name] = () if known is None else known
        return found


def _conditions(wanted: Wanted, caller: Caller, zone: str, but: Name | None = None) -> str:
    return " AND ".join(filter(None, ("true", sees(caller), wanted.condition(zone, but=but))))


def _count(caller: Caller, conditions: str, *, fresh: bool = False) -> Counted:
    with asked(caller, fresh=fresh) as reading:
        return Counted(*reading.tuples(SQL["count"].format(conditions=conditions))[0])


def _values(caller: Caller, name: Name, conditions: str, find: str) -> Sequence[Choice]:
    with asked(caller, fresh=False) as reading:
        return _found(reading, name, conditions, find)


def _found(reading: Reading, name: Name, conditions: str, find: str) -> Sequence[Choice]:
    value = "unnest(tags)" if name == "tag" else name
    given = {"most": MOST, **({"find": find} if find else {})}
    query = SQL["choices_with" if find else "choices"].format(value=value, conditions=conditions)
    return [Choice(*row) for row in reading.tuples(query, given)]
