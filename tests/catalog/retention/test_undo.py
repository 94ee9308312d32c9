from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.soak import examples
from voxledger.catalog.errors import PolicyError
from voxledger.catalog.events import PurgeStarted
from voxledger.catalog.settings import ExpireRule
from voxledger.cli import main

if TYPE_CHECKING:
    from conftest import World

DAY = timedelta(days=1)
ALL = ExpireRule(name="all", keep_for=5 * 86400, match="all")
SCRATCH = ExpireRule(name="scratch", keep_for=86400, tag="scratch", allow_unseen=True)
MARKS = "SELECT id::VARCHAR, mark_plan, mark_rule, delete_after, state FROM clips ORDER BY id"


def marks(world: World) -> list[Any]:
    with world.keeper.reading() as reading:
        return reading.tuples(MARKS)


def test_all_marks_of_a_plan_are_taken_back_and_no_others(world: World) -> None:
    tagged, other = world.clip(tags=("scratch",)), world.clip()
    first = world.retention(SCRATCH).apply(now=world.now)
    second = world.retention(ALL).apply(now=world.now)
    assert (first.marked, second.marked) == (1, 1)
    retention = world.retention(ALL)
    heard: list[tuple[int, int]] = []
    done = retention.undo(second.plan, now=world.now, progress=lambda at, end: heard.append((at, end)))
    assert (done.unmarked, done.gone, heard) == (1, (), [(1, 1)])
    assert world.events(other)[-1] == ("ClipUnmarked", {"plan": second.plan, "reason": "undone"})
    assert world.types(tagged) == ["ClipMarked"]
    assert retention.undo(second.plan).unmarked == 0
    assert world.types(other) == ["ClipMarked", "ClipUnmarked"]


def test_what_is_gone_already_is_named(world: World) -> None:
    purged = world.clip()
    retention = world.retention(ALL)
    plan = retention.apply(now=world.now).plan
    retention.apply(now=world.now + 8 * DAY)
    done = retention.undo(plan)
    assert (done.unmarked, done.gone) == (0, (purged,))
    assert world.types(purged)[-1] == "ClipPurged"


def test_a_plan_that_marked_nothing_is_an_error(world: World) -> None:
    world.clip()
    with pytest.raises(PolicyError, match="no plan 'never' has marked anything"):
        world.retention(ALL).undo("never")


@settings(max_examples=examples(8), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kinds=st.lists(st.sampled_from(["old", "young", "pinned", "scratch"]), min_size=1, max_size=8))
def test_undoing_leaves_every_mark_as_it_was_before(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], request: Any
) -> None:
    world: World = type(request.getfixturevalue("world"))(tmp_path_factory.mktemp("world"))
    for kind in kinds:
        clip = world.clip(age=DAY / 2 if kind == "young" else 10 * DAY, tags=("scratch",) if kind == "scratch" else ())
        if kind == "pinned":
            world.pin(clip)
    world.retention(SCRATCH).apply(now=world.now)
    before = marks(world)
    done = world.retention(ALL).apply(now=world.now)
    if done.marked:
        assert world.retention(ALL).undo(done.plan, now=world.now).unmarked == done.marked
    assert marks(world) == before
    world.close()


def command(arguments: list[str]) -> object:
    """The status a command ends with."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_the_commands_take_marks_back_and_say_what_came_back(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, third = (world.clip() for _ in range(3))
    plan = world.retention(ALL).apply(now=world.now).plan
    home = str(world.home.path)
    assert command(["retention", "restore", first, second[-8:], "--json", "--home", home]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(back["clip"], back["source"]) for back in told["restored"]] == [(first, "grace"), (second, "grace")]
    assert (told["there"], told["failed"]) == ([], [])
    assert command(["retention", "undo", plan, "--home", home]) == 0
    assert "1 mark taken back" in capsys.readouterr().out
    assert command(["retention", "undo", plan, "--json", "--home", home]) == 0
    assert json.loads(capsys.readouterr().out)["unmarked"] == 0
    assert world.types(third) == ["ClipMarked", "ClipUnmarked"]
    never = world.clip(stored=False)
    assert command(["retention", "restore", never, "--home", home]) == 0
    assert "1 clip had never gone" in capsys.readouterr().out
    assert command(["retention", "restore", "--home", home]) != 0
    assert "nothing was named" in capsys.readouterr().err


def test_an_undo_that_came_too_late_ends_with_a_status_that_says_so(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, home = world.clip(), str(world.home.path)
    plan = world.retention(ALL).apply(now=world.now).plan
    world.retention(ALL).apply(now=world.now + 8 * DAY)
    assert world.types(clip)[-1] == "ClipPurged"
    for form in ((), ("--json",)):
        assert command(["retention", "undo", plan, *form, "--home", home]) == 3
    assert f"too late for 1 clip ({clip[-8:]}): voxledger retention restore --plan {plan}" in capsys.readouterr().out


def test_an_undo_that_came_too_late_for_some_ends_like_a_restore_that_brings_back_some(world: World) -> None:
    late, _, home = world.clip(), world.clip(), str(world.home.path)
    plan = world.retention(ALL).apply(now=world.now).plan
    world.record(PurgeStarted(plan=plan, rule="all", bucket="b"), late)
    assert command(["retention", "undo", plan, "--home", home]) == 1
    assert command(["retention", "undo", plan, "--home", home]) == 3


def test_an_apply_whose_purges_all_wait_for_the_window_ends_with_a_status_that_says_so(world: World) -> None:
    world.clip()
    hour = datetime.now(UTC).hour
    shut = f"{(hour + 3) % 24:02d}:00-{(hour + 4) % 24:02d}:00"
    (world.home.path / "voxledger.toml").write_text(
        f'[retention]\ngrace = "0s"\nmax_percent = 100\npurge_window = "{shut}"\n'
        '[[retention.rules]]\nname = "all"\nmatch = "all"\nkeep_for = "5d"\n[general]\ntime_zone = "UTC"\n'
    )
    home = str(world.home.path)
    assert command(["retention", "apply", "--yes", "--home", home]) == 0  # sets the mark
    assert command(["retention", "apply", "--yes", "--home", home]) == 3


def test_an_apply_that_has_nothing_to_do_says_what_waits(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.clip()
    (world.home.path / "voxledger.toml").write_text(
        '[retention]\nmax_percent = 100\n[[retention.rules]]\nname = "all"\nmatch = "all"\nkeep_for = "5d"\n'
    )
    home = str(world.home.path)
    assert command(["retention", "apply", "--yes", "--home", home]) == 0  # sets the mark
    assert command(["retention", "apply", "--home", home]) == 0  # nobody has to be asked
    assert "nothing to do now\n1 clip waits in its grace, which ends at 20" in capsys.readouterr().out
