"""The commands about models, as people and scripts see them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cyclopts import App, Parameter

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, flip
from tests.s3 import S3Server
from voxledger.catalog import terminal
from voxledger.catalog.commands.models import Commands
from voxledger.catalog.errors import ModelError

Run = Callable[..., tuple[Any, str]]


@pytest.fixture
def machine(rclone_store: S3Server, machine_on: MakeMachine) -> Machine:
    return machine_on(rclone_store, **{"models.grace": 0.0})


@pytest.fixture
def run(machine: Machine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; gives its exit status and what it printed."""
    monkeypatch.setattr(terminal.console, "_width", 100)

    @contextmanager
    def opened(**options: Any) -> Iterator[Any]:
        yield SimpleNamespace(models=machine.models)

    app = App(name="voxledger", default_parameter=Parameter(negative=()), result_action="return_value")
    Commands(opened).add_to(app)

    def run_it(*arguments: str) -> tuple[Any, str]:
        code = app(["models", *arguments])
        return code, capsys.readouterr().out

    return run_it


def test_a_model_goes_there_and_comes_back(run: Run, machine: Machine, folder: Path) -> None:
    assert "no models yet" in run("list")[1]
    shown = run("push", str(folder), "indextts@2.5")[1]
    assert "indextts@2.5 is in the store: 3 files, 50.0 kB; 50.0 kB sent" in shown
    assert "was in the store already" in run("push", str(folder), "indextts@2.5")[1]
    shown = run("pull", "indextts")[1]
    assert "indextts@2.5 is here: 3 files, 50.0 kB; 50.0 kB fetched" in shown
    assert str(machine.folder / "indextts" / "2.5") in shown
    shown = run("list")[1]
    assert "→" in shown
    assert shown.count("yes") == 2


def test_json_has_what_a_script_needs(run: Run, machine: Machine, folder: Path) -> None:
    pushed = json.loads(run("push", str(folder), "indextts@2.5", "--json")[1])
    assert (pushed["reference"], pushed["new"], pushed["sent_bytes"]) == ("indextts@2.5", True, 50_013)
    pulled = json.loads(run("pull", "indextts@2.5", "--json")[1])
    assert pulled["path"] == str(machine.folder / "indextts" / "2.5")
    [listed] = json.loads(run("list", "--json")[1])
    assert (listed["model"], listed["version"], listed["current"], listed["here"]) == ("indextts", "2.5", True, "yes")
    assert json.loads(run("gc", "--json")[1])["store"]["needed"] == 3


def test_damage_is_named_with_what_mends_it(run: Run, folder: Path) -> None:
    run("push", str(folder), "indextts@2.5")
    place = json.loads(run("pull", "indextts@2.5", "--json")[1])["path"]
    assert run("verify", "--deep")[0] == 0
    flip(Path(place) / "gpt.pth")
    code, shown = run("verify", "--here", "--deep")
    assert code == 1
    assert "gpt.pth is damaged" in shown
    assert "voxledger models restore indextts@2.5 puts it back" in shown
    shown = run("restore", "indextts@2.5")[1]
    assert "gpt.pth is damaged: its SHA-256 is another one; replaced" in shown
    assert run("verify", "--deep")[0] == 0


def test_the_way_back_and_out(run: Run, machine: Machine, folder: Path) -> None:
    run("push", str(folder), "indextts@1")
    (folder / "config.yaml").write_text("another one")
    assert "indextts@1 was it before" in run("push", str(folder), "indextts@2")[1]
    shown = run("rollback", "indextts")[1]
    assert "indextts@1 is the current version; indextts@2 was it before" in shown
    assert "voxledger models pull indextts@1" in shown
    assert "removed from the store" in run("remove", "indextts@2", "--store")[1]
    shown = run("gc")[1]
    assert "1 file would be deleted (11 B), 3 needed" in shown
    assert "nothing was changed" in shown
    assert "1 file deleted (11 B), 3 needed" in run("gc", "--apply")[1]
    with pytest.raises(ModelError, match="nothing is left"):
        run("restore", "indextts@2")
    run("pull", "indextts")
    assert "removed from this machine, 50.0 kB are free" in run("remove", "indextts@1")[1]
