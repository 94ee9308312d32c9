"""Killed at any step, the next run ends where one that was never killed would have ended."""

from __future__ import annotations

import os

from tests import forking
from tests.catalog.erasure.conftest import GONE, GONE_WORDS, KEPT, World
from tests.mixpanel_server import MixpanelServer
from voxledger.catalog.log.verify import verify

PLACES = (
    "erasure.after_asked", "erasure.after_started", "erasure.after_deleted", "erasure.before_key", "erasure.after_key",
    "rebuild.before_swap", "erasure.between_manifests", "erasure.after_manifest", "reports.after_rewritten",
    "mixpanel.after_queued", "mixpanel.after_asked", "erasure.before_end",
)  # fmt: skip


def test_killed_at_each_step_in_turn_it_ends_as_if_it_had_not_been(world: World) -> None:
    with MixpanelServer(token="token", gdpr_token="oauth") as server:
        world.settings |= {
            "mixpanel_token": "token",
            "mixpanel_endpoint": server.url,
            "mixpanel_gdpr_token": "oauth",
        }
        made = world.live()
        world.back_up()
        with world.open() as vox:
            vox.mixpanel.deliver()
        for place in PLACES:
            _killed(world, place)
        with world.open() as vox:
            (waiting,) = vox.erasure.waiting()
            (first,) = vox.erasure.resume()
            assert {name for name, outcome in first.outcomes.items() if outcome == "waiting"} == {"mixpanel"}
            server.deletions[waiting.target] = "SUCCESS"
            (last,) = vox.erasure.resume()
            assert last.finished, last
            assert (last.request, last.clips, last.voices) == (waiting.id, 3, 2)
            assert not vox.erasure.resume()
            counted = dict(vox.catalog.sql("SELECT type, count(*) FROM events GROUP BY 1").pl().rows())
            # Told when all but Mixpanel had ended, and again when that had.
            assert [counted[kind] for kind in ("ErasureRequested", "ClipPurged", "SubjectErased")] == [1, 3, 2]
    assert world.found(GONE_WORDS) == {}
    with world.open(KEPT) as vox:
        assert {clip.id for clip in vox.catalog.clips(actor=KEPT)} == set(made[KEPT])
        assert verify(vox.keeper).intact
        assert all(checked.intact for checked in vox.backups.verify())
    assert not list((world.path / "erasing").iterdir())


def _killed(world: World, place: str) -> None:
    environ = {**os.environ, **world.environ, "VOXLEDGER_FAILPOINT": place}
    done = forking.run(["-m", "tests.catalog.erasure.erasing_process", world.path, GONE], env=environ)
    assert done.returncode == -9, (place, done.stderr)
