"""What tests of delivery share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.analytics.mixpanel_world import World
from tests.mixpanel_server import MixpanelServer
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import Vault


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    home = Home.open(tmp_path / "home")
    journal, vault = Journal(home.journal), Vault(home.vault)
    recorder = Recorder(journal, vault)
    with MixpanelServer(accounts={"robot": ("hush", "42")}) as server:
        yield World(
            recorder=recorder,
            subscription=Subscription("mixpanel", Keeper(home, recorder)),
            server=server,
            home=home,
            ann=vault.actor("CANARY label"),
        )
    journal.close()
    vault.close()
