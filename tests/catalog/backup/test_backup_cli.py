"""The commands about backups, as people and scripts see them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.catalog.backup.nodes import KEY, VAULT_KEY, Node
from voxledger.catalog import terminal
from voxledger.cli import main

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(rclone_node: Node, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line on the node's HOME; gives its exit status and everything it printed."""
    monkeypatch.setattr(terminal.console, "_width", 120)
    monkeypatch.setattr(terminal.errors, "_width", 120)
    rclone_node.use_key()

    def run_it(*arguments: str, home: Path | None = None) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["--home", str(home or rclone_node.path), *arguments])
        heard = capsys.readouterr()
        text = heard.out + heard.err
        for secret in (KEY, VAULT_KEY, rclone_node.server.secret_key):
            assert secret not in text
        return int(ended.value.code or 0), text

    return run_it


def test_a_home_goes_away_and_comes_back(run: Run, rclone_node: Node, tmp_path: Path) -> None:
    assert "no backup yet" in run("backup", "list")[1]
    rclone_node.speak(12)
    vault = tmp_path / "saved.vault"
    code, text = run("backup", "create", "--vault", str(vault))
    assert code == 0
    assert "12 events" in text
    assert "encrypted" in text
    code, text = run("backup", "verify")
    assert (code, "intact" in text) == (0, True)
    code, text = run("backup", "list")
    assert "saved" in text
    code, text = run("backup", "restore", "latest", "--into", str(tmp_path / "new"), home=tmp_path / "nowhere")
    assert code == 0
    assert "stay sealed" in " ".join(text.split())
    # What it prints proves it: the head of the backup is in the log, which is one event longer.
    proof = next(line for line in text.splitlines() if line.startswith("  voxledger --home ")).split()
    assert proof[1:4] == ["--home", str(tmp_path / "new"), "verify"]
    code, text = run(*proof[3:], "--no-store", home=tmp_path / "new")
    assert (code, "intact" in text, proof[-1].startswith("12:"), "13:" in text) == (0, True, True, True)
    assert not (tmp_path / "nowhere").exists()
    target = str(tmp_path / "newer")
    code, text = run("backup", "restore", "latest", "--into", target, "--vault", str(vault), "--json")
    found = json.loads(text)
    assert (found["through"], found["actors"], found["actors_with_key"]) == (12, 1, 1)
    head = f"{found['through']}:{found['head']}"
    code, text = run("verify", "--no-store", "--head", head, home=tmp_path / "newer")
    assert (code, "intact" in text) == (0, True)


def test_scripts_hear_json(run: Run, rclone_node: Node) -> None:
    rclone_node.speak(12)
    made = [json.loads(run("backup", "create", "--json")[1]) for _ in range(2)]
    listed = json.loads(run("backup", "list", "--json")[1])
    assert [entry["backup"] for entry in listed] == [each["backup"] for each in made]
    rules = ("--keep-last", "1", "--keep-daily", "0", "--keep-weekly", "0", "--keep-monthly", "0")
    plan = json.loads(run("backup", "prune", *rules, "--json")[1])
    assert (plan["applied"], [each["keep"] for each in plan["backups"]]) == (False, [True, False])
    code, text = run("backup", "prune", *rules, "--apply")
    assert (code, "deleted: 1 backup" in text) == (0, True)
    assert [checked["intact"] for checked in json.loads(run("backup", "verify", "--quick", "--json")[1])] == [True]


def test_damage_is_an_exit_status(run: Run, rclone_node: Node) -> None:
    rclone_node.speak(3)
    assert run("backup", "create")[0] == 0
    name = next(name for name in rclone_node.objects() if name.startswith("data/"))
    rclone_node.change(name, None)
    code, text = run("backup", "verify")
    assert (code, "damaged" in text, name in text) == (1, True, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("restore", "latest", "--into", "x"), "there is no backup in"),
        (("verify", "12345678"), "there is no backup in"),
        (("prune", "--keep-last", "-1"), "0 or more"),
        (("create", "--vault", "/nowhere/at/all"), "folder that exists"),
    ],
)
def test_mistakes_are_one_sentence(run: Run, arguments: tuple[str, ...], words: str) -> None:
    code, text = run("backup", *arguments)
    assert code == 1
    assert words in " ".join(text.split())


def test_without_any_place_it_says_what_to_set(
    run: Run, rclone_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOXLEDGER_STORE_ENDPOINT")
    code, text = run("backup", "list", home=tmp_path / "nowhere")
    assert (code, "nothing says where backups lie" in " ".join(text.split())) == (1, True)
    assert not (tmp_path / "nowhere").exists()


def test_backups_may_lie_elsewhere(
    run: Run, rclone_node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At an endpoint of its own, while the store is the embedded one; audio comes back into the new HOME's own store."""
    server, vault = rclone_node.server, str(tmp_path / "saved.vault")
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"VOXLEDGER_BACKUP_{name}", rclone_node.environ[f"VOXLEDGER_STORE_{name}"])
        monkeypatch.delenv(f"VOXLEDGER_STORE_{name}")
    clips = rclone_node.store_audio(2)
    try:
        code, text = run("backup", "create", "--with-audio", "--vault", vault, "--json")
        assert (code, json.loads(text)["audio"]["objects"]) == (0, 2)
        target = str(tmp_path / "new")
        arguments = ("backup", "restore", "latest", "--into", target, "--vault", vault, "--with-audio", "--json")
        code, text = run(*arguments, home=tmp_path / "nowhere")
        assert (code, json.loads(text)["audio"]) == (0, {"back": 2, "there": 0, "left": 0})
        with rclone_node.open(tmp_path / "new") as vox:
            for name, content in clips.values():
                assert vox.store.get(vox.settings.store.audio, name) == content
    finally:
        for home in (rclone_node.path, tmp_path / "new"):
            run("store", "stop", home=home)
    assert server.port


def test_names_are_dropped_without_rules_only(run: Run, rclone_node: Node) -> None:
    rclone_node.speak(2)
    made = json.loads(run("backup", "create", "--json")[1])["backup"]
    code, text = run("backup", "prune", "--drop", made, "--keep-last", "0", "--apply")
    assert (code, "--drop and --keep" in " ".join(text.split())) == (1, True)
    assert len(json.loads(run("backup", "list", "--json")[1])) == 1
    assert run("backup", "prune", "--drop", made, "--apply")[0] == 0
    assert json.loads(run("backup", "list", "--json")[1]) == []
