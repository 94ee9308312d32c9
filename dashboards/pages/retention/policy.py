"""The policy: its text with what is wrong in it, each rule as a sentence; and another text tried out, which nothing is changed by."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from voxledger.catalog import settings
from voxledger.catalog.errors import SettingsError
from voxledger.dashboards.pages.retention.frame import Frame, Reader
from voxledger.dashboards.pages.retention.trying import LONGEST, Found, tried
from voxledger.dashboards.pages.retention.writing import section_of, written
from voxledger.dashboards.server.callers import Caller

if TYPE_CHECKING:
    from voxledger.catalog.retention import Plan, Policy
    from voxledger.catalog.retention.policy.checking import Finding


@dataclass(frozen=True, kw_only=True)
class Text:
    """The policy as it is shown. `lines` gives for a line of its file the line in `text`; without, the text is written from the settings.

    `elsewhere` are settings that the text does not say: from the environment, or from another file.
    """

    text: str
    file: str
    lines: Mapping[int, int] | None
    changed: bool
    elsewhere: Mapping[str, Any]


def text_of(caller: Caller) -> Text:
    """The policy of the HOME. What its file says besides, passwords say, is left out, and for all but admins its comments."""
    section, file = caller.site.settings.retention, caller.ledger.retention.written
    name = section.policy or settings.FILE_NAME
    try:
        content = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        content = ""
    found = section_of(content, whole=bool(section.policy), comments=caller.principal.may("admin"))
    said = _read(found[0]) if found else None
    if found is None or said is None:
        return Text(text=written(section), file=name, lines=None, changed=False, elsewhere={})
    apart = {
        each: getattr(section, each)
        for each in section.__struct_fields__
        if each != "policy" and getattr(section, each) != getattr(said, each)
    }
    plain = settings.Retention()
    # What the text does not say comes from somewhere else; what it says otherwise was written after the node began.
    changed = any(getattr(said, each) != getattr(plain, each) for each in apart)
    return Text(text=found[0], file=name, lines=found[1], changed=changed, elsewhere={} if changed else apart)


def add(routes: APIRouter, frame: Frame) -> None:
    """`/retention/policy`."""

    @routes.get("/retention/policy")
    def show(request: Request, caller: Reader, make: Annotated[bool, Query()] = False) -> Response:
        """The text, its rules, and what the newest plan finds about it."""
        text, retention, plans = text_of(caller), caller.ledger.retention, frame.site.plans
        view = plans.newest()
        policy: Policy | None = None
        findings: Sequence[Finding] = ()
        if view is None and make:
            policy, findings = retention.check()
            if policy is not None:
                view = plans.make(retention, every=False, as_of=None, head=caller.ledger.journal.head())
        elif view is not None:
            policy, findings = view.plan.policy, retention.findings(view.plan)
        else:
            policy, findings = _at_once(caller)
        values = {
            "text": text, "policy": policy, "view": view, "rules": _rules(policy, view.plan if view else None),
            "findings": [_placed(each, text.lines) for each in findings], "pending": view is None and policy is not None,
        }  # fmt: skip
        return frame.show(request, caller, "policy", values, blocks={"checked"})

    @routes.post("/retention/policy/try")
    def attempt(request: Request, caller: Reader, text: Annotated[str, Form(max_length=LONGEST)] = "") -> Response:
        """What another text would do: its mistakes at their lines, or its plan. Nothing is saved."""
        base = settings.Retention(**text_of(caller).elsewhere)
        policy, findings, view = tried(caller, text.replace("\r\n", "\n"), base)
        now = frame.site.plans.newest()
        values = {
            "findings": findings, "policy": policy, "view": view, "rules": _rules(policy, view.plan if view else None),
            "present": _condemned(now.plan) if now else {}, "now": now, "lines": text.split("\n"),
        }  # fmt: skip
        return frame.show(request, caller, "tried", values)


def _at_once(caller: Caller) -> tuple[Policy | None, Sequence[Finding]]:
    """What can be said without looking at a single clip."""
    from voxledger.catalog.retention.policy.checking import checked

    site, file = caller.site.settings, caller.ledger.retention.written
    return checked(site.retention, site.general.time_zone, file, site.prices)


def _read(text: str) -> settings.Retention | None:
    with tempfile.TemporaryDirectory(prefix="voxledger-policy-") as folder:
        file = Path(folder) / "policy.toml"
        file.write_text(text, encoding="utf-8")
        try:
            return settings.read_policy(file, settings.Retention())
        except SettingsError:
            return None


def _placed(finding: Finding, lines: Mapping[int, int] | None) -> Found:
    line = lines.get(finding.line) if lines and finding.line else None
    return Found(finding.level, finding.message, line, finding.column if line else None)


def _condemned(plan: Plan) -> Mapping[str, int]:
    return {rule.name: rule.condemned.clips for rule in plan.rules}


def _rules(policy: Policy | None, plan: Plan | None) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """Everything that the policy says, in its order, with what the plan counts for it."""
    if policy is None:
        return {}
    decides = {rule.name: rule for rule in plan.rules} if plan else {}
    keeps = {rule.name: rule for rule in plan.keep} if plan else {}
    stands = {budget.name: budget for budget in plan.budgets} if plan else {}
    return {
        "keep": [{"rule": rule, "told": keeps.get(rule.name)} for rule in policy.keep],
        "rules": [
            {
                "rule": rule, "told": (told := decides.get(rule.name)), "seconds": rule.keep_for.total_seconds(),
                "matched": sum(each.clips for each in told.amounts.values()) if told else None,
            }
            for rule in policy.rules
        ],
        "budgets": [{"rule": budget, "told": stands.get(budget.name)} for budget in policy.budgets],
    }  # fmt: skip
