"""One seeded ledger a session; one node, one browser and its cache a module; one visit a test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.dashboards.pages.browser import Visit, browsing, furnished, visiting, visiting_again
from tests.dashboards.pages.seeded import copied, made_once
from tests.node import RunningNode, running_node

Tokens = Callable[..., str]


@pytest.fixture(scope="session")
def seeded_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ledger that all modules copy, those of other workers of pytest-xdist too."""
    base = tmp_path_factory.getbasetemp()
    return made_once((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "seeded")


@pytest.fixture(scope="module")
def node(seeded_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node with a copy of it."""
    home = copied(seeded_home, tmp_path_factory.mktemp("pages") / "home")
    with running_node(home, store_close_wait=0) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser."""
    with browsing() as found:
        yield found


@pytest.fixture(scope="module")
def room(browser: Browser) -> Iterator[BrowserContext]:
    """Where the owner's visits take place."""
    with furnished(browser) as found:
        yield found


@pytest.fixture
def visit(room: BrowserContext, node: RunningNode) -> Iterator[Visit]:
    """The owner, who signs in on the way to the first page; what a page does wrong fails the test."""
    with visiting_again(room, node) as found:
        found.arriving = True
        yield found
        found.check()


@pytest.fixture
def stranger(browser: Browser, node: RunningNode) -> Iterator[Visit]:
    """Somebody who has not signed in."""
    with visiting(browser, node) as found:
        yield found
        found.check()


@pytest.fixture(scope="module")
def tokens(node: RunningNode) -> Tokens:
    """Makes tokens: `tokens("creator", name="maren")`."""

    def make(role: str, **more: Any) -> str:
        with node.client() as owner:
            made = owner.post("/api/tokens", json={"role": role, **more})
        assert made.status_code == 201, made.text
        return str(made.json()["token"])

    return make
