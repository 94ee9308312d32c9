"""Writing: the policy as TOML, cut out of the file that it stands in, or written from the settings where that cannot be done."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import msgspec

from voxledger.catalog import settings
from voxledger.catalog.settings import format_span

_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_-]+)\s*[].]")
_OF_FILES = re.compile(r"^\s*policy\s*=")
_TOKEN = re.compile(
    r""""{3}(?:\\.|[^\\])*?"{3,5}|'{3}.*?'{3,5}|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|(?P<comment>[ \t]*\#[^\n]*)""", re.DOTALL
)
"""A text or a comment: a `#` within a text begins none."""
_SPANS = frozenset({"grace", "minimum_age", "max_lag", "backstop", "keep_for", "played_within"})


def section_of(content: str, *, whole: bool, comments: bool) -> tuple[str, dict[int, int]] | None:
    """The lines of `[retention]` and its tables, and where each line of the file went; None where they cannot be told from others.

    A file of its own (`whole`) holds nothing else. Comments may say whatever was once tried, passwords too: without `comments`
    they are left out.
    """
    written = content.split("\n")
    lines = written if comments else _uncommented(content).split("\n")
    taken: list[int] = []
    inside = whole
    for number, (line, before) in enumerate(zip(lines, written, strict=True), 1):
        if (header := _HEADER.match(line)) and not whole:
            inside = header[1] == "retention"
        was_comment = before.strip() and not line.strip()
        if inside and not was_comment and not (_OF_FILES.match(line) and not whole):
            taken.append(number)
    while taken and not lines[taken[-1] - 1].strip():
        taken.pop()
    text = "\n".join(lines[number - 1] for number in taken)
    if not whole and not _same(content, text):
        return None
    return text, {number: place for place, number in enumerate(taken, 1)}


def _uncommented(content: str) -> str:
    """TOML without its comments; every line stays where it was."""
    return _TOKEN.sub(lambda found: "" if found["comment"] else found[0], content)


def _same(content: str, text: str) -> bool:
    """Whether both say the same of retention, and the second nothing else."""
    try:
        all_of_it = dict(tomllib.loads(content).get("retention", {}))
        cut = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return False
    all_of_it.pop("policy", None)
    return set(cut) <= {"retention"} and cut.get("retention", {}) == all_of_it


def written(section: settings.Retention) -> str:
    """A policy as TOML: what differs from the defaults, times as people write them."""
    lines = ["[retention]"]
    tables: list[str] = []
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        if field.name == "policy" or value == field.default:
            continue
        if isinstance(value, tuple) and value and isinstance(value[0], msgspec.Struct):
            for each in value:
                tables += ["", f"[[retention.{field.name}]]", *_pairs(each)]
        else:
            lines.append(f"{field.name} = {_value(field.name, value)}")
    return "\n".join([*lines, *tables])


def _pairs(record: msgspec.Struct) -> Iterator[str]:
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if value != field.default:
            yield f"{field.name} = {_value(field.name, value)}"


def _value(name: str, value: Any) -> str:
    if isinstance(value, msgspec.Struct):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, tuple):
        return f"[{', '.join(_value('', each) for each in value)}]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and name in _SPANS:
        return _text(format_span(value))
    return _text(value) if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: str) -> str:
    # A JSON string is a TOML basic string, but for DEL, which no policy holds.
    return json.dumps(value, ensure_ascii=False)
