"""One node for the tests of the API that only look at a catalog, or change what they made themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

import voxledger
from tests.node import PATIENCE, RunningNode, running_node


@dataclass
class CatalogNode:
    """A node with clips of ann and of bob, and tokens of people who may see different parts of them."""

    node: RunningNode
    ann: list[str]
    bob: list[str]
    tokens: dict[str, str] = field(default_factory=dict)

    def client(self, who: str = "", **options: Any) -> httpx.Client:
        """A client of the owner, or of somebody by role and name, such as `creator:ann`."""
        return self.node.client(self._token(who) if who else None, **options)

    def _token(self, who: str) -> str:
        if who not in self.tokens:
            role, _, name = who.partition(":")
            with self.node.client() as owner:
                made = owner.post("/api/tokens", json={"role": role, "name": name})
            assert made.status_code == 201, made.text
            self.tokens[who] = made.json()["token"]
        return self.tokens[who]


@pytest.fixture(scope="session")
def catalog_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CatalogNode]:
    """Four clips of ann and three of bob; what bob says holds the word zeppelin. Two attempts failed, one of each."""
    home = tmp_path_factory.mktemp("catalog") / "home"
    with voxledger.open(home) as vox:
        vox.uploader.flush(timeout=PATIENCE)
        ann = [
            vox.speak(
                f"The tide number {number} is turning. And it turns again.", actor="ann", session="sea", tags=["water"], engine="espeak",
                format=kind,
            ).id
            for number, kind in enumerate(("wav", "flac", "opus", "mp3"))
        ]  # fmt: skip
        bob = [
            vox.speak(
                f"My zeppelin number {number} costs 40000 pounds.", actor="bob", session="airship", tags=["air"], name="hangar",
                language="en-GB", engine="espeak",
            ).id
            for number in range(3)
        ]  # fmt: skip
        vox.uploader.flush(timeout=PATIENCE)
    with running_node(home, store_close_wait=0) as node:
        yield CatalogNode(node, ann, bob)
