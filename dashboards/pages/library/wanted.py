"""Wanted: what somebody wants to see of the library, as its address says it, and the condition that it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from voxledger.catalog.query.moment import read_moment
from voxledger.dashboards.api.conditions import LONGEST
from voxledger.dashboards.api.shapes import State
from voxledger.dashboards.faults import Refused

if TYPE_CHECKING:
    from voxledger.dashboards.server.callers import Caller

NONE = "-"
"""What the address says for clips without a value: without a session, with the engine's own voice."""
MOST = 20
"""Values of one field that may be asked for together."""
Name = Literal["emotion", "voice", "actor", "session", "language", "engine", "tag", "state"]
"""The fields that have many values, of which several may be asked for."""
NAMES: tuple[Name, ...] = get_args(Name)
STATES: tuple[State, ...] = get_args(State)
Order = Literal[
    "-created", "created", "-duration", "duration", "name", "-rating", "-plays", "-last_used", "-bytes", "loudness"
]
GONE = ("purging", "purged")
_ASIDE = frozenset({"cursor", "view", "order"})
"""What does not say which clips."""


def _given(value: Any) -> Any:
    """A form sends fields that nobody filled in, too."""
    if isinstance(value, (list, tuple)):
        cleaned = (each for each in value if not isinstance(each, str) or (each and each.isprintable()))
        return list(dict.fromkeys(cleaned))[:MOST]
    return None if isinstance(value, str) and not value.strip() else value


_Values = Annotated[list[Annotated[str, Field(max_length=500)]], BeforeValidator(_given)]
_Seconds = Annotated[Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] | None, BeforeValidator(_given)]
_Moment = Annotated[Annotated[str, Field(max_length=100)] | None, BeforeValidator(_given)]
_Words = Annotated[Annotated[str, Field(max_length=2000)] | None, BeforeValidator(_given)]


class Wanted(BaseModel):
    """The address of a view, read. Unknown names in it are passed over: links grow old."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    q: _Words = None
    emotion: _Values = []
    voice: _Values = []
    actor: _Values = []
    session: _Values = []
    language: _Values = []
    engine: _Values = []
    tag: _Values = []
    state: Annotated[list[State], BeforeValidator(_given)] = []
    rating: Annotated[Annotated[int, Field(ge=0, le=5)] | None, BeforeValidator(_given)] = None
    """At least so many stars; 0: not rated."""
    mark: Annotated[list[Literal["pinned", "doubtful"]], BeforeValidator(_given)] = []
    within: _Moment = None
    """Not older than this: `7d`."""
    since: _Moment = None
    until: _Moment = None
    shortest: _Seconds = None
    longest: _Seconds = None
    order: Annotated[Order | None, BeforeValidator(_given)] = None
    view: Annotated[Literal["rows", "grid"] | None, BeforeValidator(_given)] = None
    cursor: _Words = None

    def __getitem__(self, name: Name) -> Sequence[str]:
        """The values of a field that has many."""
        values: Sequence[str] = getattr(self, name)
        return values

    @property
    def by(self) -> str | None:
        """The order of the list; None where words are looked for: the best first."""
        if self.q is not None:
            return "-created" if self.order == "-created" else None
        return self.order or "-created"

    @property
    def filters(self) -> dict[str, Any]:
        """What limits the list, but for the words."""
        return {
            name: value
            for name in type(self).model_fields
            if name not in _ASIDE and name != "q" and (value := getattr(self, name)) not in (None, [])
        }

    def address(self, **changes: Any) -> str:
        """The address of this view with some of it changed; None leaves out. The next page is none of it, unless it is given."""
        told = {"cursor": None, **changes}
        pairs: list[tuple[str, str]] = []
        for name in type(self).model_fields:
            value = told.get(name, getattr(self, name))
            if name == "order" and value == "-created" and self.q is None:
                continue  # what it is anyway
            for each in value if isinstance(value, (list, tuple)) else () if value is None else (value,):
                pairs.append((name, f"{each:g}" if isinstance(each, float) else str(each)))
        return f"/library?{urlencode(pairs)}" if pairs else "/library"

    def bare(self) -> str:
        """The address of this view without its filters; words and order stay."""
        return self.address(**dict.fromkeys(self.filters))

    def condition(self, zone: str, *, but: Name | None = None) -> str:
        """The filters as SQL over `clips`, without those of one field; days are those of a zone. Raises QueryError for what is no
        moment, and Refused for too much at once.
        """
        text = " AND ".join(_conditions(self, zone, but))
        if len(text) > LONGEST:
            raise Refused(
                "too many filters at once",
                status=400,
                code="query",
                remedy="Take some of them off.",
            )
        return text

    def indexed(self) -> Mapping[str, str]:
        """The filters that the index of words knows: it needs to find less."""
        alone = {name: getattr(self, name) for name in ("emotion", "language", "actor", "voice")}
        return {name: values[0] for name, values in alone.items() if len(values) == 1 and values[0] != NONE}


def sees(caller: Caller) -> str | None:
    """The condition that a caller's scope is, if it is one."""
    own = caller.principal.sees
    return None if own is None else f"actor = {quoted(own)}"


def quoted(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def _conditions(wanted: Wanted, zone: str, but: Name | None) -> Iterator[str]:
    for name in NAMES:
        values: Sequence[str] = getattr(wanted, name)
        if values and name != but:
            yield _among(name, values)
    if not wanted.state and but != "state":
        # Not NOT IN: what is deleted is known by two columns, which are read faster than the state is put together.
        yield "purge_started IS NULL AND purged IS NULL"
    if wanted.rating is not None:
        yield f"rating >= {wanted.rating}" if wanted.rating else "rating IS NULL"
    if "pinned" in wanted.mark:
        yield "pinned"
    if "doubtful" in wanted.mark:
        yield "len(suspect) > 0"
    now = datetime.now(UTC)
    for option, text, edge, sign in (
        ("within", wanted.within, "start", ">="),
        ("since", wanted.since, "start", ">="),
        ("until", wanted.until, "end", "<="),
    ):
        if text is not None:
            moment = read_moment(text, zone=ZoneInfo(zone), now=now, day=edge, option=option)  # type: ignore[arg-type]  # edges
            if option == "within":
                moment = moment.replace(
                    second=0, microsecond=0
                )  # so that the same question is the same words for a while
            yield f"created {sign} TIMESTAMPTZ '{moment:%Y-%m-%d %H:%M:%S.%f}+00'"
    if wanted.shortest is not None:
        yield f"duration_us >= {round(wanted.shortest * 1e6)}"
    if wanted.longest is not None:
        yield f"duration_us < {round(wanted.longest * 1e6)}"


def _among(name: Name, values: Sequence[str]) -> str:
    told = [value for value in values if value != NONE]
    if name == "tag":
        # Each of them: several tags are looked for to narrow a search down.
        return " AND ".join(f"list_contains(tags, {quoted(tag)})" for tag in values)
    listed = ", ".join(map(quoted, told))
    parts = [f"{name} IN ({listed})"] if told else []
    if name == "language":
        parts += [f"starts_with(language, {quoted(f'{tag}-')})" for tag in told if "-" not in tag]
    if len(told) < len(values):
        parts.append(f"{name} IS NULL")
    return parts[0] if len(parts) == 1 else f"({' OR '.join(parts)})"
