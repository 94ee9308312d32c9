"""Every English sentence that the pages can say: those of templates, of modules and of scripts."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import jinja2

from voxledger.analytics.metrics import METRICS
from voxledger.analytics.metrics.tables import FUNNEL
from voxledger.dashboards.pages.assets import SAID
from voxledger.dashboards.pages.usage.question import FIGURES

ROOT = Path(str(files("voxledger.dashboards.pages")))
_CALLS = frozenset({"say", "later", "say_many"})


def sentences() -> dict[str, set[str]]:
    """By sentence, the files that say it."""
    found: dict[str, set[str]] = {}
    for reader, pattern in ((_template, "templates/**/*.j2"), (_module, "**/*.py"), (_script, "assets/*.js")):
        for file in sorted(ROOT.glob(pattern)):
            for sentence in reader(file.read_text(encoding="utf-8")):
                found.setdefault(sentence, set()).add(str(file.relative_to(ROOT)))
    for sentence in _metrics():
        found.setdefault(sentence, set()).add("usage")
    return found


def _metrics() -> Iterator[str]:
    """What pages say of metrics in the metrics' own words."""
    for name in FIGURES:
        yield from (METRICS[name].title, METRICS[name].definition)
    for name in FUNNEL:
        yield METRICS[name].title


def _template(text: str) -> Iterator[str]:
    environment = jinja2.Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for _, function, message in environment.extract_translations(text):  # type: ignore[attr-defined]  # of the extension
        said = message[0] if isinstance(message, tuple) else message
        if said is not None and function in ("_", "gettext", "ngettext"):
            yield said


def _module(text: str) -> Iterator[str]:
    several: set[str] = set()
    said: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _CALLS):
            continue
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            said.append(node.args[0].value)
    for node in ast.walk(ast.parse(text)):  # `many=later(…)` is the English plural of what stands under `what`
        if isinstance(node, ast.keyword) and node.arg == "many" and isinstance(node.value, ast.Call):
            several |= {each.value for each in node.value.args if isinstance(each, ast.Constant)}  # type: ignore[misc]  # texts
    yield from (each for each in said if each not in several)


def _script(text: str) -> Iterator[str]:
    for said in SAID.findall(text):
        yield json.loads(f'"{said}"')
