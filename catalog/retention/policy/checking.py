"""Checking: a policy in its file, each problem with line and column."""

from __future__ import annotations

from pathlib import Path

import msgspec

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
    for kind, parts in (("rules", policy.rules), ("keep", policy.keep), ("budgets", policy.budgets)):
        for number, part in enumerate(parts):
            words = {"rules": "rule", "keep": "keep rule", "budgets": "budget"}[kind]
            if message.startswith(f"{words} {part.name!r} "):
                at = locate(text, ("retention", kind, number, "name"))
                return Finding(level=level, message=message, **_place(file, at))
    return Finding(level=level, message=message, file=str(file) if file else None)


def _found(problem: Problem, file: Path | None, text: str) -> Finding:
    at = locate(text, ("retention", *problem.place), problem.offset)
    return Finding(level="error", message=problem.message, **_place(file, at))


def _place(file: Path | None, at: tuple[int, int] | None) -> dict[str, object]:
    return {"file": str(file) if file else None, "line": at[0] if at else None, "column": at[1] if at else None}
