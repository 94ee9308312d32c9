"""What tests of delivery and of commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.analytics.mixpanel_world import World
from tests.building import NOBODY, Parts
from tests.mixpanel_server import MixpanelServer
from voxledger.catalog import terminal
from voxledger.catalog.home import Home
from voxledger.catalog.journal import Journal
from voxledger.catalog.log import Keeper
from voxledger.catalog.recorder import Recorder
from voxledger.catalog.subscriptions import Subscription
from voxledger.catalog.vault import Vault
from voxledger.cli import main

Command: TypeAlias = Callable[..., tuple[int, str, str]]
"""Runs `voxledger` with these arguments: exit status, what it printed, and what it said of mistakes."""


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


@pytest.fixture
def command(studio: Parts, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """The command line on the HOME of a module's own fixture `studio`; nobody answers at its store."""
    monkeypatch.setenv("VOXLEDGER_HOME", str(studio.home.path))
    monkeypatch.setenv("VOXLEDGER_STORE_ENDPOINT", NOBODY)
    monkeypatch.setenv("VOXLEDGER_STORE_CLOSE_WAIT", "0")
    for console in (terminal.console, terminal.errors):  # made when they were first asked for, perhaps by another test
        monkeypatch.setattr(console, "_width", 140)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        heard = capsys.readouterr()
        return int(ended.value.code or 0), heard.out, heard.err

    return run
