"""The documentation that is made from the code is current, and what people write about is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["sql", "settings", "events", "metrics", "commands", "api"])
def test_a_page_is_what_the_code_says(generate: ModuleType, page: str) -> None:
    written = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    assert written == getattr(generate, f"{page}_page")(), "run `make docs`"


def test_links_in_the_documentation_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            path = next(filter(None, target))
            if "://" not in path:
                assert (page.parent / path).exists(), f"{page.name}: {path}"


def test_commands_in_the_readme_exist(generate: ModuleType) -> None:
    known = set(re.findall(r"^## voxledger (.+)$", generate.commands_page(), re.MULTILINE))
    words = {word for name in known for word in (name, name.split()[0])}
    for line in re.findall(
        r"^\s*(?:\S+=\S+ )?voxledger (.+)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    ):
        assert line.split()[0] in words or line.startswith("--"), line
