"""Compiling: how settings become a policy, with everything that is wrong with them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from voxledger.catalog import settings
from voxledger.catalog.errors import ExpressionError, PolicyError
from voxledger.catalog.retention.policy.columns import columns
from voxledger.catalog.retention.policy.expressions import Expression, boolean, numeric, ordering
from voxledger.catalog.retention.policy.policy import EVERY_CLIP, WITHDRAWN, Budget, KeepRule, Newest, Policy, Rule
from voxledger.catalog.retention.policy.window import Window
from voxledger.catalog.retention.schedule import Nightly
from voxledger.catalog.settings import format_span

LONGEST = 100 * 365 * 86400.0
"""Longest span of a policy, in seconds: a hundred years, so that no date leaves the calendar."""
MOST = 60
"""Most rules of one kind: those that match a clip are remembered in the bits of one number."""
VALUE: Final = "(1 + plays + reuses) * coalesce(rating, 3) * pow(0.5, (epoch(:now) - epoch(last_used)) / 2592000) / greatest(bytes, 1)"
"""What a clip is worth to a budget that does not say: uses and rating, halved with every 30 days without a use, for each byte."""
EVERY: Final = "all"
"""How `match` says every clip."""
_SEASONS: Final = (date(2026, 1, 15), date(2026, 7, 15))
"""A day in winter and one in summer, between which clocks may be set."""
_SUGAR = ("tag", "actor", "session", "emotion", "bucket")
_T = TypeVar("_T")


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong with a policy. `place` leads to the value in the section, `offset` to a place in its text."""

    message: str
    place: tuple[str | int, ...]
    offset: int | None = None


def compiled(
    section: settings.Retention, zone: str = "UTC", prices: settings.Prices | None = None
) -> tuple[Policy | None, list[Problem]]:
    """The policy, None where it is wrong, and everything that is wrong with it. Without prices it counts with the defaults."""
    prices = prices or settings.Prices()
    problems = list(_names(section))
    problems += _spans(section)

    def each(kind: str, parts: Sequence[_T], make: Callable[[_T, int], object]) -> list[object]:
        made: list[object] = []
        for number, part in enumerate(parts):
            try:
                made.append(make(part, number))
            except _Wrong as error:
                problems.append(Problem(message=str(error), place=(kind, number, error.field), offset=error.offset))
        if len(parts) > MOST:
            problems.append(
                Problem(message=f"there are {len(parts)} of retention.{kind}, more than {MOST}", place=(kind, MOST))
            )
        return made

    price = round(prices.gb_month * 1e6)
    rules = each("rules", section.rules, _rule)
    keep = each("keep", section.keep, _keep)
    budgets = each("budgets", section.budgets, lambda part, number: _budget(part, number, price))
    window = None
    try:
        window = Window.parse(section.purge_window, ZoneInfo(zone)) if section.purge_window else None
    except ValueError as error:
        problems.append(Problem(message=f"retention.purge_window: {error}", place=("purge_window",)))
    try:
        nightly = Nightly.parse(section.schedule, zone)
    except PolicyError as error:
        problems.append(Problem(message=str(error), place=("schedule",)))
    else:
        if nightly and window and not any(window.is_open(nightly.at(night)) for night in _SEASONS):
            message = (
                f"retention.schedule = {section.schedule!r} lies outside of retention.purge_window ({window}): nothing would ever"
                " be purged; change one of them"
            )
            problems.append(Problem(message=message, place=("schedule",)))
    if problems:
        return None, problems
    return Policy(
        rules=msgspec.convert(rules, tuple[Rule, ...], from_attributes=True),
        keep=msgspec.convert(keep, tuple[KeepRule, ...], from_attributes=True),
        budgets=msgspec.convert(budgets, tuple[Budget, ...], from_attributes=True),
        grace=timedelta(seconds=section.grace),
        minimum_age=timedelta(seconds=section.minimum_age),
        withdrawn=section.withdrawn,
        window=window,
        max_clips=section.max_clips,
        max_bytes=section.max_bytes,
        max_percent=section.max_percent,
        max_lag=timedelta(seconds=section.max_lag),
        price_micro=price,
        currency=prices.currency,
        text=msgspec.json.encode(section).decode(),
    ), []


class _Wrong(PolicyError):
    """One field of a rule is wrong."""

    def __init__(self, message: str, field: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.field = field
        self.offset = offset


def _names(section: settings.Retention) -> Iterable[Problem]:
    named: list[tuple[str, int, str]] = [("rules", number, rule.name) for number, rule in enumerate(section.rules)]
    named += [("keep", number, rule.name) for number, rule in enumerate(section.keep)]
    named += [("budgets", number, budget_name(budget, number)) for number, budget in enumerate(section.budgets)]
    times = Counter(name for _, _, name in named)
    seen: set[str] = set()
    for kind, number, name in named:
        what = {"rules": "retention rule", "keep": "keep rule", "budgets": "budget"}[kind]
        if not name.strip():
            message = f"{what} number {number + 1} has no name; give it one, reports and events use it"
        elif name == WITHDRAWN:
            message = f"{what} number {number + 1} is called {name!r}, which is what marks after a withdrawn consent are called"
        elif name in seen:
            message = f"{times[name]} retention rules are called {name!r}; give each a name of its own"
        else:
            seen.add(name)
            continue
        yield Problem(message=message, place=(kind, number, "name"))


def _spans(section: settings.Retention) -> Iterable[Problem]:
    spans: list[tuple[tuple[str | int, ...], str, float]] = [
        (("grace",), "retention.grace", section.grace),
        (("minimum_age",), "retention.minimum_age", section.minimum_age),
        (("max_lag",), "retention.max_lag", section.max_lag),
    ]
    spans += [
        (("rules", number, "keep_for"), f"keep_for of retention rule {rule.name!r}", rule.keep_for)
        for number, rule in enumerate(section.rules)
    ]
    spans += [
        (("keep", number, "played_within"), f"played_within of keep rule {rule.name!r}", rule.played_within)
        for number, rule in enumerate(section.keep)
    ]
    for place, what, seconds in spans:
        if not math.isfinite(seconds) or not 0 <= seconds <= LONGEST:
            yield Problem(message=f"{what} = {seconds:g} s is not between 0 s and 100 years", place=place)


def _rule(rule: settings.ExpireRule, _number: int) -> Rule:
    what = f"retention rule {rule.name!r}"
    condition = _condition(what, rule, [])
    if condition is None:
        raise _Wrong(
            f'{what} has no condition and would match every clip; if that is meant, write match = "all"', "name"
        )
    return Rule(
        name=rule.name, words=_scope_words(rule), condition=condition,
        keep_for=_span(rule.keep_for), allow_unseen=rule.allow_unseen,
    )  # fmt: skip


def _keep(rule: settings.KeepRule, _number: int) -> KeepRule:
    what = f"keep rule {rule.name!r}"
    more, words = [], []
    if rule.rated:
        more.append(f"rating >= {rule.rated}")
        words.append(f"rated {rule.rated} or better")
    if rule.consent_scope:
        more.append(f"consent_scope = {_literal(rule.consent_scope)}")
        words.append(f"consent scope {rule.consent_scope}")
    if rule.played_within:
        more.append(
            f"plays + reuses > 0 AND last_used > :now - to_seconds({_span(rule.played_within).total_seconds()!r})"
        )
        words.append(f"used within {format_span(rule.played_within)}")
    ranks = []
    if rule.newest:
        ranks.append(Newest(n=rule.newest.n, per=_per(what, "newest", rule.newest.per)))
    if rule.best:
        by = _checked(what, "best", rule.best.by, ordering)
        ranks.append(Newest(n=rule.best.n, per=_per(what, "best", rule.best.per), by=by))
    condition = _condition(what, rule, more)
    bare = condition is None and not ranks  # that deletes nothing: it is only pointed out
    said = [
        *([_scope_words(rule)] if _sugar(rule) or rule.match or bare else []),
        *words,
        *(rank.title for rank in ranks),
    ]
    return KeepRule(
        name=rule.name, words=", ".join(said), condition=condition or boolean("true"), ranks=tuple(ranks),
        allow_unseen=rule.allow_unseen, bare=bare,
    )  # fmt: skip


def _budget(budget: settings.Budget, number: int, price_micro: int) -> Budget:
    name = budget_name(budget, number)
    what = f"budget {name!r}"
    limit, in_money = budget.max_bytes, False
    if budget.max_cost:
        if not price_micro:
            raise _Wrong(f"{what} has max_cost, but prices.gb_month is 0", "max_cost")
        affordable = int(budget.max_cost * 1e6 * 1e9 / price_micro)
        in_money = not limit or affordable < limit
        limit = affordable if in_money else limit
    if not limit:
        raise _Wrong(f"{what} has no limit; give it max_bytes or max_cost", "name")
    return Budget(
        name=name,
        words=_scope_words(budget) + (f", for each {' and '.join(budget.per)}" if budget.per else ""),
        condition=_condition(what, budget, []) or boolean("true"),
        per=_per(what, "per", budget.per),
        max_bytes=limit,
        max_cost_micro=round(budget.max_cost * 1e6) if in_money else None,
        value=_checked(what, "value", budget.value or VALUE, numeric),
        allow_unseen=budget.allow_unseen,
    )


def budget_name(budget: settings.Budget, number: int) -> str:
    """What a budget is called that has no name of its own; nobody's name is made part of it."""
    return budget.name or budget.bucket or f"budget {number + 1}"


def _condition(
    what: str, scope: settings.ExpireRule | settings.KeepRule | settings.Budget, more: Sequence[str]
) -> Expression | None:
    """All that a scope asks for as one expression; None when it asks for nothing, `true` for every clip."""
    parts = [*_sugar(scope), *more]
    if scope.match.strip() == EVERY:
        if parts:
            raise _Wrong(f'{what} says match = "all", which leaves no room for other conditions', "match")
        return boolean("true")
    if scope.match:
        if not _checked(what, "match", scope.match, boolean).columns:
            raise _Wrong(
                f'{what}: {scope.match!r} names no column of clips; if every clip is meant, write match = "all"',
                "match",
            )
        parts.insert(0, f"({scope.match}\n)")
    return boolean(" AND ".join(parts)) if parts else None


def _sugar(scope: settings.ExpireRule | settings.KeepRule | settings.Budget) -> list[str]:
    found = []
    for name in _SUGAR:
        value = getattr(scope, name)
        if value:
            found.append(f"list_contains(tags, {_literal(value)})" if name == "tag" else f"{name} = {_literal(value)}")
    return found


def _scope_words(scope: settings.ExpireRule | settings.KeepRule | settings.Budget) -> str:
    """What a scope asks for, in words: `tag scratch, actor ann`, or `every clip`."""
    said = [f"{name} {getattr(scope, name)}" for name in _SUGAR if getattr(scope, name)]
    if scope.match and scope.match.strip() != EVERY:
        said.append(" ".join(scope.match.split()))
    return ", ".join(said) or EVERY_CLIP


def _per(what: str, field: str, names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in columns():
            where = field if field == "per" else f"{field}.per"
            raise _Wrong(f"{what}: {where} names {name!r}, which is no column of clips", field)
    return names


def _checked(what: str, field: str, text: str, check: Callable[[str], Expression]) -> Expression:
    try:
        return check(text)
    except ExpressionError as error:
        raise _Wrong(f"{what}: {error}", field, error.offset) from None


def _span(seconds: float) -> timedelta:
    """A span within bounds; one that is not was found to be a problem already."""
    return timedelta(seconds=min(max(seconds, 0.0), LONGEST) if math.isfinite(seconds) else 0.0)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
