"""Checking: a policy in its file, each problem with line and column."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.retention.policy.compiling import Problem, compiled
from voxledger.catalog.retention.policy.locating import locate
from voxledger.catalog.retention.policy.policy import Policy
from voxledger.catalog.settings import Prices, Retention


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong (`error`) or doubtful (`warning`), and where it stands when that is known.

    The message names thing, cause and remedy. `name` leads to the setting, such as `retention.rules[0].match`.
    """

    level: str
    message: str
    name: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


def checked(section: Retention, zone: str, file: Path | None, prices: Prices) -> tuple[Policy | None, list[Finding]]:
    """The policy, None where it is wrong, and all that is wrong with it. `file` is where the section was written."""
    policy, problems = compiled(section, zone, prices)
    return policy, told(problems, file)


def told(problems: Iterable[Problem], file: Path | None) -> list[Finding]:
    """Problems with their places in the file that the section was written in."""
    text = file.read_text(encoding="utf-8") if file is not None and file.is_file() else None
    return [_found(problem, file if text is not None else None, text or "") for problem in problems]


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
                return _placed(level, message, file, ("retention", kind, number, "name"), text)
    return _placed(level, message, file)


def misread(error: SettingsError) -> Finding:
    """Settings that are none as they should be, down to a file that is no TOML."""
    file = error.file
    text = ""
    with contextlib.suppress(OSError, UnicodeDecodeError):  # then that is what is wrong
        text = file.read_text(encoding="utf-8") if file is not None else ""
    place = error.place or tuple(error.name.split(".") if error.name else ())
    message = str(error)
    if file is not None:  # the place is told anyway
        message = message.removeprefix(f"{file}: ")
        for named in (file, file.name):
            message = message.removesuffix(f" (from {named})")
    finding = _placed("error", message, file, place, text)
    return msgspec.structs.replace(finding, line=error.at[0], column=error.at[1]) if error.at else finding


def _found(problem: Problem, file: Path | None, text: str) -> Finding:
    return _placed("error", problem.message, file, ("retention", *problem.place), text, problem.offset)


def _placed(
    level: str,
    message: str,
    file: Path | None,
    place: tuple[str | int, ...] = (),
    text: str = "",
    offset: int | None = None,
) -> Finding:
    line, column = (locate(text, place, offset) if place else None) or (None, None)
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
    return Finding(
        level=level, message=message, name=name or None, file=str(file) if file else None, line=line, column=column
    )
