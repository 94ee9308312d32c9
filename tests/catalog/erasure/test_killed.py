"""Killed at any step, the next run ends where one that was never killed would have ended."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.catalog.erasure.conftest import GONE, GONE_WORDS, KEPT, World
from voxledger.catalog.log.verify import verify

PLACES = (
    "erasure.after_asked", "erasure.after_started", "erasure.after_deleted", "erasure.before_key", "erasure.after_key",
    "rebuild.before_swap", "erasure.between_manifests", "erasure.after_manifest", "reports.after_rewritten", "erasure.before_end",
)  # fmt: skip


def test_killed_at_each_step_in_turn_it_ends_as_if_it_had_not_been(world: World) -> None:
    made = world.live()
    world.back_up()
    for place in PLACES:
        done = subprocess.run(
            [sys.executable, "-m", "tests.catalog.erasure.erasing_process", str(world.path), GONE],
            env={**os.environ, **world.environ, "VOXLEDGER_FAILPOINT": place}, cwd=Path(__file__).parents[3],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == -9, (place, done.stderr.decode())
    with world.open() as vox:
        (waiting,) = vox.erasure.waiting()
        (done_now,) = vox.erasure.resume()
        assert done_now.finished, done_now
        assert (done_now.request, done_now.clips) == (waiting.id, 3)
        assert not vox.erasure.resume()
        told = vox.catalog.sql("SELECT type, count(*) AS n FROM events GROUP BY 1").pl().rows()
        counted = dict(told)
        assert [counted[kind] for kind in ("ErasureRequested", "SubjectErased", "ClipPurged")] == [1, 1, 3]
    assert world.found(GONE_WORDS) == {}
    with world.open(KEPT) as vox:
        assert {clip.id for clip in vox.catalog.clips(actor=KEPT)} == set(made[KEPT])
        assert verify(vox.keeper).intact
        assert all(checked.intact for checked in vox.backups.verify())
    assert not list((world.path / "erasing").iterdir())
    shutil.rmtree(world.path)
