"""What was erased never comes back: not by a restore with an older vault, and not by a rebuild from the bucket."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.building import completed
from tests.catalog.erasure.conftest import GONE, GONE_WORDS, KEPT, KEPT_WORDS, World
from voxledger.catalog.backup import Backups
from voxledger.catalog.events import new_id
from voxledger.catalog.home import Home
from voxledger.catalog.objects import Store
from voxledger.catalog.settings import load
from voxledger.synth.errors import ConsentEnded


def test_versions_go_and_no_restore_brings_them_back(ceph_world: World, tmp_path: Path) -> None:
    world, vault = ceph_world, tmp_path / "saved.vault"
    world.live()
    world.back_up(vault=vault, vault_key="battery staple")
    before = world.path / "vault.sqlite"
    old_vault = before.read_bytes()

    done = world.erase()
    assert done.finished, done
    assert "backups" in done.notes  # the file of the vault is out of reach, and that is said
    assert world.found(GONE_WORDS) == {}

    new = tmp_path / "new"
    home = Home(tmp_path / "nowhere")
    settings = load(home.path, overrides=world.settings).settings
    store = Store(home, settings.store)
    restored = Backups(home, settings, lambda: store).restore(
        "latest", new, vault=vault, vault_key="battery staple", with_audio=True
    )
    store.close()
    assert restored.erased == 1
    again = World(new, world.server, world.bucket)
    with again.open() as vox:
        assert {clip.actor for clip in vox.catalog.clips()} == {None, KEPT}
        assert [request.is_open for request in vox.erasure.requests()] in ([], [False])
        assert (
            vox.catalog.sql("SELECT count(*) AS n FROM events WHERE type = 'SubjectErased'").arrow()["n"][0].as_py()
            == 1
        )
    assert again.found(GONE_WORDS) == {}
    assert set(KEPT_WORDS) <= set(again.found(KEPT_WORDS))

    third = World(tmp_path / "third", world.server, world.bucket)
    third.path.mkdir()
    (third.path / "vault.sqlite").write_bytes(old_vault)
    with third.open() as vox:
        from voxledger.catalog.reconcile import Around, rebuild_from_store

        rebuild_from_store(Around.of(vox))
        assert {clip.actor for clip in vox.catalog.clips()} <= {None, KEPT}
    assert third.found(GONE_WORDS) == {}


@pytest.mark.parametrize("scope", ["actor", "voice"])
def test_a_restored_log_says_of_the_clips_of_whoever_was_erased_that_they_are_gone(
    world: World, tmp_path: Path, scope: str
) -> None:
    with world.open(GONE) as vox:
        clips = [vox.speak(f"Zanzibar {number}.", engine="espeak", language="en") for number in range(2)]
        assert clips[0].path
        sha256 = vox.voices.add("Vellichor", clips[0].path, own=True, force=True).sha256
    with world.open(KEPT) as vox:
        said = completed(voice_sha256=sha256, voice_name="Vellichor", actor_label=KEPT, key="k/l/m.wav")
        spoken = vox.recorder.emit(said, subject=new_id(), actor=vox.vault.actor(KEPT)).subject
        kept = vox.speak("Octopus gramophone.", engine="espeak", language="en")
    world.back_up()
    with world.open() as vox:
        plan = vox.erasure.plan(actor=GONE) if scope == "actor" else vox.erasure.plan(voice="Vellichor")
        assert vox.erasure.apply(plan).finished
        vox.backups.restore("latest", tmp_path / "new", catch_up=False)
    gone = {clip.id for clip in clips} if scope == "actor" else {spoken}
    with World(tmp_path / "new", world.server, world.bucket).open() as vox:
        states = dict(vox.catalog.sql("SELECT id::VARCHAR AS id, state FROM clips").pl().iter_rows())
        assert {clip for clip, state in states.items() if state == "purged"} == gone
        assert states[kept.id] == "stored"
        assert "Its audio was deleted on" in " ".join(vox.retention.explain(next(iter(gone))))


@pytest.mark.parametrize("key", ["correct horse"])
def test_encrypted_backups_lose_the_audio_and_stay_whole(world: World, key: str) -> None:
    world.settings["backup_key"] = key
    world.live()
    world.back_up()
    with world.open() as vox:
        before = [(each.objects, each.bytes) for each in vox.backups.verify()]
    assert world.erase().finished
    with world.open() as vox:
        (after,) = vox.backups.verify()
        assert after.intact
        assert after.manifest
        assert after.manifest.audio
        assert after.manifest.audio.erased == 5  # three clips, a recording and a document
        assert after.bytes < before[0][1]
        assert not vox.backups.prune(apply=False).objects
    assert GONE  # its words never stood there in the open


def test_an_erased_voice_does_not_come_back_with_a_backup_from_before(world: World, tmp_path: Path) -> None:
    vault = tmp_path / "saved.vault"
    world.live()
    world.back_up(vault=vault, vault_key="battery staple")
    with world.open() as vox:
        assert vox.erasure.apply(vox.erasure.plan(voice="Vellichor")).finished
    new = World(tmp_path / "new", world.server, world.bucket)
    with world.open() as vox:
        restored = vox.backups.restore("latest", new.path, vault=vault, vault_key="battery staple", with_audio=True)
        assert restored.erased == 0
    with new.open() as vox:
        with pytest.raises(ConsentEnded):
            vox.voices.resolve(
                vox.catalog.sql("SELECT sha256 FROM voices WHERE state = 'erased'").arrow()["sha256"][0].as_py()
            )
        assert vox.voices.resolve("Bobvoice")
    assert "Vellichor" not in new.found(GONE_WORDS)
