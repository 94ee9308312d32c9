"""Checking: a policy in its file, each problem with line and column."""

from __future__ import annotations

from pathlib import Path

import msgspec

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.retention.policy.locating import locate
from voxledger.catalog.retention.policy.policy import Policy, Problem, compiled
from voxledger.catalog.settings import Retention


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong (`error`) or doubtful (`warning`), and where it stands when that is known."""

    level: str
    message: str
    file: str | None = None
    line: int | None = None
    column: int | None = None


def checked(section: Retention, zone: str, file: Path | None) -> tuple[Policy | None, list[Finding]]:
    """The policy, None where it is wrong, and all that is wrong with it. `file` is where the section was written."""
    policy, problems = compiled(section, zone)
    text = file.read_text(encoding="utf-8") if file is not None and file.is_file() else None
    return policy, [_found(problem, file if text is not None else None, text or "") for problem in problems]


def found(message: str, level: str, policy: Policy, file: Path | None) -> Finding:
    """A problem or warning that names a rule, with the place where that rule begins."""
    text = file.read_text(encoding="utf-8") if file is not None and file.is_file() else ""
    named: list[tuple[str, str, list[str]]] = [
        ("rules", "rule", [rule.name for rule in policy.rules]),
        ("keep", "keep rule", [rule.name for rule in policy.keep]),
        ("budgets", "budget", [budget.name for budget in policy.budgets]),
    ]
    for kind, words, names in named:
        for number, name in enumerate(names):
            if message.startswith(f"{words} {name!r} "):
                return _placed(level, message, file, locate(text, ("retention", kind, number, "name")))
    return _placed(level, message, file, None)


def misread(error: SettingsError, file: Path) -> Finding:
    """A record of the policy that is no record as it should be."""
    return _placed("error", str(error), file, locate(file.read_text(encoding="utf-8"), error.place))


def _found(problem: Problem, file: Path | None, text: str) -> Finding:
    return _placed("error", problem.message, file, locate(text, ("retention", *problem.place), problem.offset))


def _placed(level: str, message: str, file: Path | None, at: tuple[int, int] | None) -> Finding:
    line, column = at or (None, None)
    return Finding(level=level, message=message, file=str(file) if file else None, line=line, column=column)
