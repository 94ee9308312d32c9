"""The list of engines: everybody's entry, whatever one of them does, and the command that shows it."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from voxledger.catalog.settings import Remote, Settings
from voxledger.cli import main
from voxledger.synth import EngineUnavailable, UnknownEngine
from voxledger.synth.engines import load, names, survey
from voxledger.synth.engines.espeak import EspeakEngine

MODULE = """
import sys
from dataclasses import replace
from voxledger.synth.engines.espeak import EspeakEngine

class Parrot(EspeakEngine):
    def describe(self):
        return replace(super().describe(), name="parrot", emotion_modes=frozenset(["none", "words"]), determinism="seeded")

class Shy(Parrot):
    def describe(self):
        raise ZeroDivisionError("not today")

class Odd(Parrot):
    def describe(self):
        return replace(super().describe(), languages=(1, None))

class Mute:
    def __init__(self, settings):
        pass

class Leaving(Parrot):
    def describe(self):
        sys.exit(3)

def broken(settings):
    raise ValueError("no such card")

import_me = None
"""
POINTS = {
    "parrot": "thirdparty:Parrot", "shy": "thirdparty:Shy", "odd": "thirdparty:Odd", "mute": "thirdparty:Mute",
    "leaving": "thirdparty:Leaving", "broken": "thirdparty:broken", "gone": "thirdparty:NoSuchThing",
    "lacking": "thirdparty_lacking:Engine", "quitting": "thirdparty_quitting:Engine", "espeak": "thirdparty:Parrot",
}  # fmt: skip


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of somebody else's, as an installer leaves it."""
    (tmp_path / "thirdparty.py").write_text(MODULE)
    (tmp_path / "thirdparty_lacking.py").write_text("import a_package_that_nobody_has\n")
    (tmp_path / "thirdparty_quitting.py").write_text("raise SystemExit(1)\n")
    info = tmp_path / "thirdparty-2.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 2.5\n")
    lines = [f"{name} = {target}" for name, target in POINTS.items()]
    (info / "entry_points.txt").write_text("\n".join(["[voxledger.engines]", *lines]))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()


def test_what_comes_along_is_listed_with_what_it_can_do_or_why_not() -> None:
    found = {each.name: each for each in survey(Settings())}
    assert {"espeak", "remote"} <= set(found) == set(names())
    assert found["espeak"].info is not None
    assert found["espeak"].package.startswith("voxledger ")
    assert found["remote"].info is None
    assert "remote.url is empty" in found["remote"].why
    assert found["remote"].remedy == "Set remote.url to a speech server."
    near = survey(Settings(remote=Remote(url="http://127.0.0.1:1/v1")))
    assert next(each for each in near if each.name == "remote").info is not None


@pytest.mark.usefixtures("third_party")
def test_engines_of_others_are_listed_and_what_one_raises_breaks_no_list() -> None:
    found = {each.name: each for each in survey(Settings())}
    assert set(POINTS) < set(found)
    assert found["espeak"].info is not None
    parrot = found["parrot"].info
    assert parrot is not None
    assert (parrot.name, found["parrot"].package) == ("parrot", "thirdparty 2.5")
    for name, message in {
        "shy": "ZeroDivisionError: not today", "odd": "its languages are no tuple of texts",
        "mute": "AttributeError", "leaving": "SystemExit: 3",
        "broken": "ValueError: no such card", "gone": "AttributeError",
        "lacking": "needs the package 'a_package_that_nobody_has': pip install --upgrade 'thirdparty'", "quitting": "SystemExit",
    }.items():  # fmt: skip
        assert found[name].info is None
        assert message in found[name].why, name
        assert found[name].remedy, name


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize("name", ["broken", "gone", "lacking", "quitting"])
def test_an_engine_that_cannot_be_constructed_is_unavailable(name: str) -> None:
    with pytest.raises(EngineUnavailable, match=name):
        load(name, Settings())


@pytest.mark.usefixtures("third_party")
def test_no_package_takes_the_place_of_an_engine_of_ours(
    run: Callable[..., tuple[int, str]], caplog: pytest.LogCaptureFixture
) -> None:
    assert type(load("espeak", Settings())) is EspeakEngine
    assert "espeak of thirdparty 2.5 is not used" in caplog.text
    found = {each.name: each for each in survey(Settings())}
    assert found["espeak"].info is not None
    assert found["espeak"].package.startswith("voxledger ")
    assert found["espeak"].passed_over == ("thirdparty 2.5",)
    assert found["parrot"].passed_over == ()
    code, said = run("espeak")
    assert code == 0
    assert "the engine of the same name that thirdparty 2.5 brings" in said
    assert next(each for each in json.loads(run("--json")[1]) if each["name"] == "espeak")["passed_over"] == [
        "thirdparty 2.5"
    ]


def test_an_unknown_engine_comes_with_a_near_one() -> None:
    with pytest.raises(UnknownEngine, match="did you mean 'espeak'"):
        load("espeek", Settings())


# The command


@pytest.fixture
def run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str]]:
    monkeypatch.setenv("VOXLEDGER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["engines", *arguments])
        heard = capsys.readouterr()
        return int(ended.value.code or 0), heard.out + heard.err

    return run


@pytest.mark.usefixtures("third_party")
def test_the_command_shows_all_of_them_in_80_columns(run: Callable[..., tuple[int, str]]) -> None:
    code, said = run()
    assert code == 0
    assert all(f"● {name}" in said for name in ("espeak", "remote", *POINTS))
    assert max(map(len, said.splitlines())) <= 80
    assert "remote.url is empty" in said
    assert "speaks when a call names none" in said
    assert "same with a seed" in said
    assert "thirdparty 2.5" in said


@pytest.mark.usefixtures("third_party")
def test_one_engine_is_shown_whole_and_the_exit_status_tells_whether_it_can_be_used(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "…" in run()[1]
    code, said = run("espeak")
    assert code == 0
    assert "zh" in said
    assert "…" not in said
    monkeypatch.delitem(sys.modules, "thirdparty", raising=False)
    assert run("remote")[0] == 1
    assert "thirdparty" not in sys.modules  # what others bring is not imported for it
    code, said = run("espeek")
    assert code == 1
    assert "did you mean 'espeak'" in said


@pytest.mark.usefixtures("third_party")
def test_json_has_everything_for_machines(run: Callable[..., tuple[int, str]]) -> None:
    found = {each["name"]: each for each in json.loads(run("--json")[1])}
    assert found["espeak"]["available"]
    assert found["espeak"]["default"]
    assert len(found["espeak"]["languages"]) > 100
    assert found["parrot"]["emotion_modes"] == ["none", "words"]
    assert (found["remote"]["available"], found["remote"]["why"][:10]) == (False, "remote.url")
    assert not found["lacking"]["available"]
