"""A bucket and two machines live through whatever may be asked of them: what can be done is done, what must not be is
refused, and what is there stays whole.
"""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path
from typing import TypeAlias

from tests.catalog.models.conftest import MakeMachine
from tests.catalog.models.machines import Machine, contents, flip
from tests.s3 import S3Server
from tests.soak import rounds, told_of_soak
from voxledger.catalog.errors import ModelError
from voxledger.catalog.models import Reference

Files: TypeAlias = dict[str, bytes]
STEPS = {
    "push": 6, "pull": 4, "drop": 2, "remove": 2, "gc": 2, "lose_here": 2, "damage_here": 2, "lose_manifest": 2, "restore": 4,
}  # fmt: skip
"""What may happen, and how often beside the others."""


def test_whatever_happens_what_is_there_is_whole(
    rclone_store: S3Server, machine_on: MakeMachine, tmp_path: Path
) -> None:
    machines = [machine_on(rclone_store, name, **{"models.grace": 0.0}) for name in ("one", "two")]
    world, dice, seen = _World(machines, tmp_path / "model"), random.Random(3), Counter[tuple[str, bool]]()
    for _ in rounds(200):
        machine, reference = dice.choice(machines), Reference("m", str(dice.randrange(4)))
        for step in dice.choices(list(STEPS), list(STEPS.values()), k=3):
            files = {name: bytes([dice.randrange(4)]) * dice.choice([0, 500, 1000]) for name in "abcdef"}
            world.files = {name: files[name] for name in dice.sample("abcdef", dice.randint(1, 4))}
            if dice.random() < 0.3:
                world.files = world.pushed.get(reference, world.files)
            can, story = world.can(step, machine, reference), f"{step} {reference}"
            try:
                getattr(world, step)(machine, reference)
                done = True
            except ModelError as error:
                done, story = False, f"{story}: {error}"
            assert can in (None, done), story
            seen[step, done] += 1
        world.check()
    # Nothing was proved of what never happened.
    assert {step for step, done in seen if done} == set(STEPS), seen
    assert {step for step, done in seen if not done} >= {"push", "pull", "drop", "remove", "restore"}, seen
    told_of_soak("models", **{f"{step} {'done' if done else 'refused'}": count for (step, done), count in seen.items()})


class _World:
    """What must be true of the bucket and the machines, by what was done to them."""

    def __init__(self, machines: list[Machine], folder: Path) -> None:
        self.files: Files = {}
        """What is pushed next."""
        self.pushed: dict[Reference, Files] = {}
        self._machines = machines
        self._folder = folder
        self._whole: set[Reference] = set()
        self._deleted: set[Reference] = set()
        self._removed: set[Reference] = set()
        self._hurt = {machine.folder: set[Reference]() for machine in machines}
        """Versions that may have a flipped bit here."""

    def can(self, step: str, machine: Machine, reference: Reference) -> bool | None:
        """Whether it must be done, or must be refused; None where both are right."""
        if step == "push":
            return self.pushed.get(reference, self.files) == self.files
        if step == "pull":
            # What is here needs no store, whether or not that still has it.
            return True if reference in self._whole else None if machine.models.local.complete(reference) else False
        if step == "drop":
            return reference in self._whole and reference in machine.models.local.versions()
        if step == "remove":
            found = machine.models.bucket.pointer("m")
            return reference in self._whole and (found is None or found.pointer.current != reference)
        if step == "restore":
            if reference in self._whole | self._deleted | self._removed:
                return True
            # If the store has forgotten it, that hangs on what is left of it here.
            return None if reference in machine.models.local.versions() else False
        return True

    def push(self, machine: Machine, reference: Reference) -> None:
        self._folder.mkdir()
        try:
            for name, content in self.files.items():
                (self._folder / name).write_bytes(content)
            machine.models.push(self._folder, str(reference))
        finally:
            shutil.rmtree(self._folder)
        self.pushed[reference] = self.files
        self._whole.add(reference)
        self._deleted.discard(reference)

    def pull(self, machine: Machine, reference: Reference) -> None:
        if not machine.models.pull(str(reference)).was_here:
            self._hurt[machine.folder].discard(reference)

    def drop(self, machine: Machine, reference: Reference) -> None:
        machine.models.remove(str(reference))
        assert machine.models.path(str(reference)) is None

    def remove(self, machine: Machine, reference: Reference) -> None:
        machine.models.remove(str(reference), store=True)
        self._whole.discard(reference)
        self._removed.add(reference)

    def gc(self, machine: Machine, _: Reference) -> None:
        machine.models.gc()
        machine.models.gc_here()
        self._removed.clear()

    def lose_here(self, machine: Machine, reference: Reference) -> None:
        if (place := machine.models.path(str(reference))) is not None:
            shutil.rmtree(place)

    def damage_here(self, machine: Machine, reference: Reference) -> None:
        place = machine.models.path(str(reference))
        victims = sorted(path for path in place.rglob("*") if path.stat().st_size) if place else []
        for victim in victims[:1]:
            content = self.pushed[reference][victim.name]
            flip(victim)
            # Versions share files, so also damage.
            self._hurt[machine.folder] |= {each for each, files in self.pushed.items() if content in files.values()}

    def lose_manifest(self, machine: Machine, reference: Reference) -> None:
        machine.store.delete(machine.bucket_name, f"manifests/m/{reference.version}.json")
        if reference in self._whole:
            self._whole.discard(reference)
            self._deleted.add(reference)

    def restore(self, machine: Machine, reference: Reference) -> None:
        here = machine.models.restore(str(reference)).here
        for known in (self._deleted, self._removed):
            known.discard(reference)
        self._whole.add(reference)
        if here is not None:
            self._hurt[machine.folder].discard(reference)

    def check(self) -> None:
        """The store has what it should, every byte of it; what a machine takes for whole is what was pushed."""
        found = {each.reference: each for each in self._machines[0].models.verify(deep=True) if each.place == "store"}
        assert {reference for reference, each in found.items() if each.is_whole} == self._whole
        for reference in found.keys() - self._whole:
            assert found[reference].trouble == "its manifest is gone", found[reference]
        assert self._deleted <= found.keys()
        for machine in self._machines:
            for reference in machine.models.local.versions():
                place = machine.models.path(str(reference))
                if place is not None and reference not in self._hurt[machine.folder]:
                    assert contents(place) == self.pushed[reference]
