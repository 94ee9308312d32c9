"""A bucket and two machines live through whatever may be asked of them; what is there stays whole."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from pathlib import Path

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, contents, flip
from tests.s3 import S3Server
from tests.soak import rounds
from voxledger.catalog.errors import ModelError

Truth = dict[str, list[dict[str, int]]]
"""Sizes of the files that a version was pushed with; several times, where its name was free again after a `gc`."""


def test_whatever_happens_what_is_there_is_whole(
    rclone_store: S3Server, machine_on: MakeMachine, tmp_path: Path
) -> None:
    machines = [machine_on(rclone_store, name, **{"models.grace": 0.0}) for name in ("one", "two")]
    truth: Truth = {}
    for seed in rounds(200):
        dice = random.Random(seed)
        machine = dice.choice(machines)
        reference = f"m@{dice.randrange(6)}"
        for step in dice.choices(
            [_push, _pull, _drop, _remove, _gc, _lose_here, _damage_here, _lose_manifest, _restore],
            [6, 4, 1, 1, 2, 2, 2, 2, 4],
            k=3,
        ):
            with suppress(ModelError):  # what cannot be done is said, and nothing else happens
                step(machine, reference, dice, tmp_path, truth)
        _check(machines, truth)


def _push(machine: Machine, reference: str, dice: random.Random, tmp_path: Path, truth: Truth) -> None:
    folder = tmp_path / f"model-{dice.random()}"
    folder.mkdir()
    for name in dice.sample("abcdef", dice.randint(1, 4)):
        (folder / name).write_bytes(bytes([dice.randrange(4)]) * dice.choice([0, 500, 1000]))
    try:
        machine.models.push(folder, reference)
        truth.setdefault(reference, []).append({path: len(content) for path, content in contents(folder).items()})
    finally:
        shutil.rmtree(folder)


def _pull(machine: Machine, reference: str, *_: object) -> None:
    machine.models.pull(reference)


def _drop(machine: Machine, reference: str, *_: object) -> None:
    machine.models.remove(reference)


def _remove(machine: Machine, reference: str, dice: random.Random, _: Path, truth: Truth) -> None:
    machine.models.remove(reference, store=True)


def _gc(machine: Machine, *_: object) -> None:
    machine.models.gc()
    machine.models.gc_here()


def _lose_here(machine: Machine, reference: str, *_: object) -> None:
    if (place := machine.models.path(reference)) is not None:
        shutil.rmtree(place)


def _damage_here(machine: Machine, reference: str, dice: random.Random, *_: object) -> None:
    if (place := machine.models.path(reference)) is not None:
        for victim in sorted(path for path in place.rglob("*") if path.stat().st_size)[:1]:
            flip(victim)


def _lose_manifest(machine: Machine, reference: str, *_: object) -> None:
    machine.store.delete(machine.bucket_name, f"manifests/m/{reference[2:]}.json")


def _restore(machine: Machine, reference: str, *_: object) -> None:
    machine.models.restore(reference)


def _check(machines: list[Machine], truth: Truth) -> None:
    """What the store has is whole, and a machine has nothing but what was pushed, unless it was damaged on purpose."""
    for checked in machines[0].models.verify(deep=True):
        if checked.place == "store":
            assert checked.is_whole or checked.trouble == "its manifest is gone", checked
    for machine in machines:
        for reference in machine.models.local.versions():
            manifest = machine.models.local.manifest(reference)
            assert manifest is not None
            assert {file.path: file.bytes for file in manifest.files} in truth[str(reference)]
