from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voxledger.catalog.errors import SettingsError
from voxledger.catalog.retention.policy.locating import locate
from voxledger.catalog.settings import KeepRule
from voxledger.cli import main

if TYPE_CHECKING:
    from conftest import World

POLICY = '''[retention]
grace = "3d"   # slow

[[retention.rules]]
name = "scratch"
match = "bucket = 'indextts-audio' AND playz > 3"
keep_for = "3d"

[[retention.keep]]
name = "loud"
match = """
plays > 3
  AND random() > 1"""

[[retention.rules]]
name = "every"
keep_for = "9d"

[[retention.budgets]]
bucket = "b"
'''


def told(world: World, text: str) -> list[tuple[str, int | None, int | None, str]]:
    file = world.home.path / "own.toml"
    file.write_text(text)
    _, findings = world.retention().check(file)
    return [(finding.level, finding.line, finding.column, finding.message) for finding in findings]


def test_everything_that_is_wrong_is_told_with_line_and_column(world: World) -> None:
    assert told(world, POLICY) == [
        ("error", 6, 40, "retention rule 'scratch': clips have no column playz; did you mean plays?"),
        (
            "error", 16, 8,
            "retention rule 'every' has no condition and would match every clip; if that is meant, write match = \"all\"",
        ),
        ("error", 13, 7, "keep rule 'loud': random() is not among the functions that a policy may call"),
        ("error", 19, 1, "budget 'b' has no limit; give it max_bytes or max_cost"),
    ]  # fmt: skip


def test_words_that_no_clip_ever_had_and_an_empty_policy_are_errors_and_idle_keep_rules_are_not(world: World) -> None:
    world.clip(tags=("scratch",))
    world.clip()
    text = """[retention]
[[retention.rules]]
name = "a"
tag = "scrach"
keep_for = "1d"
[[retention.keep]]
name = "k"
rated = 5
"""
    [wrong, doubtful] = told(world, text)
    assert wrong[:3] == ("error", 3, 8)
    assert "did you mean 'scratch'" in wrong[3]
    assert doubtful[:3] == ("warning", 7, 8)
    assert told(world, text.replace('tag = "scrach"', 'tag = "scratch"')) == [doubtful]
    assert [found[0] for found in told(world, "[retention]\n")] == ["error"]


def test_a_file_that_holds_something_else_is_refused(world: World) -> None:
    for text in ("[retention", "[store]\nendpoint = 'http://x'\n", "[retention]\nkeep_forever = true\n"):
        with pytest.raises(SettingsError):
            told(world, text)
    with pytest.raises(SettingsError, match="is not there"):
        world.retention().check(Path("/nowhere/policy.toml"))


@pytest.mark.parametrize(
    ("text", "place", "offset", "found"),
    [
        ("[a]\nx = 'one'\n", ("a", "x"), 1, (2, 7)),
        ('[a]\nx = "o\\"e"\n', ("a", "x"), 2, (2, 9)),
        ('[[a.b]]\n[[a.b]]\n  x = """one\ntwo"""\n', ("a", "b", 1, "x"), 5, (4, 2)),
        ("[a]\ny = '''\n[a.b]\n'''\n[a.b]\nz = 1\n", ("a", "b", "z"), None, (6, 5)),
        ("[a]\n", ("a", "x"), None, (1, 1)),
        ("", ("a", "x"), None, None),
    ],
)
def test_places_in_toml(
    text: str, place: tuple[str | int, ...], offset: int | None, found: tuple[int, int] | None
) -> None:
    assert locate(text, place, offset) == found


@pytest.mark.parametrize(
    ("line", "place", "said"),
    [
        ('keep_for = "3 fortnights"', (5, 12), "is no time span"),
        ("keep = 3", (5, 8), "there is no `keep`"),
        ("", (3, 1), "it lacks `keep_for`"),
    ],
)
def test_a_record_that_is_none_is_told_with_its_name_and_place(
    world: World, line: str, place: tuple[int, int], said: str
) -> None:
    [(level, *at, message)] = told(
        world, f'[retention]\n\n[[retention.rules]]\nname = "a"\n{line}\nmatch = "plays = 0"\n'
    )
    assert (level, tuple(at)) == ("error", place)
    assert "retention.rules number 1 ('a')" in message
    assert said in message


def test_a_file_is_checked_for_itself(world: World) -> None:
    file = world.home.path / "own.toml"
    file.write_text('[retention]\n[[retention.rules]]\nname = "a"\nmatch = "plays = 0"\nkeep_for = "1d"\n')
    policy, findings = world.retention(keep=(KeepRule(name="home's", rated=5),)).check(file)
    assert policy is not None
    assert (len(policy.rules), policy.keep, findings) == (1, (), [])


@pytest.mark.parametrize(
    ("text", "name", "at", "said"),
    [
        ("[retention\n", None, (1, 11), "is not valid TOML"),
        ('[retention]\n[[retention.rules]]\nname = "a"\nkeep_for = "soon"\n', "retention.rules[0].keep_for", (4, 12), "no time span"),
        ('[retention]\nkeep_forever = true\n', "retention.keep_forever", (2, 16), "unknown setting"),
        ('[general]\ntime_zone = "Mars"\n', "general.time_zone", (2, 13), "no IANA time zone"),
        (
            '[retention]\n[[retention.rules]]\nname = "a"\nmatch = "playz = 0"\nkeep_for = "1d"\n', "retention.rules[0].match",
            (4, 10), "did you mean plays?",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("own", [False, True])
def test_settings_that_cannot_be_read_are_told_in_json_like_any_problem(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, name: str, at: tuple[int, int], said: str, own: bool
) -> None:
    file = tmp_path / "voxledger.toml"
    if own and "general" not in text:
        file.write_text('[retention]\npolicy = "own.toml"\n')
        file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path), "retention", "check", "--json"])
    assert ended.value.code == 1
    told = json.loads(capsys.readouterr().out)
    [found] = told["findings"]
    assert (told["valid"], told["policy"], found["level"]) == (False, None, "error")
    assert (found["name"], found["line"], found["column"], found["file"]) == (name, *at, str(file))
    assert said in found["message"]
    assert not found["line"] or f"from {file.name}" not in found["message"]  # the place is told beside it
    assert not found["message"].startswith(f"{file}:")


def test_an_empty_policy_is_told_with_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--home", str(tmp_path), "retention", "check"])
    assert ended.value.code == 1
    said = capsys.readouterr().out.replace("\n", "")
    assert f"error {tmp_path / 'voxledger.toml'}: there are no rules" in said


def test_a_policy_that_is_not_there_is_told_in_json_and_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for json_too in (True, False):
        with pytest.raises(SystemExit) as ended:
            main(
                ["--home", str(tmp_path), "retention", "check", str(tmp_path / "nowhere.toml"), *["--json"][:json_too]]
            )
        assert ended.value.code == 1
        out = capsys.readouterr().out
        assert "is not there" in (json.loads(out)["findings"][0]["message"] if json_too else " ".join(out.split()))
