"""Trying: what another text of the policy would do. It may cost the node neither its memory nor its time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from voxledger.catalog import settings
from voxledger.catalog.errors import QueryError, SettingsError
from voxledger.catalog.retention.policy.compiling import Problem
from voxledger.dashboards.api.answering import limited
from voxledger.dashboards.api.conditions import check_policy

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan, Policy
    from voxledger.catalog.retention.policy.checking import Finding
    from voxledger.dashboards.plans import View
    from voxledger.dashboards.server.callers import Caller

LONGEST = 20_000
"""Characters of a policy that is tried."""
SECONDS = 20.0
"""How long its plan may ask the catalog."""


class Found(NamedTuple):
    """Something wrong or doubtful, and the line of the text that is shown where it stands."""

    level: str
    message: str
    line: int | None
    column: int | None


class _Expression(NamedTuple):
    text: str
    place: tuple[str | int, ...]


def tried(caller: Caller, text: str, base: settings.Retention) -> tuple[Policy | None, list[Found], View | None]:
    """The policy that a text on top of `base` says, what is wrong with it, and its plan. Raises Refused for one that takes too long."""
    retention = caller.ledger.retention
    policy: Policy | None = None
    findings: Sequence[Finding] = ()

    with tempfile.TemporaryDirectory(prefix="voxledger-policy-") as folder:
        file = Path(folder) / "policy.toml"
        file.write_text(text, encoding="utf-8")

        def make() -> Plan | None:
            nonlocal policy, findings
            policy, findings, plan = retention.tried(
                file,
                base,
                objections=lambda section: _objections(section, caller.site.settings.retention),
                limit=lambda reading: limited(reading, SECONDS),
            )
            return plan

        try:
            view = caller.site.plans.tried(make)
        except SettingsError as error:
            return None, [Found("error", _without(str(error), file), None, None)], None
    found = [Found(each.level, _without(each.message, file), each.line, each.column) for each in findings]
    return policy, found, view


def _objections(section: settings.Retention, present: settings.Retention) -> Sequence[Problem]:
    """What only the owner may have evaluated, by writing it into the settings: what stands there already may be tried by everybody."""
    written = {each.text for each in _expressions(present)}
    found = []
    for each in _expressions(section):
        try:
            if each.text not in written:
                check_policy(each.text)
        except QueryError as error:
            found.append(Problem(message=str(error), place=each.place))
    return found


def _expressions(section: settings.Retention) -> Iterator[_Expression]:
    """Everything in a section that DuckDB evaluates."""
    for kind in ("rules", "keep", "budgets"):
        for number, scope in enumerate(getattr(section, kind)):
            if scope.match:
                yield _Expression(scope.match, (kind, number, "match"))
    for number, rule in enumerate(section.keep):
        if rule.best:
            yield _Expression(rule.best.by, ("keep", number, "best"))
    for number, budget in enumerate(section.budgets):
        if budget.value:
            yield _Expression(budget.value, ("budgets", number, "value"))


def _without(message: str, file: Path) -> str:
    """A message without the name of a file that was only there for a moment."""
    return message.removeprefix(f"{file}: ").replace(str(file), "the text")
